"""A file of lines that grows: each line is written whole at its end, and read again by its place."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 20


class LineFile:
    """Lines of bytes. A kill while one is written leaves a cut last line, which the next opening drops.

    Only the owner may read it (mode 0600). Every method may raise OSError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        path = Path(path)
        if path.exists() and not path.is_file():  # a device may have no end, and a pipe no beginning
            raise OSError(errno.EINVAL, "it is not a regular file")
        self._file = os.fdopen(os.open(path, flags, 0o600), "a+b", buffering=0)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Give each whole line with its place, from the first on; what follows the last is dropped."""
        self._file.seek(0)
        rest, place = b"", 0
        while piece := self._file.read(_PIECE):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield place, line
                place += len(line) + 1
        if rest:
            self._file.truncate(place)

    def at(self, place: int) -> bytes:
        """Read the line at *place*."""
        with self._lock:
            self._file.seek(place)
            pieces: list[bytes] = []
            while piece := self._file.read(_PIECE):
                line, end, _ = piece.partition(b"\n")
                pieces.append(line)
                if end:
                    break
            return b"".join(pieces)

    def add(self, line: bytes) -> None:
        """Write *line* at the end; once the file is closed, nothing."""
        data = memoryview(line + b"\n")
        with self._lock:
            try:
                while data and not self._file.closed:
                    data = data[self._file.write(data) :]
            except OSError:
                self._file.close()  # nothing may follow half a line
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()
