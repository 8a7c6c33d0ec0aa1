"""Messages between two processes: JSON behind its length, over a pair of pipes."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")


def send(pipe: BinaryIO, message: Any) -> None:
    """Write one message. Raises OSError when nobody reads any more."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    rest = memoryview(_LENGTH.pack(len(body)) + body)
    while rest:
        rest = rest[pipe.write(rest) or 0 :]


def receive(pipe: BinaryIO) -> Any:
    """Read one message. Raises EOFError when the other side has gone."""
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size))
    return json.loads(_read(pipe, length))


def _read(pipe: BinaryIO, size: int) -> bytes:
    pieces: list[bytes] = []
    while size:
        piece = pipe.read(size)
        if not piece:
            raise EOFError
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
