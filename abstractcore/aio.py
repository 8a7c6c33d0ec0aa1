"""The same names, awaited. Signatures and one line of body each: the work is in the rooms below."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from abstractcore import conversation
from abstractcore.agents import agent, workflows
from abstractcore.agents.printing import pretty_print
from abstractcore.agents.runs import AwaitedRuns
from abstractcore.errors import ConfigurationError
from abstractcore.factory import Options, create_llm
from abstractcore.failover import fallback
from abstractcore.generation.ask import Sampling
from abstractcore.llm import LLM
from abstractcore.mcp import AsyncMCPClient as MCPClient
from abstractcore.session import BasicSession
from abstractcore.streams import AsyncStream
from abstractcore.tools import Tool, ToolContext, tool
from abstractcore.types import PHASES, GenerateResponse, StreamChunk, ToolCall, Usage

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.generation.media import Media

M = TypeVar("M")

__all__ = [
    "Agent",
    "BasicSession",
    "Chain",
    "Client",
    "EvaluatorOptimizer",
    "GenerateResponse",
    "MCPClient",
    "Parallel",
    "Router",
    "StreamChunk",
    "Tool",
    "ToolCall",
    "ToolContext",
    "Usage",
    "chat",
    "client",
    "create_llm",
    "fallback",
    "pretty_print",
    "tool",
]

_IN_PROCESS = ("huggingface", "llamacpp", "local", "mlx", "openvino")


class Client(conversation.ClientCore):
    """A conversation with one model, from async code. `aio.client()` makes it."""

    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: None = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[Sampling],
    ) -> Coroutine[Any, Any, str]: ...
    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: type[M],
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[Sampling],
    ) -> Coroutine[Any, Any, M]: ...
    @overload
    def chat(
        self,
        text: str,
        *,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[Sampling],
    ) -> AsyncStream: ...
    def chat(
        self,
        text: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        **params: Unpack[Sampling],
    ) -> Any:
        """Say *text*, and give the answer's text, awaited; as `Client.chat` of the sync surface.

        Async tools are awaited, sync ones run in threads. With *stream*, what comes back can
        be awaited first or iterated at once.
        """
        options = self._options({**locals()})
        if stream:
            return self.session.agenerate(text, stream=True, include=include or PHASES, **options)
        return _text(self.session.agenerate(text, include=include, **options))

    def fork(self) -> Client:
        """Give a client that goes on from here by itself: a copy of the messages, the same model."""
        return Client(self.session.fork())

    async def aclose(self) -> None:
        """Release the model's connections or weights."""
        await self.llm.aclose()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def _text(answering: Coroutine[Any, Any, Any]) -> Any:
    answer = await answering
    return answer.content if isinstance(answer, GenerateResponse) else answer


def client(
    model: conversation.Model | conversation.Client,
    *,
    system: str | None = None,
    tools: Sequence[Any] | None = None,
    **options: Unpack[Options],
) -> Client:
    """Make an async client of a model, or of a sync client, whose model and state it shares.

    A model in this process is loaded by a sync client first: naming one here is
    ConfigurationError (a ValueError), which shows how.
    """
    if isinstance(model, Client):
        raise ConfigurationError("this client is an async one already")
    if isinstance(model, conversation.Client):
        conversation.check_none_given(options)
        made = Client(model.session)
        if tools is not None:
            made.tools = tools
        if system is not None:
            made.system_message = system
        return made
    _check_remote(model)
    made = Client(conversation.new_session(model, system, options))
    made.tools = tools or ()
    return made


def _check_remote(model: conversation.Model) -> None:
    if isinstance(model, LLM):
        return
    name = getattr(model, "provider", model.partition(":")[0]).strip().lower()
    if name not in _IN_PROCESS:
        return
    raise ConfigurationError(
        f"{name} runs in this process, and two clients must not load its weights twice. Wrap a sync client:\n"
        "    sync_client = abstractcore.client(...)\n"
        "    async_client = aio.client(sync_client)"
    )


def chat(text: str, *, model: conversation.Model, system: str | None = None, **arguments: Any) -> Any:
    """Ask once: as `client(model, system=system).chat(text, ...)`; nothing is kept."""
    return client(model, system=system).chat(text, **arguments)


class Agent(AwaitedRuns, agent.AgentCore):
    """A model that works with tools until it has an answer, from async code."""

    _client = Client

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
    ) -> Coroutine[Any, Any, str]: ...
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
    ) -> Coroutine[Any, Any, M]: ...
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
    ) -> AsyncStream: ...
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
        """Work on *task* until an answer calls no tool, and give its text, awaited.

        As `Agent.run` of the sync surface. Async tools are awaited, sync ones run in threads.
        A cancel ends the request that is under way, and leaves `messages` as they were.
        """
        return self._start({**locals()})


class Chain(AwaitedRuns, workflows.ChainCore):
    """Steps one after the other; the text of each is the task of the next."""

    _agent = Agent


class Parallel(AwaitedRuns, workflows.ParallelCore):
    """Workers side by side, as tasks: the first failure cancels the others, their requests too.

    It surfaces in an ExceptionGroup, each of whose members names its worker: `failure.worker`,
    and a note.
    """

    _agent = Agent


class Router(AwaitedRuns, workflows.RouterCore):
    """One of several routes, chosen by a model for each task."""

    _agent = Agent


class EvaluatorOptimizer(AwaitedRuns, workflows.EvaluatorOptimizerCore):
    """Answers, judged and made better, round by round."""

    _agent = Agent
