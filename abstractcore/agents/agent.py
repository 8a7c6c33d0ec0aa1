"""Agent: a model, its instructions and its tools, working on one task at a time of its own.

A run is one turn of a session that lives as long as the run; the loop itself is the session's.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from abstractcore import conversation
from abstractcore.agents.runs import BlockingRuns, Runs, Work
from abstractcore.drivers.generators import Nested
from abstractcore.errors import ConfigurationError
from abstractcore.generation.messages import clean_messages
from abstractcore.generation.tool_runs import Approve, ToolPolicy, check_served, runnable
from abstractcore.session import BasicSession
from abstractcore.tools.schema import as_specs

if TYPE_CHECKING:
    from abstractcore.streams import Stream
    from abstractcore.types import AgentEvent, Message, StreamChunk

M = TypeVar("M")
_TOOL_TIMEOUT = 60.0


class AgentCore(Runs):
    """What both agents are. Each run has a session of its own, so runs may overlap."""

    _client: ClassVar[type[conversation.ClientCore]]
    _kind = "invoke_agent"

    def __init__(
        self,
        client: Any,
        system: str | None = None,
        *,
        tools: Sequence[Any] = (),
        max_iterations: int = 10,
        name: str | None = None,
        approve: Approve | None = None,
        concurrent_tool_calls: bool = False,
        tool_timeout: float = _TOOL_TIMEOUT,
        events: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        """Make an agent of *client*, whose model and tools it uses and whose history it leaves alone.

        *system* stands in place of the client's system message. *tools* are its own, beside those
        of the client and of `client.mcp_client`. At most *max_iterations* model calls may ask
        for tools; then one more, without tools, gives the answer. *approve* sees each call
        first and may refuse it. *tool_timeout* is in seconds, for each call. *events* sees each
        model call, answer, tool call and result, in the order they happen; what it raises ends the run.

        Raises ConfigurationError for a client of the other surface, and AsyncToolError for
        async tools on the sync one.
        """
        self._check_client(client)
        self.client = client
        self.system = system
        self.tools: list[Any] = list(tools)
        self.name = name
        self.messages: list[Message] = []
        """The last run's messages, as plain dicts; a run that fails or is cancelled leaves none."""
        self._restored: Sequence[Message] = ()
        self._policy = ToolPolicy(
            max_iterations, approve, concurrent_tool_calls, tool_timeout, agent=name, events=events
        )
        self._check_tools(self._tools())

    def _check_client(self, client: Any) -> None:
        if isinstance(client, self._client):
            check_served(client.mcp_client, blocking=self._blocks)
            return
        ours, maker = ("sync", "abstractcore.client(…)") if self._blocks else ("async", "aio.client(…)")
        raise ConfigurationError(
            f"an agent of the {ours} surface takes what {maker} gives, not {type(client).__module__}."
            f"{type(client).__name__}"
        )

    def _check_tools(self, tools: Sequence[Any]) -> None:
        as_specs(tools)
        runnable(tools, blocking=self._blocks, approve=self._policy.approve)

    def _tools(self) -> list[Any]:
        own = self.tools
        return [*own, *(tool for tool in self.client.tools if not any(tool is each for each in own))]

    def restore(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Let every run from now on go on from *messages*, a saved `messages`; an empty list ends that."""
        clean_messages(messages)
        self._restored = copy.deepcopy(list(messages))  # pyright: ignore[reportAttributeAccessIssue]
        self.messages = copy.deepcopy(self._restored)  # pyright: ignore[reportAttributeAccessIssue]

    def _session(self, work: Work) -> BasicSession:
        theirs: BasicSession = self.client.session
        system = theirs.system_prompt if self.system is None else self.system
        session = BasicSession(
            self.client.llm, system, self._tools(), temperature=theirs.temperature, seed=theirs.seed
        )
        session.mcp_client = theirs.mcp_client
        session.tool_policy = replace(self._policy, agent=self.name or work.label or "agent")
        session.messages = copy.deepcopy(list(self._restored))
        return session

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Do one turn of a session of its own, whose messages are the agent's once it has succeeded."""
        session = self._session(work)
        ask = session._ask(_asked(work))  # pyright: ignore[reportPrivateUsage]
        collector = session._collector()  # pyright: ignore[reportPrivateUsage]
        work.outcome.parts.append(collector)
        source = session._chunks(work.driver, ask, collector)  # pyright: ignore[reportPrivateUsage]
        async with aclosing(Nested(source)) as chunks:
            async for chunk in chunks:
                if chunk.phase == "done":
                    work.outcome.is_whole = True
                    self.messages = session.messages
                yield chunk


def _asked(work: Work) -> dict[str, Any]:
    """Say a run in `generate`'s words."""
    return {
        "prompt": work.task,
        "messages": None,
        "system_prompt": None,
        "tools": work.tools,
        "tool_choice": None,
        "run_tools": True,
        "response_model": work.schema,
        "return_response": False,
        "media": None,
        "stream": work.stream,
        "timeout": work.seconds_left(),
        "sampling": {},
    }


class Agent(BlockingRuns, AgentCore):
    """A model that works with tools until it has an answer, from sync code."""

    _client = conversation.Client

    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: None = None,
        timeout: float | None = None,
    ) -> str: ...
    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: type[M],
        timeout: float | None = None,
    ) -> M: ...
    @overload
    def run(
        self,
        task: str,
        *,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        timeout: float | None = None,
    ) -> Stream: ...
    def run(  # pyright: ignore[reportIncompatibleMethodOverride]  it takes more
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Work on *task* until an answer calls no tool, and give its text.

        Each run begins with an empty history, or with what `restore` set; afterwards
        `messages` holds it. *tools* stand in place of the agent's and the client's. With
        *schema* (as `response_model` of `generate`) the validated object is given. With
        *stream*, a stream of every phase, or of those in *include*. *timeout* (seconds) bounds
        the whole run.
        """
        return self._start({**locals()})
