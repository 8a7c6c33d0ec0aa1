"""The stream objects that a caller holds, one for each surface, over one core generator.

Leaving a stream early (`break`, `close`, cancel, an exception in the loop's body, garbage
collection) closes the core generator, and with it the HTTP response or the local job.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from abstractcore.drivers.blocking import iterate, run
from abstractcore.drivers.generators import Inside
from abstractcore.errors import ClosedError, ConfigurationError
from abstractcore.types import PHASES, GenerateResponse, StreamChunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_ANSWER = frozenset(("generating", "tool_calling", "done"))
_CLOSED = "this stream is closed, or has failed; what arrived is in stream.partial"


def wanted_phases(include: str | Iterable[str] | None, default: Iterable[str] = _ANSWER) -> frozenset[str]:
    """Check an `include=`; without one a stream gives *default*: the answer, and the thinking left out.

    Raises ConfigurationError (a ValueError) for a phase that does not exist.
    """
    if include is None:
        return frozenset(default)
    phases = frozenset((include,) if isinstance(include, str) else include)
    if unknown := sorted(str(phase) for phase in phases if phase not in PHASES):
        raise ConfigurationError(f"unknown phase {', '.join(unknown)}: include= takes {', '.join(PHASES)}")
    return phases


class Collected(Protocol):
    """What keeps the chunks of a stream: one answer, or what a run of several comes to."""

    @property
    def is_whole(self) -> bool:
        """Whether the end has come."""
        ...

    def response(self) -> GenerateResponse:
        """Give what has arrived so far."""
        ...


class StreamCore:
    """What both streams do: open, and give the chunks of the wanted phases once.

    The source itself keeps every chunk in the *collector*.
    """

    _is_open = False  # also of one that a Ctrl-C left half made

    def __init__(
        self,
        source: AsyncGenerator[StreamChunk],
        collector: Collected,
        wanted: frozenset[str],
    ) -> None:
        self._source: AsyncGenerator[StreamChunk] | None = source
        self._collector = collector
        self._wanted = wanted
        self._first: StreamChunk | None = None
        self._is_opening = False
        self._is_open = False
        self._is_looped = False

    async def open(self) -> None:
        """Send the request and wait for the first chunk, so that its errors are raised here."""
        if self._is_open:
            return
        if self._source is None:
            raise ClosedError(_CLOSED)
        if self._is_opening:
            raise ConfigurationError("another task is opening this stream")
        self._is_opening = True
        try:
            self._first = await Inside(anext(self._source))
        except BaseException:
            self._source = None
            raise
        self._is_open = True
        _sources.add(self._source)

    async def next(self) -> StreamChunk:
        """Give the next chunk of a wanted phase. Raises StopAsyncIteration at the end."""
        if not self._is_open:
            await self.open()
        chunk, self._first = self._first, None
        while chunk is None or chunk.phase not in self._wanted:
            source = self._source
            if source is None:
                raise StopAsyncIteration if self._collector.is_whole else ClosedError(_CLOSED)
            try:
                chunk = await anext(source)
            except BaseException:
                self._check_not_read(source)
                self._let_go()
                raise
        return chunk

    def loop(self) -> Chunks:
        """Give the chunks to a loop; this can be done once."""
        if self._source is None and not self._collector.is_whole:
            raise ClosedError(_CLOSED)
        if self._is_looped or (self._collector.is_whole and self._first is None):
            raise ConfigurationError("this stream has been iterated already; its text is in stream.partial")
        self._is_looped = True
        return Chunks(self)

    async def close(self) -> None:
        """Stop the source; calling it again does nothing."""
        source = self._source
        if source is None:
            return
        self._check_not_read(source)
        self._let_go()
        await source.aclose()

    def _check_not_read(self, source: AsyncGenerator[StreamChunk]) -> None:
        if getattr(source, "ag_running", False):
            raise ConfigurationError("this stream is being read by another task or thread: that one can stop")

    def abandon(self) -> None:
        """Stop the source as a loop that was left does: it closes as it is let go.

        One that was never read was forgotten, and is worth a warning.
        """
        is_unread = self._first is not None
        self._let_go()
        if is_unread:
            self._warn()

    def _let_go(self) -> None:
        if self._source is not None:
            _sources.discard(self._source)
        self._source = self._first = None

    def _warn(self) -> None:
        if not sys.is_finalizing():
            warnings.warn("a stream was neither read to its end nor closed", ResourceWarning, stacklevel=3)

    def __del__(self) -> None:
        if self._is_open and self._source is not None:
            self._let_go()
            self._warn()

    def partial(self) -> GenerateResponse:
        """Give what has arrived so far."""
        return self._collector.response()

    def whole(self) -> GenerateResponse:
        """Give the whole response, once the stream has ended."""
        if not self._collector.is_whole:
            raise ConfigurationError("the stream has not ended; what has arrived is in stream.partial")
        return self._collector.response()


class Chunks(AsyncIterator[StreamChunk]):
    """What a loop over a stream holds: leaving the loop lets go of it, and so ends the stream."""

    __slots__ = ("_core",)

    def __init__(self, core: StreamCore) -> None:
        self._core = core

    async def __anext__(self) -> StreamChunk:
        return await self._core.next()  # which holds this object, as in `await anext(aiter(stream))`

    async def aclose(self) -> None:
        """Stop the stream."""
        await self._core.close()

    def __del__(self) -> None:
        core = getattr(self, "_core", None)  # None: a Ctrl-C came before it was made
        if core is not None:
            core.abandon()


# Open sources are held here, so that the garbage collector, should it find a stream in a circle,
# does not meet the generators inside one source one by one: only the outermost can be closed.
_sources: set[AsyncGenerator[StreamChunk]] = set()


@atexit.register
def _close_what_is_open() -> None:
    """Close what no loop will: the interpreter ends, and would tell of each generator that it meets."""
    for source in list(_sources):
        closing = source.aclose()
        with contextlib.suppress(Exception):  # whatever wants its loop goes without
            for _ in range(100):
                closing.send(None)


class Stream(Iterator[StreamChunk]):
    """A streamed answer: iterate it, once. The request has been sent when you hold it.

    A `for` loop gets an iterator of its own, so that `break` closes the request even while
    this object stands in a variable. It is a context manager too.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        run(core.open())

    def __iter__(self) -> Iterator[StreamChunk]:
        return iterate(self._core.loop())

    def __next__(self) -> StreamChunk:
        try:
            return run(self._core.next())
        except StopAsyncIteration:
            raise StopIteration from None

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


class AsyncStream(Coroutine[Any, Any, "AsyncStream"], AsyncIterator[StreamChunk]):
    """A streamed answer: await it to send the request, then iterate it, once; or iterate it at once.

    It is a coroutine (`gather`, `create_task`, `wait_for` and `TaskGroup` take it), an async
    iterator and an async context manager. An `async for` loop gets an iterator of its own,
    so that `break` closes the request even while this object stands in a variable.
    """

    def __init__(self, core: StreamCore) -> None:
        self._core = core
        self._opening: Coroutine[Any, Any, AsyncStream] | None = None

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
        return self._core.loop()

    def __anext__(self) -> Coroutine[Any, Any, StreamChunk]:
        return self._core.next()

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
