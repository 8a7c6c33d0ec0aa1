"""Compressed bodies, opened bit by bit, so that a small one cannot become a huge one unseen."""

from __future__ import annotations

import zlib

from abstractcore.errors import ResponseError

_STEP_BYTES = 1024 * 1024


class Inflate:
    """Opens one gzip or deflate body; over *limit* bytes, or damaged, it is ResponseError."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._raw_allowed = encoding == "deflate"
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._room = limit

    def feed(self, data: bytes) -> bytes:
        """Open the next piece."""
        pieces: list[bytes] = []
        while data:
            pieces.append(self._step(data))
            self._room -= len(pieces[-1])
            if self._room < 0:
                raise ResponseError("the body is too big once it is decompressed")
            data = self._stream.unconsumed_tail
        return b"".join(pieces)

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
