"""Sockets under httpcore, one kind for each surface, whose every wait obeys the call's deadline.

httpcore bounds single reads; a body that drips one byte a second would go on for ever.
Here a `Clock` that belongs to the connection says how long each wait may be: what is
left of the call, or the silence that is allowed once the headers are in. Writes are held
until the next read, so that a request leaves in one piece.

Knows bytes and instants. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import httpcore

from abstractcore.drivers.addresses import connected_socket

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock

_HELD_BYTES = 64 * 1024
_BUFFERED_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_LONGEST_POLL = 3600.0
# What a socket without timeout says when it is full; TLS may want to read before it can write.
_FULL = (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError)


class BlockingStream(httpcore.NetworkStream):
    """A socket that a thread waits at."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._socket = sock
        self._process = os.getpid()
        self._clock = clock
        self._held: list[bytes] = []
        self._early = b""
        """What came before the request was sent whole."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes."""
        if self._held:
            with contextlib.suppress(httpcore.WriteError):  # the answer may be there all the same
                self._flush()
        data, self._early = self._early or self._receive(max_bytes), b""
        if data:
            self._clock.hear()
            _check_head(self._clock, data)
        else:
            self._clock.peer_closed = True
        return data

    def _receive(self, max_bytes: int) -> bytes:
        try:
            self._socket.settimeout(self._clock.patience() or 1e-6)
            return self._socket.recv(max_bytes)
        except TimeoutError as failure:
            raise httpcore.ReadTimeout from failure
        except OSError as failure:
            self._clock.peer_closed = True
            raise httpcore.ReadError(str(failure)) from failure

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Hold the bytes until the next read, or send them when they are many."""
        self._held.append(buffer)
        if len(buffer) > _HELD_BYTES:
            self._clock.stage = "write"
            self._flush()
            self._clock.stage = "headers"

    def _flush(self) -> None:
        """Send what is held; stop with WriteError when the server answers before it has read it all."""
        data = memoryview(b"".join(self._held))
        self._held.clear()
        try:
            self._socket.settimeout(0)
            while data:
                try:
                    data = data[self._socket.send(data) :]
                except _FULL:
                    self._wait_for_room()
        except TimeoutError as failure:
            self._clock.stage = "write"
            raise httpcore.WriteTimeout from failure
        except OSError as failure:
            self._note_early()
            raise httpcore.WriteError(str(failure)) from failure

    def _wait_for_room(self) -> None:
        if not _is_ready(self._socket, self._clock.left(), to_write=True):
            raise TimeoutError
        if self._note_early():
            raise httpcore.WriteError("the server did not read the whole request")

    def _note_early(self) -> bool:
        """Keep what the server has said already; tell whether it has, or has left."""
        try:
            self._early += self._socket.recv(_READ_BYTES)
        except _FULL:
            return False
        except OSError:
            return True
        return True

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> BlockingStream:
        """Upgrade to TLS; raises httpcore.ConnectError with the ssl failure as its cause."""
        try:
            self._socket.settimeout(self._clock.connecting("tls") or 1e-6)
            self._socket = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except TimeoutError as failure:
            self.close()
            raise httpcore.ConnectTimeout from failure
        except OSError as failure:
            _close_half_made(failure)
            self.close()
            raise httpcore.ConnectError(str(failure)) from failure
        self._clock.expect_head()
        return self

    def close(self) -> None:
        """Close the socket; a thread that waits at it wakes. A forked child closes its copy alone."""
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Tell what httpcore asks about the socket."""
        if info == "is_readable":
            return self._socket.fileno() < 0 or _is_ready(self._socket, 0)
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return self._socket if info == "socket" else None


def _check_head(clock: Clock, data: bytes) -> None:
    if problem := clock.problem_of_head(data):
        raise httpcore.RemoteProtocolError(problem)


def _is_ready(sock: socket.socket, seconds: float, *, to_write: bool = False) -> bool:
    """Wait until *sock* can be read, or written to."""
    seconds = max(0.0, min(seconds, _LONGEST_POLL))
    if not hasattr(select, "poll"):  # Windows, whose select takes a descriptor of any size
        readable, writable, _ = select.select([sock], [sock] if to_write else [], [], seconds)
        return bool(readable or writable)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT if to_write else select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _connect(host: str, port: int, limit: float) -> socket.socket:
    """Connect to the first address that answers; all of them together have *limit* seconds."""
    end = time.monotonic() + limit
    failure = OSError("the name has no address")
    addresses = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(1e-6, (end - time.monotonic()) / (len(addresses) - index)))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    raise failure


def _close_half_made(failure: OSError) -> None:
    """Close the socket that ssl was making when the peer reset it: some Pythons leave it to the collector."""
    trace = failure.__traceback__
    while trace is not None:
        made = trace.tb_frame.f_locals.get("self")
        if isinstance(made, ssl.SSLSocket):
            made.close()
        trace = trace.tb_next


class BlockingSockets(httpcore.NetworkBackend):
    """Opens the blocking sockets of one connection, and can close them from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stream: BlockingStream | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> BlockingStream:
        """Connect within the clock's limit."""
        try:
            sock = _connect(host, port, self._clock.connecting("connect"))
        except TimeoutError as failure:
            raise httpcore.ConnectTimeout from failure
        except (OSError, UnicodeError) as failure:  # a name that IDNA cannot write is a UnicodeError
            raise httpcore.ConnectError(str(failure)) from failure
        self._clock.connected()
        self._stream = BlockingStream(sock, self._clock)
        return self._stream

    def abort(self) -> None:
        """Close the socket at once."""
        if self._stream is not None:
            self._stream.close()


class LoopStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
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

    # What httpcore asks.
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes."""
        if self._held:
            with contextlib.suppress(httpcore.WriteError):  # the answer may be there all the same
                await self._flush()
        if not self._data and not self._ended:
            self._reader = self._loop.create_future()
            try:
                if not await self._wait(self._reader, self._clock.patience()):
                    raise httpcore.ReadTimeout
            finally:
                self._reader = None
        if self._data:
            return self._take(max_bytes)
        self._clock.peer_closed = True
        if self._failure is not None:
            raise httpcore.ReadError(str(self._failure)) from self._failure
        return b""

    def _take(self, max_bytes: int) -> bytes:
        data, self._data = self._data[:max_bytes], self._data[max_bytes:]
        if self._reading_paused and not self._data and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        _check_head(self._clock, data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Hold the bytes until the next read, or send them when they are many."""
        self._held.append(buffer)
        if len(buffer) > _HELD_BYTES:
            self._clock.stage = "write"
            await self._flush()
            self._clock.stage = "headers"

    async def _flush(self) -> None:
        """Send what is held; stop with WriteError when the server answers before it has read it all."""
        held, self._held = self._held, []
        if self._transport is None or self._transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        self._transport.write(b"".join(held))
        del held  # a cancel keeps this frame, and the head holds the key
        while self._writing_paused and not self._ended and not self._data:
            self._writer = self._loop.create_future()
            try:
                if not await self._wait(self._writer, self._clock.left()):
                    self._clock.stage = "write"
                    raise httpcore.WriteTimeout
            finally:
                self._writer = None
        if self._writing_paused:
            raise httpcore.WriteError("the server did not read the whole request")

    async def _wait(self, future: asyncio.Future[bool], seconds: float) -> bool:
        timer = self._loop.call_later(max(0.0, seconds), _finish, future, False)
        try:
            return await future
        finally:
            timer.cancel()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> LoopStream:
        """Upgrade to TLS; raises httpcore.ConnectError with the ssl failure as its cause."""
        limit = self._clock.connecting("tls")
        assert self._transport is not None
        try:
            async with asyncio.timeout(limit):
                self._transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as failure:
            self.abort()
            raise httpcore.ConnectTimeout from failure
        except OSError as failure:
            self.abort()
            raise httpcore.ConnectError(str(failure)) from failure
        if self._transport is None:
            raise httpcore.ConnectError("the connection was closed in the TLS handshake")
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

    def get_extra_info(self, info: str) -> Any:
        """Tell what httpcore asks about the socket."""
        if info == "is_readable":
            return self._ended or bool(self._data)
        return None if self._transport is None else self._transport.get_extra_info(info)


def _finish(future: asyncio.Future[bool] | None, value: bool) -> None:
    if future is not None and not future.done():
        future.set_result(value)


class LoopSockets(httpcore.AsyncNetworkBackend):
    """Opens the transports of one connection on the running loop, and can close them from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stream: LoopStream | None = None

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
            raise httpcore.ConnectTimeout from failure
        except (OSError, UnicodeError) as failure:  # a name that IDNA cannot write is a UnicodeError
            raise httpcore.ConnectError(str(failure)) from failure
        self._clock.connected()
        return self._stream

    def abort(self) -> None:
        """Close the socket at once; from another thread the loop is asked to."""
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
