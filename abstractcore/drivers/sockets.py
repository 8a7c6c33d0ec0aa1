"""Sockets of threads, whose every wait obeys the call's deadline.

To bound single reads is not enough: a body that drips one byte a second would go on for ever.
Here a `Clock` that belongs to the connection says how long each wait may be: what is
left of the call, or the silence that is allowed once the headers are in. Writes are held
until the next read, so that a request leaves in one piece.

Knows bytes and instants. Knows nothing of HTTP.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.network_errors import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock

HELD_BYTES = 64 * 1024
_BUFFERED_BYTES = 256 * 1024
READ_BYTES = 64 * 1024
_LONGEST_POLL = 2_000_000.0  # poll counts milliseconds, in 32 bits
# What a socket without timeout says when it is full; TLS may want to read before it can write.
_FULL = (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError)


class BlockingStream:
    """A socket that a thread waits at.

    It never blocks by itself: changing its timeout is a system call, at each of which Python's lock goes to
    another thread. The descriptor is closed by no other thread than the one that reads and writes, while it
    does: the system would give its number to another socket, which would then be read or written.
    """

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._socket = sock
        sock.settimeout(0)
        self._process = os.getpid()
        self._clock = clock
        self._held: list[bytes] = []
        self._early = b""
        """What came before the request was sent whole."""
        self._is_cut_off = False
        """Whether a request was not sent whole: the server would read the next one as its rest."""
        self._is_busy = False
        self._is_shut = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes."""
        try:
            self._begin()
            if self._held:
                with contextlib.suppress(WriteError):  # the answer may be there all the same
                    self._flush()
            data, self._early = self._early or self._receive(max_bytes), b""
        finally:
            self._is_busy = False
        if data:
            self._clock.hear()
            check_head(self._clock, data)
        else:
            self._clock.peer_closed = True
        return data

    def _begin(self) -> None:
        """Let nobody close the descriptor from here."""
        self._is_busy = True
        if self._is_shut:
            raise ReadError("the connection was closed")

    def _receive(self, max_bytes: int) -> bytes:
        sock = self._socket
        try:
            while _has_decrypted(sock) or is_ready(sock, self._clock.patience()):
                with contextlib.suppress(*_FULL):  # TLS may have read what is no data
                    return sock.recv(max_bytes)
        except OSError as failure:
            self._clock.peer_closed = True
            raise ReadError(str(failure)) from failure
        raise ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Hold the bytes until the next read, or send them when they are many."""
        self._held.append(buffer)
        if len(buffer) > HELD_BYTES:
            self._clock.stage = "write"
            try:
                self._begin()
                with contextlib.suppress(
                    WriteError
                ):  # the answer may be there all the same; if not, this is why
                    self._flush()
                    self._clock.stage = "headers"
            finally:
                self._is_busy = False

    def _flush(self) -> None:
        """Send what is held; stop with WriteError when the server answers before it has read it all."""
        data = memoryview(b"".join(self._held))
        self._held.clear()
        try:
            while data:
                try:
                    data = data[self._socket.send(data) :]
                except _FULL:
                    self._wait_for_room()
        except TimeoutError as failure:
            self._clock.stage = "write"
            raise WriteTimeout from failure
        except OSError as failure:
            self._is_cut_off = True
            self._note_early()
            raise WriteError(str(failure)) from failure

    def _wait_for_room(self) -> None:
        if not is_ready(self._socket, self._clock.left(), to_write=True):
            raise TimeoutError
        if self._note_early():
            self._is_cut_off = True
            raise WriteError("the server did not read the whole request")

    def _note_early(self) -> bool:
        """Keep what the server has said already; tell whether it has, or has left."""
        try:
            self._early += self._socket.recv(READ_BYTES)
        except _FULL:
            return False
        except OSError:
            return True
        return True

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> BlockingStream:
        """Upgrade to TLS; raises ConnectError with the ssl failure as its cause."""
        try:
            self._handshake(ssl_context, server_hostname)
        except TimeoutError as failure:
            self.close()
            raise ConnectTimeout from failure
        except OSError as failure:
            _close_half_made(failure)
            self.close()
            raise ConnectError(str(failure)) from failure
        self._clock.expect_head()
        return self

    def _handshake(self, ssl_context: ssl.SSLContext, server_hostname: str | None) -> None:
        try:
            self._socket.settimeout(self._clock.connecting("tls") or 1e-6)
            # Nothing is said before the new socket is in its place, where `close` finds it.
            made = ssl_context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._socket = made
            self._begin()
            made.do_handshake()
            made.settimeout(0)
        finally:
            self._is_busy = False

    def close(self) -> None:
        """Close the socket; a thread that waits at it wakes, and closes it.

        A forked child closes its copy alone.
        """
        self._is_shut = True
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):
                # Not as TLS does it, which first forgets itself: a thread at work would go on in the clear.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            if self._is_busy:
                return
        self._socket.close()

    def is_fit(self) -> bool:
        """Whether a request can be sent: the last one left whole, and nothing has come, nor the end."""
        try:
            return not (self._is_cut_off or self._is_shut or is_ready(self._socket, 0))
        except ValueError:  # another thread has closed it by now
            return False

    def get_extra_info(self, info: str) -> Any:
        """Tell what httpcore asks about the socket."""
        if info == "is_readable":
            return not self.is_fit()
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return self._socket if info == "socket" else None


def check_head(clock: Clock, data: bytes) -> None:
    """Raise httpcore's error for a head that is too long."""
    if problem := clock.problem_of_head(data):
        raise RemoteProtocolError(problem)


def _has_decrypted(sock: socket.socket) -> bool:
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def is_ready(sock: socket.socket, seconds: float, *, to_write: bool = False) -> bool:
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


class BlockingSockets:
    """Opens the blocking sockets of one connection, and can close them from outside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stream: BlockingStream | None = None
        self._is_aborted = False

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
            raise ConnectTimeout from failure
        except (OSError, UnicodeError) as failure:  # a name that IDNA cannot write is a UnicodeError
            raise ConnectError(str(failure)) from failure
        self._clock.connected()
        self._stream = BlockingStream(sock, self._clock)
        if self._is_aborted:  # meanwhile
            self._stream.close()
            raise ConnectError("the connection was closed")
        return self._stream

    def abort(self) -> None:
        """Close the socket at once, or as soon as it is there."""
        self._is_aborted = True
        if self._stream is not None:
            self._stream.close()
