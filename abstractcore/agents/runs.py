"""What all that has `run` share: one piece of work handed down, its chunks and its outcome handed up.

Knows no agent and no workflow. Each face says its colour; the work is written once, over a driver.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, overload, runtime_checkable

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.drivers.generators import Nested
from abstractcore.errors import ConfigurationError, RequestTimeoutError
from abstractcore.generation.messages import check_timeout
from abstractcore.generation.tool_runs import check_can_be_awaited
from abstractcore.streams import AsyncStream, Collected, Stream, StreamCore, wanted_phases
from abstractcore.tools.decorator import Tool
from abstractcore.tools.signature import gives_awaitables
from abstractcore.tracing import content
from abstractcore.tracing.operations import Kind, Operation, usage_attributes
from abstractcore.tracing.telemetry import is_on
from abstractcore.types import PHASES, GenerateResponse, StreamChunk, Usage

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver

_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_-]+")
_TASK_SCHEMA = {
    "type": "object",
    "properties": {"task": {"type": "string", "description": "What is to be done, in full."}},
    "required": ["task"],
    "additionalProperties": False,
}


@runtime_checkable
class Runnable(Protocol):
    """Anything with `run`: it takes a task and gives a text, awaited on the async surface."""

    def run(self, task: str, /) -> Any:
        """Work on *task*."""
        ...


class Outcome:
    """What a run has come to: its parts in the order they began, and its own text once it has one."""

    def __init__(self) -> None:
        self.parts: list[Collected] = []
        self.text: str | None = None
        self.is_whole = False

    def response(self) -> GenerateResponse:
        """Give the last part's response, or the run's own text, with the usage of all parts."""
        said = [part.response() for part in self.parts]
        last = said[-1] if said else GenerateResponse()
        usage = sum((each.usage for each in said), Usage())
        return replace(last, content=last.content if self.text is None else self.text, usage=usage)


@dataclass(frozen=True, slots=True)
class Work:
    """One run on its way down.

    *wanted* are the phases that its stream gives; *label* names what has no name of its own.
    """

    driver: Driver
    task: str
    stream: bool = False
    deadline: Deadline | None = None
    tools: Sequence[Any] | None = None
    schema: Any = None
    wanted: frozenset[str] = frozenset(PHASES)
    label: str | None = None
    outcome: Outcome = field(default_factory=Outcome)

    def part(self, task: str, label: str, *, schema: Any = None) -> Work:
        """Give the work of a run inside this one; what it comes to is a part of this outcome."""
        outcome = Outcome()
        self.outcome.parts.append(outcome)
        return replace(self, task=task, label=label, tools=None, schema=schema, outcome=outcome)

    def seconds_left(self) -> float | None:
        """Tell the seconds that remain; None without a limit. Raises RequestTimeoutError after it."""
        if self.deadline is None:
            return None
        if self.deadline.left() <= 0:
            raise RequestTimeoutError(f"the run took longer than {self.deadline.seconds:g} s", phase="total")
        return self.deadline.left()

    def end(self, agent: str | None) -> StreamChunk:
        """Give the one last chunk, once the outcome is whole."""
        self.outcome.is_whole = True
        response = self.outcome.response()
        return StreamChunk(
            "done", agent=agent, usage=response.usage, finish_reason=response.finish_reason or "stop"
        )


class Runs:
    """What runs. A subclass works in `chunks`; a face says with `_blocks` which surface it is of."""

    _blocks: ClassVar[bool]
    _kind: ClassVar[Kind | None] = None
    """How OpenTelemetry calls what it does."""
    name: str | None = None

    def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Do *work*: give its chunks, one `done` at the end, and leave the result in its outcome."""
        raise NotImplementedError

    def watched(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Do *work* as `chunks` does, in a span where the program keeps them."""
        if self._kind is None or not is_on():
            return self.chunks(work)
        return _traced(self._kind, self.name or work.label, work, self.chunks(work))

    def _work(self, driver: Driver, given: dict[str, Any]) -> Work:
        task = given["task"]
        if not isinstance(task, str) or not task.strip():
            raise ConfigurationError("a task is a text, and not an empty one")
        wanted = wanted_phases(given["include"], PHASES)
        seconds = check_timeout(given["timeout"])
        deadline = None if seconds is None else Deadline.after(seconds)
        return Work(driver, task, given["stream"], deadline, given.get("tools"), given.get("schema"), wanted)

    def _stream(self, work: Work) -> StreamCore:
        return StreamCore(self.watched(work), work.outcome, work.wanted)

    async def _finish(self, work: Work) -> Any:
        async with aclosing(self.watched(work)) as chunks:
            async for _ in chunks:
                pass
        response = work.outcome.response()
        return response.content if work.schema is None else response.parsed

    def _tool_words(self, name: str | None, description: str | None) -> dict[str, Any]:
        title = self.name or type(self).__name__.lower()
        return {
            "name": name or _NOT_A_NAME.sub("_", title),
            "description": description or f"Give a task to {title}, and get its answer.",
            "parameters": _TASK_SCHEMA,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{'' if self.name is None else f' {self.name}'}>"


class BlockingRuns(Runs):
    """The sync face of what runs."""

    _blocks = True

    def _start(self, given: dict[str, Any]) -> Any:
        work = self._work(BLOCKING, given)
        return Stream(self._stream(work)) if work.stream else run(self._finish(work))

    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> str: ...
    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Stream: ...
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Work on *task*, and give the final text.

        With *stream*, a stream of every phase, or of those in *include*; each chunk names its
        agent and iteration. *timeout* (seconds) bounds the whole run.
        """
        return self._start({**locals()})

    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]:
        """Give a tool of one argument, `task`, that runs this and answers with its final text.

        It may take as long as the tools of who calls it: their `tool_timeout`.
        """

        def work(task: str) -> str:
            return self.run(task)

        return Tool(work, **self._tool_words(name, description))


class AwaitedRuns(Runs):
    """The async face of what runs."""

    _blocks = False

    def _start(self, given: dict[str, Any]) -> Any:
        from abstractcore.drivers.eventloop import ASYNC

        work = self._work(ASYNC, given)
        return AsyncStream(self._stream(work)) if work.stream else self._finish(work)

    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Coroutine[Any, Any, str]: ...
    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> AsyncStream: ...
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Work on *task*, and give the final text, awaited; as on the sync surface.

        With *stream*, what comes back can be awaited first or iterated at once. A cancel ends
        all that runs, its requests too.
        """
        return self._start({**locals()})

    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]:
        """Give an async tool of one argument, `task`, that runs this and answers with its final text.

        It may take as long as the tools of who calls it: their `tool_timeout`.
        """

        async def work(task: str) -> str:
            return await self.run(task)

        return Tool(work, **self._tool_words(name, description))


class _Other(Runs):
    """An object of the caller's own that has `run`: its text comes as one chunk."""

    def __init__(self, runnable: Runnable) -> None:
        self._runnable = runnable
        self.name = getattr(runnable, "name", None)

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Run it, and give its text."""
        seconds = work.seconds_left()
        said = self._runnable.run(work.task)
        if inspect.isawaitable(said):
            check_can_be_awaited(work.driver, said, self.name or work.label)
            said = await self._awaited(work, said, seconds)
        work.seconds_left()
        work.outcome.text = str(said)
        yield StreamChunk("generating", work.outcome.text, self.name or work.label)
        yield work.end(self.name or work.label)

    async def _awaited(self, work: Work, said: Awaitable[Any], seconds: float | None) -> Any:
        if seconds is None:
            return await said
        try:
            return await work.driver.bounded(said, seconds)
        except TimeoutError:
            work.seconds_left()  # which raises, unless this is a TimeoutError of its own
            raise


def of_colour(blocks: bool, runnable: Any, place: str) -> Runs:
    """Take *runnable* into a workflow. Raises ConfigurationError for one of the other surface."""
    if isinstance(runnable, Runs):
        is_sync = runnable._blocks  # pyright: ignore[reportPrivateUsage]
    elif isinstance(runnable, Runnable):
        is_sync = not gives_awaitables(runnable.run)
    else:
        raise ConfigurationError(f"{place} has no run(task): {type(runnable).__name__}")
    if is_sync != blocks:
        ours, theirs = ("sync", "async") if blocks else ("async", "sync")
        hint = "" if isinstance(runnable, Runs) else "; a run of your own is async when it is declared so"
        raise ConfigurationError(
            f"{place} is {theirs}, and this is {ours}: take all from abstractcore, or all from its aio{hint}"
        )
    return runnable if isinstance(runnable, Runs) else _Other(runnable)


async def _traced(
    kind: Kind, name: str | None, work: Work, source: AsyncGenerator[StreamChunk]
) -> AsyncGenerator[StreamChunk]:
    named = "gen_ai.agent.name" if kind == "invoke_agent" else "gen_ai.workflow.name"
    operation = Operation(kind, name, {named: name})
    if operation.keeps_content:
        operation.note(content.task(work.task))
    async with aclosing(Nested(operation.steps(source))) as chunks:
        async for chunk in chunks:
            if chunk.phase == "done":
                response = work.outcome.response()
                operation.note(usage_attributes(response.usage))
                if operation.keeps_content:
                    operation.note(content.answered(response))
                operation.end()
            yield chunk


async def all_but_done(runs: Runs, work: Work) -> AsyncGenerator[StreamChunk]:
    """Give the chunks of a run inside another, whose own `done` is the only one."""
    async with aclosing(Nested(runs.watched(work))) as chunks:
        async for chunk in chunks:
            if chunk.phase != "done":
                yield chunk


async def answered(runs: Runs, work: Work) -> GenerateResponse:
    """Do *work* in silence, and give what it came to."""
    async with aclosing(Nested(runs.watched(work))) as chunks:
        async for _ in chunks:
            pass
    return work.outcome.response()
