"""LLM: one model, asked with `generate` or `agenerate`.

It holds a provider, its policy and its defaults; the work is done in the rooms below.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from abstractcore.batching import Batches
from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.drivers.pace import Limiter
from abstractcore.errors import AbstractCoreError, ClosedError, ConfigurationError
from abstractcore.generation.ask import DEFAULT_TIMEOUT, Ask, make_ask, with_messages, write_messages
from abstractcore.generation.call import Call
from abstractcore.generation.call import chunks as answer_chunks
from abstractcore.generation.call import models as list_models
from abstractcore.generation.collect import Collector
from abstractcore.generation.messages import check_timeout
from abstractcore.generation.retry import Retry
from abstractcore.generation.tool_loop import Turn, turn_chunks
from abstractcore.generation.tool_runs import ToolPolicy
from abstractcore.providers.base import KeepsSecrets, Loads
from abstractcore.providers.stand_ins import standing_in
from abstractcore.tracing.watching import calls_are_watched
from abstractcore.types import GenerateRequest, Health, StreamChunk

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.drivers.base import Driver
    from abstractcore.generation.embed import EmbedArguments
    from abstractcore.generation.hooks import (
        ChunkEvent,
        ErrorEvent,
        Hooks,
        RequestEvent,
        ResponseEvent,
        RetryEvent,
    )
    from abstractcore.providers.base import Provider
    from abstractcore.types import EmbeddingResponse

_GLANCE = 30.0
_POLICY = ToolPolicy()


Watch = Callable[[str], None] | bool | None
"""Who hears how a load goes: see `LLM.load`."""


class LLM(Batches):
    """One model behind one provider. `create_llm` makes it; it holds no history.

    It works from sync code, async code, several threads and any number of event loops. It
    pickles without its key: the copy reads the environment where it is loaded.
    """

    _hooks: Hooks | None = None

    def __init__(
        self,
        provider: Provider,
        *,
        retry: Retry,
        defaults: Mapping[str, Any],
        made_by: tuple[Callable[..., LLM], dict[str, Any]] | None,
    ) -> None:
        self._provider = provider
        self._retry = retry
        self._defaults = dict(defaults)
        self._made_by = made_by
        self._closed = False
        self._limiter = Limiter()

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._provider.name

    @property
    def model(self) -> str:
        """The model's id."""
        return self._provider.model

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self.provider}: this LLM is closed")

    def _ask(self, arguments: dict[str, Any]) -> Ask:
        self._check_open()
        return make_ask(self.model, self._defaults, **arguments)

    def _collector(self) -> Collector:
        return Collector(self.provider, self.model)

    async def _chunks(self, driver: Driver, ask: Ask, collector: Collector) -> AsyncGenerator[StreamChunk]:
        deadline = Deadline.after(ask.seconds)
        messages = await write_messages(driver, ask)
        runs_tools = ask.tools is not None
        call = Call(
            driver, deadline, collector, ask.response_model, runs_tools, ask.before_request, self._scrub
        )
        request = with_messages(ask, messages)
        policy = ToolPolicy(**ask.tool_options) if ask.tool_options else _POLICY
        work = turn_chunks(call, self.answer, request, ask.tools, policy, Turn())
        async with aclosing(work) as chunks:
            async for chunk in chunks:
                yield chunk

    def answer(self, call: Call, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
        """Answer a whole request, for the rooms above that keep a history of their own."""
        if calls_are_watched():
            from abstractcore.generation.watched import watched

            return watched(self._hooks, call, self._provider, request, self._retry)
        if self._hooks:
            from abstractcore.generation.hooks import heard

            return heard(self._hooks, call, self._provider, request, self._retry)
        return answer_chunks(call, self._provider, request, self._retry)

    def _scrub(self, text: str) -> str:
        """Replace the provider's key wherever it stands in *text*."""
        return self._provider.scrub(text) if isinstance(self._provider, KeepsSecrets) else text

    @overload
    def on(
        self, event: Literal["request"], callback: Callable[[RequestEvent], None]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event: Literal["retry"], callback: Callable[[RetryEvent], None]) -> Callable[[], None]: ...
    @overload
    def on(self, event: Literal["chunk"], callback: Callable[[ChunkEvent], None]) -> Callable[[], None]: ...
    @overload
    def on(
        self, event: Literal["response"], callback: Callable[[ResponseEvent], None]
    ) -> Callable[[], None]: ...
    @overload
    def on(self, event: Literal["error"], callback: Callable[[ErrorEvent], None]) -> Callable[[], None]: ...
    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]:
        """Call *callback* at each "request", "retry", "chunk", "response" or "error"; give what ends that.

        It is called where the call runs, on both surfaces, so it must be short; what it raises is
        raised to the caller. Sessions, clients and agents over this LLM are heard too.
        """
        from abstractcore.generation.hooks import Hooks

        hooks: Hooks = vars(self).setdefault("_hooks", Hooks())  # in one step, whatever thread comes first
        return hooks.add(event, callback)

    async def _load(self, driver: Driver, progress: Watch, timeout: float | None) -> None:
        seconds = check_timeout(timeout) or self._defaults.get("timeout") or DEFAULT_TIMEOUT
        self._check_open()
        driver, provider = standing_in(driver, self._provider)
        if isinstance(provider, Loads):
            await provider.load(driver, Deadline.after(seconds), _watcher(progress))

    def load(self, progress: Watch = None, *, timeout: float | None = None) -> None:
        """Load the local model now, and not with the first call; a remote provider has nothing to load.

        *progress* is called with a line of text for each stage; with True a bar on the terminal, where
        stderr is one, shows them. Raises ModelLoadError.
        """
        run(self._load(BLOCKING, progress, timeout))

    async def aload(self, progress: Watch = None, *, timeout: float | None = None) -> None:
        """Load the local model without stopping the event loop; otherwise as `load`."""
        from abstractcore.drivers.eventloop import ASYNC

        await self._load(ASYNC, progress, timeout)

    async def _models(self, driver: Driver, timeout: float | None) -> list[str]:
        self._check_open()
        deadline = Deadline.after(check_timeout(timeout) or _GLANCE)
        return await list_models(driver, self._provider, self._retry, deadline)

    async def _health(self, driver: Driver, timeout: float | None) -> Health:
        self._check_open()
        deadline = Deadline.after(check_timeout(timeout) or _GLANCE)
        error: AbstractCoreError | None = None
        try:
            await list_models(driver, self._provider, Retry(0), deadline)
        except AbstractCoreError as failure:
            error = failure
        return Health(error is None, deadline.seconds - deadline.left(), error)

    async def _embed(
        self, driver: Driver, timeout: float | None, **asked: Unpack[EmbedArguments]
    ) -> EmbeddingResponse:
        from abstractcore.generation.embed import embedded, make_plan

        self._check_open()
        seconds = check_timeout(timeout) or self._defaults.get("timeout") or DEFAULT_TIMEOUT
        plan = make_plan(self.model, **asked)
        work = embedded(driver, self._provider, self._retry, plan, Deadline.after(seconds))
        if calls_are_watched():
            from abstractcore.generation.watched import watched_embed

            return await watched_embed(self._provider, plan.request, work)
        return await work

    def embed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        truncate: bool = False,
        batch_size: int | None = None,
        concurrency: int = 4,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> EmbeddingResponse:
        """Turn one text or many into vectors, one for each text and in their order.

        *dimensions* asks for shorter vectors, of models that can. A text that is too long for the model
        is an error, unless it may be cut (*truncate*). More texts than *batch_size*, or than the provider
        takes in one request, are sent in several, *concurrency* at a time. *timeout* (seconds, 600
        unless set) bounds the whole call, retries included. *extra* goes to the wire unchanged.

        A vector that is missing, empty, all zero or not of numbers is ResponseError. Raises
        UnsupportedFeatureError for a provider without embeddings, and what `generate` raises.
        """
        return run(
            self._embed(
                BLOCKING,
                timeout,
                texts=texts,
                dimensions=dimensions,
                truncate=truncate,
                batch_size=batch_size,
                concurrency=concurrency,
                extra=extra,
            )
        )

    async def aembed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        truncate: bool = False,
        batch_size: int | None = None,
        concurrency: int = 4,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> EmbeddingResponse:
        """Turn one text or many into vectors, awaited, as `embed` does. A cancel closes the requests."""
        from abstractcore.drivers.eventloop import ASYNC

        return await self._embed(
            ASYNC,
            timeout,
            texts=texts,
            dimensions=dimensions,
            truncate=truncate,
            batch_size=batch_size,
            concurrency=concurrency,
            extra=extra,
        )

    def list_models(self, *, timeout: float | None = None) -> list[str]:
        """List the ids of the models that this provider offers; *timeout* is 30 seconds unless set."""
        return run(self._models(BLOCKING, timeout))

    async def alist_models(self, *, timeout: float | None = None) -> list[str]:
        """List the ids of the models that this provider offers, awaited."""
        from abstractcore.drivers.eventloop import ASYNC

        return await self._models(ASYNC, timeout)

    def health(self, *, timeout: float | None = None) -> Health:
        """Ask once, without a retry, whether the provider answers and takes the key.

        The answer is true or false by itself and holds the error; a provider's failure is not
        raised. No tokens are used.
        """
        return run(self._health(BLOCKING, timeout))

    async def ahealth(self, *, timeout: float | None = None) -> Health:
        """Ask once whether the provider answers, awaited; otherwise as `health`."""
        from abstractcore.drivers.eventloop import ASYNC

        return await self._health(ASYNC, timeout)

    def close(self) -> None:
        """Release connections, or the local model. Using the object afterwards raises ClosedError."""
        self._closed = True
        self._provider.close()

    async def aclose(self) -> None:
        """Release connections, or the local model, without stopping the event loop."""
        from abstractcore.drivers.eventloop import ASYNC

        self._closed = True
        await ASYNC.call(self._provider.close)

    def __enter__(self) -> LLM:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> LLM:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<LLM {self.provider}:{self.model}>"

    def __reduce__(self) -> tuple[Callable[..., LLM], tuple[Any, ...]]:
        if self._made_by is None:
            raise ConfigurationError(
                f"{self.provider}: an LLM on a client of yours does not pickle; make both there"
            )
        return _make_again, self._made_by


def _make_again(make: Callable[..., LLM], arguments: dict[str, Any]) -> LLM:
    return make(**arguments)


def _watcher(progress: Watch) -> Callable[[str], None] | None:
    if isinstance(progress, bool):
        from abstractcore.engines.bar import TerminalBar

        return TerminalBar() if progress else None
    return progress
