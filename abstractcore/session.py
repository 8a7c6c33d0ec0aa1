"""BasicSession: a conversation. It owns the history; a provider never does.

A turn is a transaction: what it adds is recorded in one piece when it has succeeded, and
after an error, a timeout or a cancel the history is as it was.
"""

from __future__ import annotations

import copy
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.drivers.files import write_whole
from abstractcore.drivers.turns import Turns
from abstractcore.errors import ConfigurationError, ResponseError, SessionError
from abstractcore.generates import Generates
from abstractcore.generation import history
from abstractcore.generation.ask import (
    DEFAULT_TIMEOUT,
    Ask,
    check_known,
    sampling_fields,
    with_messages,
    write_messages,
)
from abstractcore.generation.call import Call
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.generation.messages import check_timeout, clean_messages
from abstractcore.generation.tool_loop import Turn, turn_chunks
from abstractcore.generation.tool_runs import ToolPolicy, served_tools
from abstractcore.llm import LLM
from abstractcore.tools.schema import as_specs
from abstractcore.types import GenerateRequest, GenerateResponse, Message, Role, StreamChunk, Usage

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver

_ARGUMENTS = ("provider", "system_prompt", "tools", "temperature", "seed", "auto_compact", "compact_above")
_KEEP = 6
_MESSAGE_FIELDS = ("tool_calls", "tool_call_id", "reasoning", "name")


class BasicSession(Generates):
    """A conversation with one provider at a time.

    *messages* is plain data: a list of dicts that you may read, edit and store. *provider*
    may be changed between two turns. Turns that start together run one after the other, in
    the order they were started. While a stream of the session is open, another turn from
    the same task or thread is SessionError.

    With *auto_compact* a summary replaces the old turns before a turn that would send more
    than *compact_above* tokens (estimated); it is one more request, inside that turn.
    """

    def __init__(
        self,
        provider: LLM | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        auto_compact: bool = False,
        *,
        compact_above: int = 6000,
        **unknown: Any,
    ) -> None:
        check_known(unknown, _ARGUMENTS, "BasicSession")
        if provider is not None and not isinstance(provider, LLM):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"provider must be what create_llm gives, not {type(provider).__name__}")
        sampling_fields({"temperature": temperature, "seed": seed})
        self.provider = provider
        self.system_prompt = system_prompt
        self.tools: list[Any] = list(tools or ())
        self.temperature = temperature
        self.seed = seed
        self.auto_compact = auto_compact
        self.compact_above = compact_above
        self.mcp_client: Any = None
        """A connected MCPClient, whose tools join the session's own; an async one for `agenerate` alone."""
        self.tool_policy = ToolPolicy()
        """How the tools of a `run_tools` turn are run, where the turn itself does not say it."""
        self.messages: list[Message] = []
        self.usage = Usage()
        """The tokens of all turns so far, as the providers counted them."""
        self._turns = Turns()

    def _llm(self) -> LLM:
        if self.provider is None:
            raise ConfigurationError("this session has no provider: pass provider=, or set session.provider")
        return self.provider

    def _ask(self, arguments: dict[str, Any]) -> Ask:
        own = {"temperature": self.temperature, "seed": self.seed}
        given = {key: value for key, value in arguments["sampling"].items() if value is not None}
        tools = arguments["tools"] if arguments["tools"] is not None else self.tools
        return self._llm()._ask({**arguments, "tools": tools, "sampling": {**own, **given}})  # pyright: ignore[reportPrivateUsage]

    def _collector(self) -> Collector:
        llm = self._llm()
        return Collector(llm.provider, llm.model)

    def _chunks(self, driver: Driver, ask: Ask, collector: Collector) -> AsyncGenerator[StreamChunk]:
        return self._turn(self._llm(), driver, ask, collector)

    async def _turn(
        self, llm: LLM, driver: Driver, ask: Ask, collector: Collector
    ) -> AsyncGenerator[StreamChunk]:
        deadline = Deadline.after(ask.seconds)
        system = self.system_prompt if ask.system_prompt is None else ask.system_prompt
        async with self._turns.turn(driver, deadline):
            summary: list[Message] = []
            cut = 0
            if self.auto_compact and self.count_tokens() > self.compact_above:
                with suppress(ResponseError):  # the turn goes on with all it has
                    summary, cut = await self._summary(driver, deadline, _KEEP)
            new = await write_messages(driver, replace(ask, system_prompt=None))
            request = with_messages(ask, history.sendable(system, [*summary, *self.messages[cut:], *new]))
            tools = ask.tools
            if tools is not None and self.mcp_client is not None:
                tools = [*tools, *await served_tools(driver, self.mcp_client, deadline)]
                request = replace(request, tools=as_specs(tools))
            runs_tools = tools is not None
            scrub = llm._scrub  # pyright: ignore[reportPrivateUsage]
            call = Call(driver, deadline, collector, ask.response_model, runs_tools, scrub=scrub)
            turn = Turn()
            policy = replace(self.tool_policy, **ask.tool_options) if ask.tool_options else self.tool_policy
            work = turn_chunks(call, llm.answer, request, tools, policy, turn)
            async with aclosing(work) as chunks:
                async for chunk in chunks:
                    if chunk.phase == "done":
                        said = collector.response()
                        if runs_tools:  # nobody answers what the last answer of a turn may still call
                            said = replace(said, tool_calls=[])
                        self._record([*new, *turn.messages], said, driver.now(), summary, cut)
                    yield chunk
                    self._turns.hand_to(driver.caller())

    def _record(
        self, new: list[Message], response: GenerateResponse, now: float, summary: list[Message], cut: int
    ) -> None:
        """Add a turn, and put *summary* in the place of the first *cut* messages, in one step."""
        turn = history.stamped([*new, assistant_message(response)], now)
        begin = 0 if cut else len(self.messages)
        self.messages[begin:] = [*summary, *self.messages[cut:], *turn] if cut else turn
        self.usage = self.usage + response.usage

    def add_message(self, role: Role, content: str, **metadata: Any) -> Message:
        """Append a message. `tool_calls`, `tool_call_id`, `reasoning` and `name` are its fields.

        All other keywords are metadata, kept with it and never sent.
        """
        fields = {key: metadata.pop(key) for key in _MESSAGE_FIELDS if key in metadata}
        message = clean_messages([*self.messages, {"role": role, "content": content, **fields}])[-1]
        if metadata:
            message["metadata"] = metadata
        self.messages.extend(history.stamped([message], BLOCKING.now()))
        return self.messages[-1]

    def get_history(self, include_system: bool = True) -> list[Message]:
        """Give a copy of the messages, with the system prompt first unless *include_system* is off."""
        messages = copy.deepcopy(self.messages)
        if include_system:
            prompt: list[Message] = (
                [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
            )
            return [*prompt, *messages]
        return [message for message in messages if message["role"] != "system"]

    def count_tokens(self) -> int:
        """Estimate how many tokens the history is (four characters each); `usage` counts what was sent."""
        return history.count_tokens(self.get_history())

    def clear(self) -> None:
        """Forget the messages; the system prompt and the settings stay."""
        self.messages.clear()
        self.usage = Usage()

    def fork(self) -> BasicSession:
        """Give a session that goes on from here by itself: a copy of the messages, the same provider."""
        other = BasicSession(
            self.provider,
            self.system_prompt,
            self.tools,
            self.temperature,
            self.seed,
            self.auto_compact,
            compact_above=self.compact_above,
        )
        other.mcp_client = self.mcp_client
        other.tool_policy = self.tool_policy
        other.messages = copy.deepcopy(self.messages)
        other.usage = self.usage
        return other

    def compact(self, *, keep: int = _KEEP, timeout: float | None = None) -> None:
        """Replace the old turns by a summary that the provider writes; about *keep* messages stay.

        It is a turn: on any failure the history is as it was. Raises ResponseError for a summary that is
        empty or was cut off.
        """
        run(self._compact_turn(BLOCKING, keep, timeout))

    async def acompact(self, *, keep: int = _KEEP, timeout: float | None = None) -> None:
        """Replace the old turns by a summary, awaited."""
        from abstractcore.drivers.eventloop import ASYNC

        await self._compact_turn(ASYNC, keep, timeout)

    async def _compact_turn(self, driver: Driver, keep: int, timeout: float | None) -> None:
        deadline = Deadline.after(check_timeout(timeout) or DEFAULT_TIMEOUT)
        async with self._turns.turn(driver, deadline):
            await self._compact(driver, deadline, keep)

    async def _compact(self, driver: Driver, deadline: Deadline, keep: int) -> None:
        summary, cut = await self._summary(driver, deadline, keep)
        if cut:
            self.messages[:cut] = summary

    async def _summary(self, driver: Driver, deadline: Deadline, keep: int) -> tuple[list[Message], int]:
        """Give what may replace the oldest messages, and how many of them: none where none is due.

        Raises ResponseError for a summary that is empty or was cut off.
        """
        llm = self._llm()
        cut = history.cut_for_summary(self.messages, keep)
        if cut == 0:
            return [], 0
        collector = self._collector()
        request = GenerateRequest(llm.model, history.summary_request(self.messages[:cut]))
        async with aclosing(llm.answer(Call(driver, deadline, collector), request)) as chunks:
            async for _ in chunks:
                pass
        response = collector.response()
        self.usage = self.usage + response.usage
        if not response.content.strip() or response.finish_reason == "length":
            raise ResponseError("the summary of the old turns is empty or was cut off; they are kept")
        return [history.summary_message(response.content, cut, driver.now())], cut

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the session to *path*, whole or not at all, readable by its owner alone (0600).

        Messages, system prompt, temperature and seed are kept; no key, no provider, no tool.
        Raises SessionError; the old file is then as it was.
        """
        messages = list(self.messages)  # as they stand now, whatever turn ends meanwhile
        data = history.dumps(history.Saved(messages, self.system_prompt, self.temperature, self.seed))
        try:
            write_whole(Path(path), data)
        except (OSError, ValueError) as failure:
            raise SessionError(f"{os.fspath(path)} cannot be saved: {_reason(failure)}") from failure

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, provider: LLM | None = None, tools: Sequence[Any] | None = None
    ) -> BasicSession:
        """Read a session that `save` wrote. Raises SessionError, naming the path and the reason."""
        try:
            data = Path(path).read_bytes()
        except (OSError, ValueError) as failure:
            raise SessionError(f"{os.fspath(path)} cannot be loaded: {_reason(failure)}") from failure
        saved = history.loads(data, os.fspath(path))
        session = cls(provider, saved.system_prompt, tools, saved.temperature, saved.seed)
        session.messages = saved.messages
        return session


def _reason(failure: OSError | ValueError) -> str:
    return getattr(failure, "strerror", None) or str(failure)
