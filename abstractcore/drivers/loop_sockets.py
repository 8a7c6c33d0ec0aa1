"""Sockets of an event loop: as those of threads, but every wait lets the loop go on.

Knows bytes and instants. Knows nothing of HTTP. Apart from `sockets`, so that sync programs load no asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from abstractcore.drivers.addresses import connected_socket
from abstractcore.drivers.network_errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)
from abstractcore.drivers.sockets import HELD_BYTES, check_head

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock

_BUFFERED_BYTES = 256 * 1024


class LoopStream(asyncio.Protocol):
    """A transport of the running loop, read without a task or a queue."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._held: list[bytes] = []
        self._ended = False
        self._failure: Exception | None = None
        self._reader: asyncio.Future[bool] | None = None
        self._writer: asyncio.Future[bool] | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._is_cut_off = False
        """Whether a request was not sent whole: the server would read the next one as its rest."""

    # What the loop tells.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Take bytes; stop reading when nobody fetches them."""
        self._clock.hear()
        self._data = self._data + data if self._data else data
        if len(self._data) > _BUFFERED_BYTES and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        _finish(self._reader, True)
        _finish(self._writer, True)  # an answer before the request was sent whole

    def eof_received(self) -> bool:
        """Note that the peer sends no more; the transport then closes itself."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection is gone."""
        self._end(exc)
        _finish(self._writer, True)

    def pause_writing(self) -> None:
        """Hold writers until the buffer is sent."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writing_paused = False
        _finish(self._writer, True)

    def _end(self, failure: Exception | None) -> None:
        self._ended = True
        self._failure = self._failure or failure
        _finish(self._reader, True)

    # What HTTP asks.
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes."""
        if self._held:
            with contextlib.suppress(WriteError):  # the answer may be there all the same
                await self._flush()
        if not self._data and not self._ended:
            self._reader = self._loop.create_future()
            try:
                if not await self._wait(self._reader, self._clock.patience()):
                    raise ReadTimeout
            finally:
                self._reader = None
        if self._data:
            return self._take(max_bytes)
        self._clock.peer_closed = True
        if self._failure is not None:
            raise ReadError(str(self._failure)) from self._failure
        return b""

    def _take(self, max_bytes: int) -> bytes:
        data, self._data = self._data[:max_bytes], self._data[max_bytes:]
        if self._reading_paused and not self._data and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        check_head(self._clock, data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Hold the bytes until the next read, or send them when they are many."""
        self._held.append(buffer)
        if len(buffer) > HELD_BYTES:
            self._clock.stage = "write"
            del buffer  # a cancel keeps this frame
            with contextlib.suppress(WriteError):  # the answer may be there all the same; if not, this is why
                await self._flush()
                self._clock.stage = "headers"

    async def _flush(self) -> None:
        """Send what is held; stop with WriteError when the server answers before it has read it all."""
        held, self._held = self._held, []
        if self._transport is None or self._transport.is_closing():
            raise WriteError("the connection is closed")
        self._transport.write(b"".join(held))
        del held  # a cancel keeps this frame, and the head holds the key
        while self._writing_paused and not self._ended and not self._data:
            self._writer = self._loop.create_future()
            try:
                if not await self._wait(self._writer, self._clock.left()):
                    self._clock.stage = "write"
                    raise WriteTimeout
            finally:
                self._writer = None
        if self._writing_paused:
            self._is_cut_off = True
            raise WriteError("the server did not read the whole request")

    async def _wait(self, future: asyncio.Future[bool], seconds: float) -> bool:
        timer = self._loop.call_later(max(0.0, seconds), _finish, future, False)
        try:
            return await future
        finally:
            timer.cancel()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> LoopStream:
        """Upgrade to TLS; raises ConnectError with the ssl failure as its cause."""
        limit = self._clock.connecting("tls")
        assert self._transport is not None
        try:
            async with asyncio.timeout(limit):
                self._transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as failure:
            self.abort()
            raise ConnectTimeout from failure
        except OSError as failure:
            self.abort()
            raise ConnectError(str(failure)) from failure
        if self._transport is None:
            raise ConnectError("the connection was closed in the TLS handshake")
        self._clock.expect_head()
        return self

    def abort(self) -> None:
        """Close the socket at once, without waiting for anything."""
        self._ended = True
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    async def aclose(self) -> None:
        """Close the socket."""
        self.abort()

    def is_fit(self) -> bool:
        """Whether a request can be sent: the last one left whole, and nothing has come, nor the end."""
        return not (self._is_cut_off or self._ended or self._data)

    def get_extra_info(self, info: str) -> Any:
        """Tell what httpcore asks about the socket."""
        if info == "is_readable":
            return not self.is_fit()
        return None if self._transport is None else self._transport.get_extra_info(info)


def _finish(future: asyncio.Future[bool] | None, value: bool) -> None:
    if future is not None and not future.done():
        future.set_result(value)


class LoopSockets:
    """Opens the transports of one connection on the running loop, and can close them from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stream: LoopStream | None = None
        self._is_aborted = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> LoopStream:
        """Connect within the clock's limit; of several addresses the first that answers is taken."""
        limit = self._clock.connecting("connect")
        try:
            async with asyncio.timeout(limit):
                sock = await connected_socket(host, port)
                _, self._stream = await self._loop.create_connection(
                    lambda: LoopStream(self._clock), sock=sock
                )
        except TimeoutError as failure:
            raise ConnectTimeout from failure
        except (OSError, UnicodeError) as failure:  # a name that IDNA cannot write is a UnicodeError
            raise ConnectError(str(failure)) from failure
        self._clock.connected()
        if self._is_aborted:  # meanwhile
            self._stream.abort()
            raise ConnectError("the connection was closed")
        return self._stream

    def abort(self) -> None:
        """Close the socket at once, or as soon as it is there; from another thread the loop is asked to."""
        self._is_aborted = True
        if self._stream is None or self._loop.is_closed():
            return
        if _running_loop() is self._loop:
            self._stream.abort()
        else:
            with contextlib.suppress(RuntimeError):  # the loop closed in between
                self._loop.call_soon_threadsafe(self._stream.abort)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
