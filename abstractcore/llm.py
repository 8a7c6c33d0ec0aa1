"""LLM: one model, asked with `generate` or `agenerate`.

The driver is chosen here; the arguments are checked and the work is done in the rooms below.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.errors import ClosedError
from abstractcore.generation.ask import (
    DEFAULT_TIMEOUT,
    Ask,
    Sampling,
    make_ask,
    with_messages,
    write_messages,
)
from abstractcore.generation.call import Call
from abstractcore.generation.call import chunks as answer_chunks
from abstractcore.generation.collect import Collector
from abstractcore.generation.messages import check_timeout
from abstractcore.providers.base import Loads
from abstractcore.streams import AsyncStream, Stream, StreamCore, wanted_phases
from abstractcore.types import GenerateRequest, GenerateResponse, StreamChunk

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.drivers.base import Driver
    from abstractcore.generation.media import Media
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider

M = TypeVar("M")
Messages = Sequence[Mapping[str, Any]]


class Generates:
    """`generate` and `agenerate`, the same on everything that answers.

    A subclass checks the arguments in `_ask` and answers in `_chunks`.
    """

    def _ask(self, arguments: dict[str, Any]) -> Ask:
        raise NotImplementedError

    def _collector(self) -> Collector:
        raise NotImplementedError

    def _chunks(self, driver: Driver, ask: Ask, collector: Collector) -> AsyncGenerator[StreamChunk]:
        raise NotImplementedError

    def _answer(self, driver: Driver, ask: Ask) -> Coroutine[Any, Any, Any]:
        collector = self._collector()
        return self._collected(self._chunks(driver, ask, collector), collector, ask)

    async def _collected(self, source: AsyncGenerator[StreamChunk], collector: Collector, ask: Ask) -> Any:
        async with aclosing(source) as chunks:
            async for _ in chunks:
                pass
        response = collector.response()
        return response.parsed if ask.response_model is not None and not ask.return_response else response

    def _stream(self, driver: Driver, ask: Ask, include: str | Iterable[str] | None) -> StreamCore:
        wanted = wanted_phases(include)
        collector = self._collector()
        return StreamCore(self._chunks(driver, ask, collector), collector, wanted)

    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: None = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> GenerateResponse: ...
    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: type[M],
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> M: ...
    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any,
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Any: ...
    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: Literal[True],
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> GenerateResponse: ...
    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Stream: ...
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Any:
        """Ask the model, and wait for its answer.

        The *prompt* is sent after *messages*, with the images in *media* (a path, bytes, a
        data URL or an https URL). *tools* are functions, `Tool`s or JSON-schema dicts; calls
        come back in `tool_calls` and nothing runs. With *response_model* (a pydantic model,
        dataclass, TypedDict or JSON schema) the validated object is returned, or the
        response with `.parsed` when *return_response*.

        With *stream* the request is sent at once and a `Stream` of chunks is returned:
        the answer's text, unless *include* names other phases. *timeout* (seconds, 600
        unless set) bounds the whole call, retries and stream included. Raises the errors of
        `abstractcore.errors`; TypeError for an argument that does not exist.
        """
        ask = self._ask(_arguments(locals()))
        if stream:
            return Stream(self._stream(BLOCKING, ask, include))
        wanted_phases(include)
        return run(self._answer(BLOCKING, ask))

    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: None = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Coroutine[Any, Any, GenerateResponse]: ...
    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: type[M],
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Coroutine[Any, Any, M]: ...
    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any,
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Coroutine[Any, Any, Any]: ...
    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: Literal[True],
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Coroutine[Any, Any, GenerateResponse]: ...
    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> AsyncStream: ...
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[Sampling],
    ) -> Any:
        """Ask the model as `generate` does, awaited; wrong arguments are raised at the call itself.

        With *stream* the `AsyncStream` that comes back can be awaited first (which sends the
        request and raises its errors) or iterated at once. A cancel closes the request.
        """
        from abstractcore.drivers.eventloop import ASYNC

        ask = self._ask(_arguments(locals()))
        if stream:
            return AsyncStream(self._stream(ASYNC, ask, include))
        wanted_phases(include)
        return self._answer(ASYNC, ask)


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("self", "include", "ASYNC")}


class LLM(Generates):
    """One model behind one provider. `create_llm` makes it; it holds no history.

    It works from sync code, async code, several threads and any number of event loops. It
    pickles without its key: the copy reads the environment where it is loaded.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        retry: Retry,
        defaults: Mapping[str, Any],
        made_by: tuple[Callable[..., LLM], dict[str, Any]],
    ) -> None:
        self._provider = provider
        self._retry = retry
        self._defaults = dict(defaults)
        self._made_by = made_by
        self._closed = False

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
        call = Call(driver, deadline, collector, ask.response_model)
        async with aclosing(self.answer(call, with_messages(ask, messages))) as chunks:
            async for chunk in chunks:
                yield chunk

    def answer(self, call: Call, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
        """Answer a whole request, for the rooms above that keep a history of their own."""
        return answer_chunks(call, self._provider, request, self._retry)

    async def _load(
        self, driver: Driver, progress: Callable[[str], None] | None, timeout: float | None
    ) -> None:
        seconds = check_timeout(timeout) or self._defaults.get("timeout") or DEFAULT_TIMEOUT
        self._check_open()
        if isinstance(self._provider, Loads):
            await self._provider.load(driver, Deadline.after(seconds), progress)

    def load(self, progress: Callable[[str], None] | None = None, *, timeout: float | None = None) -> None:
        """Load the local model now, and not with the first call; a remote provider has nothing to load.

        *progress* is called with a line of text for each stage. Raises ModelLoadError.
        """
        run(self._load(BLOCKING, progress, timeout))

    async def aload(
        self, progress: Callable[[str], None] | None = None, *, timeout: float | None = None
    ) -> None:
        """Load the local model without stopping the event loop; otherwise as `load`."""
        from abstractcore.drivers.eventloop import ASYNC

        await self._load(ASYNC, progress, timeout)

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
        return _make_again, self._made_by


def _make_again(make: Callable[..., LLM], arguments: dict[str, Any]) -> LLM:
    return make(**arguments)
