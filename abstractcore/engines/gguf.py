"""Reads what a GGUF file says of itself, and whether it holds all of it.

Every length and offset is checked against the size of the file before it is used: a native reader
may map a truncated file and die of it. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

Value = int | float | str | list[int]

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_DEFAULT_ALIGNMENT = 32
_MAX_DIMENSIONS = 8
_MAX_DEPTH = 4
_WHOLE_NUMBERS = (0, 1, 2, 3, 4, 5, 10, 11)
# An array of numbers up to this long is one for each layer; longer ones belong to the vocabulary.
_MAX_LAYERS = 4096
# Weights in a block, and bytes of a block, by the number of the type. A type that is missing here is
# not measured.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip


def read_gguf(path: Path) -> dict[str, Value]:
    """Give the scalars and texts of the file's metadata, and what it has for each layer.

    Raises ValueError, with the reason, for a file that is not GGUF, is damaged, or ends before its
    weights do.
    """
    with path.open("rb") as file:
        reader = _Reader(file, os.fstat(file.fileno()).st_size)
        if reader.take(4) != b"GGUF":
            raise ValueError("it is not a GGUF file")
        if reader.number("I") not in (2, 3):
            raise ValueError("its GGUF version is not 2 or 3, or its bytes are big-endian")
        tensors, entries = reader.number("Q"), reader.number("Q")
        metadata = reader.metadata(entries)
        end = reader.end_of_tensors(tensors, metadata)
        if end > reader.size:
            raise ValueError(f"it is cut off: it has {reader.size:,} of {end:,} bytes")
        return metadata


class _Reader:
    """Reads a file of *size* bytes and never past its end."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self.at = 0

    def take(self, length: int) -> bytes:
        self._advance(length)
        return self._file.read(length)

    def skip(self, length: int) -> None:
        self._advance(length)
        self._file.seek(length, os.SEEK_CUR)

    def _advance(self, length: int) -> None:
        if length > self.size - self.at:
            raise ValueError("it is cut off or damaged: its header names more bytes than it has")
        self.at += length

    def number(self, kind: str) -> int:
        layout = struct.Struct("<" + kind)
        return layout.unpack(self.take(layout.size))[0]

    def text(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def metadata(self, count: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for _ in range(count):
            key = self.text()
            value = self._value(self.number("I"))
            if value is not None:
                found[key] = value
        return found

    def _value(self, kind: int) -> Value | None:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array(_MAX_DEPTH)
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        raise ValueError(f"it is damaged: its metadata has a value of the unknown type {kind}")

    def _array(self, depth: int) -> list[int] | None:
        """Give an array of whole numbers, one for each layer; any other is left out."""
        kind, count = self.number("I"), self.number("Q")
        if kind in _WHOLE_NUMBERS and count <= _MAX_LAYERS:
            layout = struct.Struct(f"<{count}{_SCALARS[kind]}")
            return list(layout.unpack(self.take(layout.size)))
        if kind in _SCALARS:
            return self.skip(count * struct.calcsize("<" + _SCALARS[kind]))
        skip: Callable[[], object] = lambda: self.skip(self.number("Q"))  # noqa: E731
        if kind == _ARRAY and depth:
            skip = lambda: self._array(depth - 1)  # noqa: E731
        elif kind != _STRING:
            raise ValueError("it is damaged: its metadata has an array of an unknown type")
        for _ in range(count):
            skip()
        return None

    def end_of_tensors(self, count: int, metadata: dict[str, Value]) -> int:
        """Read the list of tensors, and tell the size that a file with all of them has at least."""
        longest = max((self._end_of_tensor() for _ in range(count)), default=0)
        alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError("it is damaged: its alignment is not a number above 0")
        return -(-self.at // alignment) * alignment + longest

    def _end_of_tensor(self) -> int:
        self.text()
        dimensions = self.number("I")
        if dimensions > _MAX_DIMENSIONS:
            raise ValueError("it is damaged: a tensor has too many dimensions")
        weights = 1
        for _ in range(dimensions):
            weights *= self.number("Q")
        kind, offset = self.number("I"), self.number("Q")
        block, size_bytes = _BLOCKS.get(kind, (1, 0))
        return offset + weights // block * size_bytes
