"""A server that has said all that it will say: its words lie in a socket that is none.

Everything above the socket is the real thing: the clock, HTTP, decompression, framing, codec, retries,
the public surface. No thread and no kernel waits, so that ten thousand answers take seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from abstractcore.drivers import sockets

BASE_URL = "http://127.0.0.1:9/v1"


class Played:
    """As much of a socket as the blocking driver uses; the peer takes every byte, and says its own."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece][::-1]

    def settimeout(self, seconds: float) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def send(self, data: Any) -> int:
        return len(data)

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop()
        if len(piece) > size:
            self._pieces.append(piece[size:])
        return piece[:size]


class Peer:
    """What the next connections are answered with."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.connections = 0

    def connect(self, host: str, port: int, limit: float) -> Played:
        self.connections += 1
        return Played(self.pieces)


@contextmanager
def playing() -> Iterator[Peer]:
    """Put the peer where the blocking driver would connect to a server."""
    peer = Peer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "_connect", peer.connect)
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
