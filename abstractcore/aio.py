"""The same names, awaited. Signatures and one line of body each: the work is in the rooms below.

What is the same on both surfaces, types, errors and modules, stands here too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from abstractcore import conversation
from abstractcore.agents import agent, workflows
from abstractcore.agents.printing import pretty_print
from abstractcore.agents.runs import AwaitedRuns
from abstractcore.factory import Options, create_llm
from abstractcore.failover import fallback
from abstractcore.generation.ask import CallOptions
from abstractcore.mcp import AsyncMCPClient as MCPClient
from abstractcore.session import BasicSession
from abstractcore.streams import AsyncStream
from abstractcore.tools import Tool, ToolContext, tool
from abstractcore.types import GenerateResponse, StreamChunk, ToolCall, Usage

if TYPE_CHECKING:  # what a type checker reads; at run time __getattr__ finds the same names
    from types import TracebackType

    from abstractcore import (
        LLM,
        AbstractCoreError,
        AgentEvent,
        APIError,
        AsyncBatchJob,
        AsyncMapResults,
        AsyncStream,
        AsyncToolError,
        AuthenticationError,
        BadRequestError,
        BatchCounts,
        BatchError,
        BatchJob,
        ChunkEvent,
        ClosedError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ContextLengthError,
        EmbeddingResponse,
        EngineDeadError,
        EngineError,
        ErrorEvent,
        FallbackLLM,
        Health,
        IncompleteStreamError,
        MapResult,
        MapResults,
        MCPConnectionError,
        MCPToolsChangedError,
        Message,
        MissingDependencyError,
        ModelLoadError,
        ModelNotFoundError,
        OutOfMemoryError,
        OverloadedError,
        PermissionDeniedError,
        QuotaExceededError,
        RateLimitError,
        RequestEvent,
        RequestTimeoutError,
        ResponseError,
        ResponseEvent,
        RetryEvent,
        ServerError,
        SessionError,
        Stream,
        StructuredOutputError,
        ToolError,
        ToolPolicy,
        TransportError,
        UnknownProviderError,
        UnsupportedFeatureError,
        distributed,
        errors,
        models,
        testing,
        tools,
        types,
    )
    from abstractcore.generation.media import Media

M = TypeVar("M")

__all__ = [
    "LLM",
    "APIError",
    "AbstractCoreError",
    "Agent",
    "AgentEvent",
    "AsyncBatchJob",
    "AsyncMapResults",
    "AsyncStream",
    "AsyncToolError",
    "AuthenticationError",
    "BadRequestError",
    "BasicSession",
    "BatchCounts",
    "BatchError",
    "BatchJob",
    "Chain",
    "ChunkEvent",
    "Client",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContextLengthError",
    "EmbeddingResponse",
    "EngineDeadError",
    "EngineError",
    "ErrorEvent",
    "EvaluatorOptimizer",
    "FallbackLLM",
    "GenerateResponse",
    "Health",
    "IncompleteStreamError",
    "MCPClient",
    "MCPConnectionError",
    "MCPToolsChangedError",
    "MapResult",
    "MapResults",
    "Message",
    "MissingDependencyError",
    "ModelLoadError",
    "ModelNotFoundError",
    "OutOfMemoryError",
    "OverloadedError",
    "Parallel",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestEvent",
    "RequestTimeoutError",
    "ResponseError",
    "ResponseEvent",
    "RetryEvent",
    "Router",
    "ServerError",
    "SessionError",
    "Stream",
    "StreamChunk",
    "StructuredOutputError",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolPolicy",
    "TransportError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "Usage",
    "chat",
    "client",
    "create_llm",
    "distributed",
    "errors",
    "fallback",
    "models",
    "pretty_print",
    "testing",
    "tool",
    "tools",
    "types",
]


def __getattr__(name: str) -> object:
    """Give what is the same on both surfaces, and not needed here: types, errors and modules."""
    if name not in __all__:
        raise AttributeError(f"module 'abstractcore.aio' has no attribute {name!r}")
    import abstractcore

    return getattr(abstractcore, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
        **params: Unpack[CallOptions],
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
        **params: Unpack[CallOptions],
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
        **params: Unpack[CallOptions],
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
        **params: Unpack[CallOptions],
    ) -> Any:
        """Say *text*, and give the answer's text, awaited; as `Client.chat` of the sync surface.

        Async tools are awaited, sync ones run in threads. With *stream*, what comes back can
        be awaited first or iterated at once.
        """
        return self._say(self.session.agenerate, {**locals()})

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
    return conversation.new_client(Client, model, system, tools, options)


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
