"""The answers that come through a vendor's client: their raw bodies, read under the call's clock.

Where the vendor frames its stream in its own way (AWS event streams), its client reads the events,
and they go on as the server-sent events that they stand for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.failures import timed_out
from abstractcore.drivers.inflate import inflater
from abstractcore.drivers.vendor_failures import said_in_stream, translated
from abstractcore.errors import ClosedError, ResponseError

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock
    from abstractcore.drivers.colours import Limits

_AWS_STREAM = "application/vnd.amazon.eventstream"


class Owner(Protocol):
    """Whose answers they are: what bounds them, and where they say that they are running."""

    where: str
    limits: Limits
    closed: bool
    running: set[VendorReply]


def headers_of(response: Any) -> dict[str, str]:
    """Give the headers of a vendor's response, names in lower case, repeated ones joined by commas."""
    return {name.lower(): value for name, value in response.headers.items()}


class ReadReply:
    """An answer that the client has read already: it does so with every failing status."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = headers_of(response)
        self._body = b""
        with contextlib.suppress(RuntimeError):  # a hook of the client's may have closed it unread
            self._body = response.content

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body."""
        yield self._body

    async def read(self, at_most: int | None = None) -> bytes:
        """Give the body, or its first *at_most* bytes."""
        return self._body[:at_most]

    def hurry(self, seconds: float) -> None:
        """Do nothing: the body is here."""

    def discard(self) -> None:
        """Do nothing: the connection is the client's again."""


class VendorReply(ABC):
    """An answer whose head has been read. *answer* is what the client calls a streaming response."""

    def __init__(self, owner: Owner, answer: Any, clock: Clock) -> None:
        self.status: int = answer.http_response.status_code
        self.headers: Mapping[str, str] = headers_of(answer.http_response)
        self._owner = owner
        self._answer = answer
        self._response = answer.http_response
        self._clock = clock
        self._inflate: Any = None
        self._hurried = False
        self._aborted = False
        self._closed = False
        clock.stage = "body"
        clock.silence = owner.limits.read_timeout
        owner.running.add(self)

    @abstractmethod
    def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed; leaving it early closes the connection."""

    @abstractmethod
    def _close_at_once(self) -> None:
        """Close the response from where nothing can be awaited."""

    async def read(self, at_most: int | None = None) -> bytes:
        """Read the whole body, or its first *at_most* bytes."""
        pieces: list[bytes] = []
        size = 0
        async with contextlib.aclosing(self.chunks()) as chunks:
            async for data in chunks:
                pieces.append(data)
                size += len(data)
                if at_most is not None and size > at_most:
                    break
        return b"".join(pieces)[:at_most]

    def hurry(self, seconds: float) -> None:
        """Give the rest of the body *seconds*; when they pass, the body ends there, with no error."""
        self._hurried = True
        self._clock.deadline = Deadline.after(min(seconds, self._clock.left()))

    def discard(self) -> None:
        """Close the connection at once, unless the body has been read to its end."""
        if not self._closed:
            self.abort()
            self._leave()
            self._close_at_once()

    def abort(self) -> None:
        """End the body from any thread: who waits for it sees the connection closed.

        A connection of HTTP/2 carries other calls, and a mock has none: there the next piece ends it.
        """
        self._aborted = True
        stream = self._response.extensions.get("network_stream")
        if stream is None or not str(self._response.http_version).startswith("HTTP/1"):
            return
        with contextlib.suppress(OSError, AttributeError):
            sock = stream.get_extra_info("socket")
            if isinstance(sock, socket.socket):  # not SSLSocket's own, which forgets its state under a reader
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            else:
                sock.shutdown(socket.SHUT_RDWR)

    def _leave(self) -> None:
        self._closed = True
        self._owner.running.discard(self)

    @property
    def _is_aws(self) -> bool:
        return self.headers.get("content-type", "").startswith(_AWS_STREAM)

    def _begin(self) -> None:
        encoding = "" if self._is_aws else self.headers.get("content-encoding", "")
        self._inflate = inflater(encoding)
        self._room = self._owner.limits.body_bytes

    def _opened(self, data: bytes) -> Iterator[bytes]:
        self._clock.hear()
        self._check()
        for piece in self._inflate.feed(data) if self._inflate else (data,):
            self._room -= len(piece)
            if self._room < 0:
                limit = f"{self._owner.limits.body_bytes:,} bytes (max_body_bytes)"
                raise ResponseError(f"{self._owner.where}: the answer is over {limit}")
            yield piece

    def _end(self) -> None:
        self._check()
        if self._inflate:
            self._inflate.end()

    def _check(self) -> None:
        """Notice what ended the body from outside; a body without a length would seem whole."""
        if self._owner.closed:
            raise ClosedError("the LLM was closed while this call was running")
        if self._aborted or self._clock.left() <= 0:
            raise timed_out(self._clock, self._owner.where)

    def _failed(self, failure: Exception) -> Exception | None:
        """Give what to raise for *failure*; None where the body was to end by now."""
        if self._hurried and (self._aborted or self._clock.left() <= 0):
            return None
        if self._owner.closed:
            return ClosedError("the LLM was closed while this call was running")
        if self._aborted or isinstance(failure, TimeoutError):
            return timed_out(self._clock, self._owner.where)
        return translated(failure, self._clock, self._owner.where)


class BlockingReply(VendorReply):
    """An answer that a thread reads."""

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed; leaving it early closes the connection."""
        told: Exception | None = None
        self._watch = self._watchdog()
        try:
            self._begin()
            for data in self._events() if self._is_aws else self._raw():
                for piece in self._opened(data):
                    yield piece
            self._end()
        except Exception as failure:  # noqa: BLE001 raised below, without the vendor's as its context
            told = self._failed(failure)
        finally:
            self._watch.cancel()
            self._leave()
            self._response.close()
        if told is not None:
            raise told

    def hurry(self, seconds: float) -> None:
        """Give the rest of the body *seconds*; when they pass, the body ends there, with no error."""
        super().hurry(seconds)
        watch = getattr(self, "_watch", None)
        if watch is not None:
            watch.cancel()
            self._watch = self._watchdog()

    def _watchdog(self) -> threading.Timer:
        """Bound the whole body: the client's own timeouts bound one read each."""
        watch = threading.Timer(max(0.0, self._clock.left()), self.abort)
        watch.daemon = True
        watch.start()
        return watch

    def _begin(self) -> None:
        super()._begin()
        # httpcore looks here when the body begins: from the headers on, silence is bounded too.
        timeouts = self._response.request.extensions.get("timeout")
        if isinstance(timeouts, dict):
            timeouts["read"] = self._clock.patience()

    def _raw(self) -> Iterator[bytes]:
        return iter((self._response.content,)) if _is_read(self._response) else self._response.iter_raw()

    def _events(self) -> Iterator[bytes]:
        try:
            for event in self._answer.parse():
                yield _event(event)
        except Exception as failure:
            if (said := said_in_stream(failure)) is None:
                raise
            yield _event(said)

    def _close_at_once(self) -> None:
        self._response.close()


class LoopReply(VendorReply):
    """An answer that a task reads."""

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed; leaving it early closes the connection."""
        told: Exception | None = None
        source = self._events() if self._is_aws else self._raw()
        try:
            self._begin()
            while (data := await self._next(source)) is not None:
                for piece in self._opened(data):
                    yield piece
            self._end()
        except Exception as failure:  # noqa: BLE001 raised below, without the vendor's as its context
            told = self._failed(failure)
        finally:
            self._leave()
            await self._response.aclose()
        if told is not None:
            raise told

    async def _next(self, source: AsyncIterator[bytes]) -> bytes | None:
        async with asyncio.timeout(self._clock.patience()):
            return await anext(source, None)

    def _raw(self) -> AsyncIterator[bytes]:
        return _once(self._response.content) if _is_read(self._response) else self._response.aiter_raw()

    async def _events(self) -> AsyncIterator[bytes]:
        try:
            async for event in await self._answer.parse():
                yield _event(event)
        except Exception as failure:
            if (said := said_in_stream(failure)) is None:
                raise
            yield _event(said)

    def _close_at_once(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its sockets with it
            task = asyncio.get_running_loop().create_task(self._response.aclose())
            _closing.add(task)
            task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()


def _is_read(response: Any) -> bool:
    """Whether the body has been read already, by a middleware of the client's or a mock."""
    return bool(response.is_stream_consumed)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _event(event: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(event, ensure_ascii=False).encode()
