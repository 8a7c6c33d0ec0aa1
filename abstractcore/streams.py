"""The stream objects that a caller holds, one for each surface, over one core generator.

Leaving a stream early (`break`, `close`, cancel, an exception in the loop's body, garbage
collection) closes the core generator, and with it the HTTP response or the local job.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.blocking import iterate, run
from abstractcore.errors import ConfigurationError
from abstractcore.types import PHASES, GenerateResponse, StreamChunk

if TYPE_CHECKING:
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

    The source itself keeps every chunk in the *collector*.
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
        self.is_open = False
        self.is_taken = False

    async def open(self) -> None:
        """Send the request and wait for the first chunk, so that its errors are raised here."""
        if self.is_open:
            return
        self.is_open = True
        try:
            self._first = await anext(self._source)
        except BaseException:
            await self.close()
            raise

    async def chunks(self) -> AsyncGenerator[StreamChunk]:
        """Give the chunks of the wanted phases. The source is closed at the end, however it comes."""
        await self.open()
        if self._first is None:
            return
        wanted = self._wanted
        chunk, self._first = self._first, None
        async with aclosing(self._source) as source:
            if chunk.phase in wanted:
                yield chunk
            async for chunk in source:
                if chunk.phase in wanted:
                    yield chunk

    def take(self) -> None:
        """Note that iteration begins; it can only begin once."""
        if self.is_taken:
            raise ConfigurationError("this stream has been iterated already; its text is in stream.partial")
        self.is_taken = True

    async def close(self) -> None:
        """Stop the source; calling it again does nothing."""
        self.is_taken = True
        self._first = None
        await self._source.aclose()

    @property
    def is_left_open(self) -> bool:
        """Whether a request was sent and nobody has begun to read its answer."""
        return self.is_open and not self.is_taken

    def partial(self) -> GenerateResponse:
        """Give what has arrived so far."""
        return self._collector.response()

    def whole(self) -> GenerateResponse:
        """Give the whole response, once the stream has ended."""
        if not self._collector.is_whole:
            raise ConfigurationError("the stream has not ended: its response is not whole; see stream.partial")
        return self._collector.response()


class Stream(Iterator[StreamChunk]):
    """A streamed answer: iterate it, once. The request has been sent when you hold it.

    A `for` loop gets an iterator of its own, so that `break` closes the request even while
    this object stands in a variable. It is a context manager too.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        self._iterator: Generator[StreamChunk] | None = None
        run(core.open())

    def __iter__(self) -> Iterator[StreamChunk]:
        if self._iterator is not None:
            return self._iterator
        self._core.take()
        return self._chunks()

    def _chunks(self) -> Generator[StreamChunk]:
        yield from iterate(self._core.chunks())

    def __next__(self) -> StreamChunk:
        if self._iterator is None:
            self._core.take()
            self._iterator = self._chunks()
        return next(self._iterator)

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
        if self._iterator is not None:
            self._iterator.close()
        run(self._core.close())

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and core.is_left_open:
            warnings.warn("a stream was neither read nor closed", ResourceWarning, source=self, stacklevel=2)
            run(core.close())


class AsyncStream(Coroutine[Any, Any, "AsyncStream"], AsyncIterator[StreamChunk]):
    """A streamed answer: await it to send the request, then iterate it, once; or iterate it at once.

    It is a coroutine (`gather`, `create_task`, `wait_for` and `TaskGroup` take it), an async
    iterator and an async context manager. An `async for` loop gets an iterator of its own,
    so that `break` closes the request even while this object stands in a variable.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        self._opening: Coroutine[Any, Any, AsyncStream] | None = None
        self._iterator: AsyncGenerator[StreamChunk] | None = None

    async def _open(self) -> AsyncStream:
        await self._core.open()
        return self

    def _coroutine(self) -> Coroutine[Any, Any, AsyncStream]:
        if self._opening is None:
            self._opening = self._open()
        return self._opening

    def __await__(self) -> Generator[Any, Any, AsyncStream]:
        return self._open().__await__()

    def send(self, value: Any) -> Any:
        """Go on with opening the stream, as event loops do with a coroutine."""
        return self._coroutine().send(value)

    def throw(self, *failure: Any) -> Any:
        """Raise inside the opening, as event loops do to cancel a coroutine."""
        return self._coroutine().throw(*failure)

    def close(self) -> None:
        """End the opening, as event loops do with a coroutine; `aclose` closes the stream."""
        if self._opening is not None:
            self._opening.close()

    def __aiter__(self) -> AsyncIterator[StreamChunk]:
        if self._iterator is not None:
            return self._iterator
        self._core.take()
        return self._core.chunks()

    async def __anext__(self) -> StreamChunk:
        if self._iterator is None:
            self._core.take()
            self._iterator = self._core.chunks()
        return await anext(self._iterator)

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
        if self._iterator is not None:
            await self._iterator.aclose()
        await self._core.close()

    async def __aenter__(self) -> AsyncStream:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and core.is_left_open:
            # The source was started in the loop, which closes it: see asyncio's generator hooks.
            warnings.warn("a stream was neither read nor closed", ResourceWarning, source=self, stacklevel=2)
