"""A server that has said all that it will say: its words lie in a socket that leads nowhere.

Everything above the socket is the real thing: the clock, HTTP, decompression, framing, codec, retries,
the public surface. No thread and no kernel waits, so that ten thousand answers take seconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from abstractcore.drivers import loop_sockets, sockets

BASE_URL = "http://127.0.0.1:9/v1"


class Played(socket.socket):
    """A socket that leads nowhere, and so is always ready; the peer takes every byte, and says its own."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece][::-1]

    def send(self, data: Any) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]


class PlayedTransport:
    """The same for an event loop: once the request is sent, the peer's words come, each in its own turn."""

    def __init__(self, pieces: Iterable[bytes], reader: Any) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._is_closing = False

    def write(self, data: Any) -> None:
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            self._loop.call_soon(self._say, self._reader.data_received, piece)
        self._loop.call_soon(self._say, self._reader.eof_received)

    def _say(self, word: Any, *given: bytes) -> None:
        if not self._is_closing:
            word(*given)

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        self._is_closing = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> None: ...


class Peer:
    """What the next connections are answered with."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.connections = 0

    def connect(self, host: str, port: int, limit: float) -> Played:
        self.connections += 1
        return Played(self.pieces)

    async def connect_tcp(self, backend: Any, host: str, port: int, **_: Any) -> Any:
        """What stands in the place of the asynchronous sockets' method."""
        self.connections += 1
        backend._clock.connecting("connect")
        backend._clock.connected()
        backend._stream = stream = loop_sockets.LoopStream(backend._clock)
        stream.connection_made(cast("Any", PlayedTransport(self.pieces, stream)))
        return stream


@contextmanager
def playing() -> Iterator[Peer]:
    """Put the peer where both drivers would connect to a server."""
    peer = Peer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "_connect", peer.connect)
        patch.setattr(sockets, "is_ready", lambda *_, **__: True)
        patch.setattr(
            loop_sockets.LoopSockets,
            "connect_tcp",
            lambda backend, *at, **more: peer.connect_tcp(backend, *at, **more),
        )
        yield peer


def answered(status: int, kind: str, pieces: list[bytes], *, ends: str) -> list[bytes]:
    """An HTTP answer whose body comes in *pieces*; *ends*: chunked, length, or close."""
    head = [b"HTTP/1.1 %d X" % status, b"content-type: " + kind.encode(), b"connection: close"]
    if ends == "chunked":
        framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
        return [_head([*head, b"transfer-encoding: chunked"]), *framed, b"0\r\n\r\n"]
    if ends == "length":
        head.append(b"content-length: %d" % sum(map(len, pieces)))
    return [_head(head), *pieces]


def _head(lines: list[bytes]) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n"
