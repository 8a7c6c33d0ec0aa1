"""`generate` and `agenerate` with their signatures, the same on everything that answers.

The driver is chosen here, and the stream object is made; a subclass says what answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.generation.ask import Ask, CallOptions
from abstractcore.generation.collect import Collector
from abstractcore.streams import AsyncStream, Stream, StreamCore, wanted_phases
from abstractcore.types import GenerateResponse, StreamChunk

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver
    from abstractcore.generation.media import Media

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

    def _begin(self, driver: Driver, given: dict[str, Any]) -> StreamCore | Coroutine[Any, Any, Any]:
        """Check what was asked, and give the stream or the answer of it; nothing has been sent yet."""
        ask = self._ask(_arguments(given))
        if given["stream"]:
            return self._stream(driver, ask, given["include"])
        wanted_phases(given["include"])
        return self._answer(driver, ask)

    def _do(self, given: dict[str, Any]) -> Any:
        begun = self._begin(BLOCKING, given)
        return Stream(begun) if isinstance(begun, StreamCore) else run(begun)

    def _ado(self, given: dict[str, Any]) -> Any:
        from abstractcore.drivers.eventloop import ASYNC

        begun = self._begin(ASYNC, given)
        return AsyncStream(begun) if isinstance(begun, StreamCore) else begun

    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: None = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: type[M],
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any,
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any = None,
        return_response: Literal[True],
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
    ) -> Stream: ...
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
    ) -> Any:
        """Ask the model, and wait for its answer.

        The *prompt* is sent after *messages*, with the images in *media* (a path, bytes, a
        data URL or an https URL). *tools* are functions, `Tool`s or JSON-schema dicts; calls
        come back in `tool_calls` and nothing runs, unless *run_tools*: then they are run, as
        *max_iterations* and its like say, and the model is asked again. With *response_model*
        (a pydantic model, dataclass, TypedDict or JSON schema) the validated object is
        returned, or the response with `.parsed` when *return_response*.

        With *stream* the request is sent at once and a `Stream` of chunks is returned:
        the answer's text, unless *include* names other phases. *timeout* (seconds, 600
        unless set) bounds the whole call, retries and stream included. Raises the errors of
        `abstractcore.errors`; TypeError for an argument that does not exist.
        """
        return self._do(locals())

    @overload
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: None = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: type[M],
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any,
        return_response: Literal[False] = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any = None,
        return_response: Literal[True],
        media: Media | Sequence[Media] | None = None,
        stream: Literal[False] = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
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
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: Literal[True],
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
    ) -> AsyncStream: ...
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
        **sampling: Unpack[CallOptions],
    ) -> Any:
        """Ask the model as `generate` does, awaited; wrong arguments are raised at the call itself.

        With *stream* the `AsyncStream` that comes back can be awaited first (which sends the
        request and raises its errors) or iterated at once. A cancel closes the request.
        """
        return self._ado(locals())


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("self", "include")}
