"""The stream objects that a caller holds, one for each surface, over one core generator.

Leaving a stream early (`break`, `close`, cancel, an exception in the loop's body, garbage
collection) closes the core generator, and with it the HTTP response or the local job.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from abstractcore.drivers.blocking import iterate, run
from abstractcore.errors import ClosedError, ConfigurationError
from abstractcore.types import PHASES, GenerateResponse, StreamChunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from abstractcore.generation.collect import Collector

_ANSWER = frozenset(("generating", "tool_calling", "done"))


def wanted_phases(include: str | Iterable[str] | None) -> frozenset[str]:
    """Check an `include=`; without one a stream gives the answer and leaves the thinking out.

    Raises ConfigurationError (a ValueError) for a phase that does not exist.
    """
    if include is None:
        return _ANSWER
    phases = frozenset((include,) if isinstance(include, str) else include)
    if unknown := sorted(str(phase) for phase in phases if phase not in PHASES):
        raise ConfigurationError(f"unknown phase {', '.join(unknown)}: include= takes {', '.join(PHASES)}")
    return phases


class StreamCore:
    """What both streams do: open, and give the chunks of the wanted phases once.

    The source itself keeps every chunk in the *collector*. The iterators hold this object and
    not the stream, so that no circle of references delays the end of an abandoned one.
    """

    def __init__(
        self,
        source: AsyncGenerator[StreamChunk],
        collector: Collector,
        wanted: frozenset[str],
    ) -> None:
        self._source = source
        self._collector = collector
        self._wanted = wanted
        self._first: StreamChunk | None = None
        self._is_opening = False
        self._is_open = False
        self._is_taken = False
        self._is_closed = False
        self._is_over = False

    async def open(self) -> None:
        """Send the request and wait for the first chunk, so that its errors are raised here."""
        if self._is_open:
            return
        if self._is_over:
            raise ClosedError("this stream is closed: it failed, or was closed before it was opened")
        if self._is_opening:
            raise ConfigurationError("another task is opening this stream")
        self._is_opening = True
        try:
            self._first = await anext(self._source)
        except BaseException:
            self._is_over = True
            raise
        self._is_open = True

    async def chunks(self) -> AsyncGenerator[StreamChunk]:
        """Give the chunks of the wanted phases. The source is closed at the end, however it comes."""
        await self.open()
        self.check_open()
        wanted = self._wanted
        first, self._first = self._first, None
        try:
            async with aclosing(self._source) as source:
                if first is not None and first.phase in wanted:
                    yield first
                async for chunk in source:
                    if chunk.phase in wanted:
                        yield chunk
        finally:
            self._is_over = True

    def take(self) -> AsyncGenerator[StreamChunk]:
        """Give the chunks to iterate; this can be done once."""
        self.check_open()
        if self._is_taken:
            raise ConfigurationError("this stream has been iterated already; its text is in stream.partial")
        self._is_taken = True
        return self.chunks()

    def check_open(self) -> None:
        """Raise ClosedError for a stream that was closed before its end."""
        if self._is_closed and not self._collector.is_whole:
            raise ClosedError("this stream is closed; what arrived is in stream.partial")

    async def close(self) -> None:
        """Stop the source; calling it again does nothing."""
        if getattr(self._source, "ag_running", False):
            raise ConfigurationError(
                "this stream is being read elsewhere: cancel the reader, or close the LLM"
            )
        self._is_closed = self._is_taken = self._is_over = True
        self._first = None
        await self._source.aclose()

    def warn_unless_over(self) -> None:
        """Warn of a stream that is forgotten before its end; its source closes as it is forgotten."""
        if self._is_open and not self._is_over and not sys.is_finalizing():
            self._is_over = True
            warnings.warn("a stream was neither read to its end nor closed", ResourceWarning, stacklevel=3)

    def __del__(self) -> None:
        self.warn_unless_over()

    def partial(self) -> GenerateResponse:
        """Give what has arrived so far."""
        return self._collector.response()

    def whole(self) -> GenerateResponse:
        """Give the whole response, once the stream has ended."""
        if not self._collector.is_whole:
            raise ConfigurationError(
                "the stream has not ended: its response is not whole; see stream.partial"
            )
        return self._collector.response()


class Stream(Iterator[StreamChunk]):
    """A streamed answer: iterate it, once. The request has been sent when you hold it.

    A `for` loop gets an iterator of its own, so that `break` closes the request even while
    this object stands in a variable. It is a context manager too.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        self._stepped: Generator[StreamChunk] | None = None
        self._is_looped = False
        run(core.open())

    def __iter__(self) -> Iterator[StreamChunk]:
        if self._stepped is None or self._is_looped:
            return _iterate(self._core.take())
        self._core.check_open()
        self._is_looped = True
        return _go_on(self._stepped)

    def __next__(self) -> StreamChunk:
        self._core.check_open()
        if self._stepped is None:
            self._stepped = _iterate(self._core.take())
        return next(self._stepped)

    @property
    def response(self) -> GenerateResponse:
        """The whole response. Raises ConfigurationError before the stream has ended."""
        return self._core.whole()

    @property
    def partial(self) -> GenerateResponse:
        """What has arrived so far."""
        return self._core.partial()

    def close(self) -> None:
        """Stop: the connection or the local job ends at once. Calling it again does nothing."""
        run(self._core.close())

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_stepped", None) is not None and not self._is_looped:
            self._core.warn_unless_over()


def _iterate(chunks: AsyncGenerator[StreamChunk]) -> Generator[StreamChunk]:
    return cast("Generator[StreamChunk]", iterate(chunks))


def _go_on(stepped: Generator[StreamChunk]) -> Iterator[StreamChunk]:
    yield from stepped


class AsyncStream(Coroutine[Any, Any, "AsyncStream"], AsyncIterator[StreamChunk]):
    """A streamed answer: await it to send the request, then iterate it, once; or iterate it at once.

    It is a coroutine (`gather`, `create_task`, `wait_for` and `TaskGroup` take it), an async
    iterator and an async context manager. An `async for` loop gets an iterator of its own,
    so that `break` closes the request even while this object stands in a variable.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        self._opening: Coroutine[Any, Any, AsyncStream] | None = None
        self._stepped: AsyncGenerator[StreamChunk] | None = None
        self._is_looped = False

    async def _open(self) -> AsyncStream:
        await self._core.open()
        return self

    def __await__(self) -> Generator[Any, Any, AsyncStream]:
        return self._open().__await__()

    def send(self, value: Any) -> Any:
        """Go on with opening the stream, as event loops do with a coroutine."""
        return self._advance(self._coroutine().send, value)

    def throw(self, *failure: Any) -> Any:
        """Raise inside the opening, as event loops do to cancel a coroutine."""
        return self._advance(self._coroutine().throw, *failure)

    def close(self) -> None:
        """End the opening, as event loops do with a coroutine; `aclose` closes the stream."""
        if self._opening is not None:
            self._opening.close()
            self._opening = None

    def _coroutine(self) -> Coroutine[Any, Any, AsyncStream]:
        if self._opening is None:
            self._opening = self._open()
        return self._opening

    def _advance(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except BaseException:  # it has ended, well or not; whoever awaits the stream again gets another
            self._opening = None
            raise

    def __aiter__(self) -> AsyncIterator[StreamChunk]:
        if self._stepped is None or self._is_looped:
            return self._core.take()
        self._core.check_open()
        self._is_looped = True
        return _ago_on(self._stepped)

    async def __anext__(self) -> StreamChunk:
        self._core.check_open()
        if self._stepped is None:
            self._stepped = self._core.take()
        return await anext(self._stepped)

    @property
    def response(self) -> GenerateResponse:
        """The whole response. Raises ConfigurationError before the stream has ended."""
        return self._core.whole()

    @property
    def partial(self) -> GenerateResponse:
        """What has arrived so far."""
        return self._core.partial()

    async def aclose(self) -> None:
        """Stop: the connection or the local job ends at once. Calling it again does nothing."""
        await self._core.close()

    async def __aenter__(self) -> AsyncStream:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # The source was started in the loop, which closes it: see asyncio's generator hooks.
        if getattr(self, "_stepped", None) is not None and not self._is_looped:
            self._core.warn_unless_over()


async def _ago_on(stepped: AsyncGenerator[StreamChunk]) -> AsyncGenerator[StreamChunk]:
    async with aclosing(stepped):
        async for chunk in stepped:
            yield chunk
