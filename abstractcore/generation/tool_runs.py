"""One tool call: checked, run within its time, and its result as the text that the model reads.

What goes wrong in a tool becomes such a text; what only the caller can mend ends the turn. Knows
no model and no history.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.error_words import masked
from abstractcore.drivers.generators import Nested
from abstractcore.drivers.interleave import interleaved
from abstractcore.drivers.keys import without_environment_keys
from abstractcore.drivers.threads import call_bounded
from abstractcore.errors import (
    AsyncToolError,
    ClosedError,
    ConfigurationError,
    MCPConnectionError,
    MCPToolsChangedError,
    RequestTimeoutError,
    ToolError,
)
from abstractcore.generation.messages import check_timeout
from abstractcore.tools import strict_json
from abstractcore.tools.context import ToolContext
from abstractcore.tools.decorator import Tool
from abstractcore.types import AgentEvent, EventKind, ToolCall

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver, Mailbox

Approve = Callable[[ToolCall], "bool | str | Awaitable[bool | str]"]

# A model cannot bring a server back, open what was closed, approve what a server says now, or await: the
# caller is told.
_ENDS_THE_TURN = (MCPConnectionError, MCPToolsChangedError, ClosedError, AsyncToolError)
_NOT_RUN = "Not run: no more tool calls are allowed in this turn. Answer with what you have."
_RESULT_CHARACTERS = 32_000
_MESSAGE_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How the calls of a turn are run.

    *max_iterations* bounds the model calls that may ask for tools. *approve* sees each call
    first: anything but True refuses it, a text with its reason. *concurrent_tool_calls* runs the calls
    of one answer side by side. *tool_timeout* is in seconds, for each call. *agent* is how chunks and
    events call who runs them. *events* sees each model call, answer, tool call, progress and result;
    what it raises ends the turn. Raises ConfigurationError for what cannot be.
    """

    max_iterations: int = 10
    approve: Approve | None = None
    concurrent_tool_calls: bool = False
    tool_timeout: float = 60.0
    agent: str | None = None
    events: Callable[[AgentEvent], None] | None = None

    def __post_init__(self) -> None:
        if type(self.max_iterations) is not int or self.max_iterations < 1:
            raise ConfigurationError("max_iterations must be a whole number, at least 1")
        if inspect.iscoroutinefunction(self.events):
            raise ConfigurationError("events= must be a plain function")
        if check_timeout(self.tool_timeout) is None:
            raise ConfigurationError("tool_timeout must be a number of seconds")

    def tell(self, kind: EventKind, iteration: int, **fields: Any) -> None:
        """Let *events* see what happens."""
        if self.events is not None:
            self.events(AgentEvent(kind, self.agent, iteration, **fields))


@dataclass(slots=True)
class ToolRun:
    """A call on its way; *result* is what the model will read."""

    call: ToolCall
    scrub: Callable[[str], str] = str
    """Takes the provider's key out of a text."""
    result: str = _NOT_RUN
    failure: Exception | None = None
    """What went wrong, when the result says so."""

    def fail(self, failure: Exception, told: str) -> None:
        """Let the model read *told* of a failure."""
        self.failure = failure
        self.result = _failure(masked(without_environment_keys(self.scrub(told))))


def runnable(
    tools: Sequence[Any], *, blocking: bool, approve: Approve | None = None
) -> dict[str, Tool[..., Any]]:
    """Give the tools by name, as Tools.

    Raises ConfigurationError for a tool that is only a schema, and AsyncToolError when a
    blocking caller has an async one.
    """
    made = [tool if isinstance(tool, Tool) else _made(tool) for tool in tools]
    for tool in made if blocking else ():
        if tool.is_async:
            raise _wrong_colour(f"the tool {tool.name!r}")
    if blocking and inspect.iscoroutinefunction(approve):
        raise _wrong_colour("approve=")
    return {tool.name: tool for tool in made}


def _made(tool: Any) -> Tool[..., Any]:
    if isinstance(tool, Mapping):
        raise ConfigurationError("a tool that is only a JSON schema cannot be run; pass a function or a Tool")
    return Tool.from_function(tool)


def _wrong_colour(what: str) -> AsyncToolError:
    return AsyncToolError(f"{what} is async: use abstractcore.aio, or agenerate, which await it")


async def run_call(
    driver: Driver,
    run: ToolRun,
    tools: Mapping[str, Tool[..., Any]],
    policy: ToolPolicy,
    context: ToolContext,
    deadline: Deadline,
) -> AsyncGenerator[str]:
    """Run one call; what a generator tool yields, and any tool tells its context, comes out as it happens.

    Raises MCPConnectionError, MCPToolsChangedError, ClosedError and AsyncToolError, whoever raised them,
    and RequestTimeoutError when *deadline*, the turn's own, has passed.
    """
    if deadline.left() <= 0:
        raise too_late(deadline)
    limit = _Limit(policy.tool_timeout, deadline)
    try:
        tool = _known(run.call, tools)
        await _check_approved(driver, run.call, policy, deadline)
        arguments = tool.validate(run.call.arguments)
        async with aclosing(Nested(_told_work(driver, tool, arguments, context, limit, run))) as texts:
            async for text in texts:
                yield text
    except _ENDS_THE_TURN:
        raise
    except ExceptionGroup as group:  # of a workflow that is a tool
        if (ending := _ending(group)) is not None:
            raise ending from group
        run.fail(group, _told(group, run.call, policy))
    except ToolError as failure:
        run.fail(failure, failure.message)
    except Exception as failure:  # noqa: BLE001  the model is told, and may do better
        if isinstance(failure, TimeoutError) and deadline.left() <= 0:
            raise too_late(deadline) from None
        run.fail(failure, _told(failure, run.call, policy))


def _ending(group: ExceptionGroup[Exception]) -> Exception | None:
    """Give the first failure in *group* that ends the turn, however deep it stands."""
    for failure in group.exceptions:
        found = _ending(failure) if isinstance(failure, ExceptionGroup) else failure
        if isinstance(found, _ENDS_THE_TURN):
            return found
    return None


@dataclass(frozen=True, slots=True)
class _Limit:
    """The time of a tool's next step: its own, but no more than the turn has."""

    timeout: float
    deadline: Deadline

    def seconds(self) -> float:
        return min(self.timeout, self.deadline.left())


def too_late(deadline: Deadline) -> RequestTimeoutError:
    """Say that the turn's time is over."""
    return RequestTimeoutError(f"the turn took longer than {deadline.seconds:g} s", phase="total")


def _told(failure: Exception, call: ToolCall, policy: ToolPolicy) -> str:
    if isinstance(failure, TimeoutError) and not str(failure):  # as the drivers raise it
        return f"{call.name} took longer than {policy.tool_timeout:g} seconds"
    return f"{type(failure).__name__}: {failure}"


def _known(call: ToolCall, tools: Mapping[str, Tool[..., Any]]) -> Tool[..., Any]:
    if call.name not in tools:
        raise ToolError(f"there is no tool {call.name!r}; there are: {', '.join(tools) or 'none'}")
    if call.arguments_raw is not None:
        raise ToolError(f"the arguments of {call.name} are not a JSON object: {call.arguments_raw[:200]}")
    return tools[call.name]


async def _check_approved(driver: Driver, call: ToolCall, policy: ToolPolicy, deadline: Deadline) -> None:
    if policy.approve is None:
        return
    verdict = await _verdict(driver, partial(policy.approve, call), deadline)
    if inspect.isawaitable(verdict):
        verdict = await driver.bounded(verdict, deadline.left())
    if deadline.left() <= 0:
        raise too_late(deadline)
    if verdict is not True:
        reason = f": {verdict}" if verdict else ""
        raise ToolError(f"the call of {call.name} was refused{reason}")


async def _verdict(driver: Driver, approve: Callable[[], Any], deadline: Deadline) -> Any:
    """Ask a blocking caller in its own thread, and on the async surface, if it may block, in another."""
    if driver.caller().blocks or inspect.iscoroutinefunction(approve):
        return approve()
    return await call_bounded(driver, approve, deadline.left())


def _told_work(
    driver: Driver,
    tool: Tool[..., Any],
    arguments: dict[str, Any],
    context: ToolContext,
    limit: _Limit,
    run: ToolRun,
) -> AsyncGenerator[str]:
    """Do the work; a tool that takes the context can tell its progress, wherever it runs."""
    if tool.context_parameter is None:
        return _work(driver, tool, arguments, limit, run)
    mailbox: Mailbox[str] = driver.mailbox()
    context = replace(context, tell=lambda text: mailbox.put(_text(text)))
    arguments = {**arguments, tool.context_parameter: context}
    return _heard(driver, partial(_work, driver, tool, arguments, limit, run), mailbox)


async def _heard(
    driver: Driver, work: Callable[[], AsyncGenerator[str]], mailbox: Mailbox[str]
) -> AsyncGenerator[str]:
    try:
        async with aclosing(Nested(interleaved(driver, [work], mailbox))) as texts:
            async for text in texts:
                yield text
    except BaseExceptionGroup as failures:  # of the one work
        raise failures.exceptions[0] from None


async def _work(
    driver: Driver, tool: Tool[..., Any], arguments: dict[str, Any], limit: _Limit, run: ToolRun
) -> AsyncGenerator[str]:
    if not tool.is_generator:
        run.result = _text(await _once(driver, tool, arguments, limit))
        return
    steps = tool.function(**arguments)
    pieces: list[str] = []
    try:
        while True:
            piece, is_end = await _step(driver, tool, steps, limit)
            if is_end:
                break
            pieces.append(_text(piece))
            yield pieces[-1]
    finally:
        if tool.is_async:
            await driver.bounded(steps.aclose(), limit.timeout)
    run.result = _text(piece) if piece is not None else "".join(pieces)


async def _once(driver: Driver, tool: Tool[..., Any], arguments: dict[str, Any], limit: _Limit) -> Any:
    if tool.is_async:
        return await driver.bounded(tool.function(**arguments), limit.seconds())
    return await _called(driver, lambda: tool.function(**arguments), limit)


async def _step(driver: Driver, tool: Tool[..., Any], steps: Any, limit: _Limit) -> tuple[Any, bool]:
    """Take a generator's next value, or at its end what it returned."""
    if tool.is_async:
        try:
            return await driver.bounded(anext(steps), limit.seconds()), False
        except StopAsyncIteration:
            return None, True
    return await call_bounded(driver, lambda: _next(steps), limit.seconds())


async def _called(driver: Driver, function: Callable[[], Any], limit: _Limit) -> Any:
    """Call a plain function; if it gives something to await, that is awaited."""
    result = await call_bounded(driver, function, limit.seconds())
    if inspect.isawaitable(result):
        return await driver.bounded(result, limit.seconds())
    return result


def _next(steps: Any) -> tuple[Any, bool]:
    try:
        return next(steps), False
    except StopIteration as end:
        return end.value, True


def _text(value: Any) -> str:
    """Write a tool's result as the model reads it: a text as it is, else JSON, else its repr."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
    else:
        try:
            text = json.dumps(_jsonable(value), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            text = repr(value)
    over = len(text) - _RESULT_CHARACTERS
    return text if over <= 0 else f"{text[:_RESULT_CHARACTERS]}… ({over} characters more)"


def _jsonable(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    # NaN and infinity are no JSON: they become null.
    return strict_json.plain(to_jsonable_python(value, inf_nan_mode="null", serialize_unknown=False))


def _failure(message: str) -> str:
    text = message[:_MESSAGE_CHARACTERS].encode("utf-8", "replace").decode()
    return json.dumps({"error": text}, ensure_ascii=False)


def check_served(mcp_client: Any, *, blocking: bool) -> None:
    """Raise AsyncToolError for an async MCPClient where nobody can await it.

    A sync one serves both surfaces: its tools are sync tools, which the async surface runs in threads.
    Raises ConfigurationError for one that is still to be awaited.
    """
    if inspect.isawaitable(mcp_client):
        _close(mcp_client)
        raise ConfigurationError("mcp_client is not connected yet: await MCPClient.connect(…) first")
    if blocking and inspect.iscoroutinefunction(getattr(mcp_client, "as_tools", None)):
        raise _wrong_colour("mcp_client")


def check_can_be_awaited(driver: Driver, work: Any, who: str | None) -> None:
    """Raise AsyncToolError, and let go of *work*, where nobody can await it."""
    if driver.caller().blocks:
        _close(work)
        raise _wrong_colour(who or "what was called")


async def served_tools(driver: Driver, mcp_client: Any, deadline: Deadline) -> list[Any]:
    """Ask an MCPClient for its tools, where that stops nobody else and for as long as the turn has.

    Raises AsyncToolError when a blocking caller has an async one.
    """
    check_served(mcp_client, blocking=driver.caller().blocks)
    as_tools = getattr(mcp_client, "as_tools", None)
    if as_tools is None:
        raise ConfigurationError(f"mcp_client must be an MCPClient, not {type(mcp_client).__name__}")
    limit = _Limit(deadline.seconds, deadline)
    try:
        if inspect.iscoroutinefunction(as_tools):
            return list(await driver.bounded(as_tools(), limit.seconds()))
        return list(await _called(driver, as_tools, limit))
    except TimeoutError:
        if deadline.left() > 0:  # the server's own time has passed
            raise
        raise too_late(deadline) from None


def _close(work: Any) -> None:
    close = getattr(work, "close", None)
    if close is not None:
        close()
