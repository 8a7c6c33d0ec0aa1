"""Compressed bodies, opened bit by bit, so that a small one cannot become a huge one unseen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from abstractcore.errors import ResponseError

_STEP_BYTES = 1024 * 1024


class Inflate:
    """Opens one gzip or deflate body; over *limit* bytes, or damaged, it is ResponseError."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._raw_allowed = encoding == "deflate"
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._room = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Open the next bytes, and give what was in them in pieces of a bounded size."""
        is_full = False
        while data or is_full:
            piece = self._step(data)
            self._room -= len(piece)
            if self._room < 0:
                raise ResponseError("the body is too big once it is decompressed")
            if piece:
                yield piece
            # What is held back when a piece is full need not show as unconsumed input.
            is_full = len(piece) == _STEP_BYTES
            data = self._stream.unconsumed_tail

    def _step(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, _STEP_BYTES)
        except zlib.error as failure:
            if not self._raw_allowed:
                raise ResponseError("the body is not in the compression that its header names") from failure
        # "deflate" without the zlib header, as some servers send it.
        self._raw_allowed = False
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return self._step(data)

    def end(self) -> None:
        """Say that the body has ended; one that was cut off is ResponseError."""
        if not self._stream.eof:
            raise ResponseError("the compressed body was cut off")


def inflater(encoding: str, limit: int) -> Inflate | None:
    """Give what opens a body of this content-encoding; None for a plain one."""
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return None
    if kind in ("gzip", "x-gzip", "deflate"):
        return Inflate(kind, limit)
    raise ResponseError(f"the body is compressed as {kind[:40]!r}, which was not asked for")
