"""Compressed bodies, opened bit by bit, so that a small one cannot become a huge one unseen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from abstractcore.errors import ResponseError

_STEP_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 2


class Inflate:
    """Opens one gzip or deflate body; a damaged one is ResponseError."""

    def __init__(self, encoding: str) -> None:
        self._raw_allowed = encoding == "deflate"
        self._held = b""
        self._has_begun = False
        self._stream: zlib._Decompress | None = None  # pyright: ignore[reportPrivateUsage]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Open the next bytes, and give what was in them in pieces of a bounded size."""
        data, self._held = self._held + data, b""
        is_full = False
        while data or is_full:
            stream = self._stream or self._open(data)
            if stream is None:
                return
            piece = self._step(stream, data)
            if piece:
                yield piece
            # What is held back when a piece is full need not show as unconsumed input.
            is_full = len(piece) == _STEP_BYTES
            data = stream.unconsumed_tail
            if stream.eof:
                self._stream, data, is_full = None, stream.unused_data, False

    def _open(self, head: bytes) -> zlib._Decompress | None:  # pyright: ignore[reportPrivateUsage]
        """Begin the body, or another member of it (RFC 1952); what else follows one is padding."""
        if len(head) < _HEAD_BYTES:
            self._held = head
            return None
        if self._has_begun and not head.startswith(_GZIP):
            return None
        self._has_begun = True
        # "deflate" without the zlib header, as some servers send it.
        is_raw = self._raw_allowed and not _is_zlib(head)
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | 32)
        return self._stream

    def _step(self, stream: zlib._Decompress, data: bytes) -> bytes:  # pyright: ignore[reportPrivateUsage]
        try:
            return stream.decompress(data, _STEP_BYTES)
        except zlib.error as failure:
            raise ResponseError("the body is not in the compression that its header names") from failure

    def end(self) -> None:
        """Say that the body has ended; one that was cut off is ResponseError."""
        if self._stream is not None or not self._has_begun:
            raise ResponseError("the compressed body was cut off")


def _is_zlib(head: bytes) -> bool:
    """Whether *head* begins as RFC 1950 asks: deflate, and a header that 31 divides."""
    return head[0] & 0x0F == zlib.DEFLATED and (head[0] << 8 | head[1]) % 31 == 0


def inflater(encoding: str) -> Inflate | None:
    """Give what opens a body of this content-encoding; None for a plain one."""
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return None
    if kind in ("gzip", "x-gzip", "deflate"):
        return Inflate(kind)
    raise ResponseError(f"the body is compressed as {kind[:40]!r}, which was not asked for")
