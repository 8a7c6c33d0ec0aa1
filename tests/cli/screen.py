"""A program in a terminal of its own: keys go in, and what stands on its screen can be waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyte

SECONDS = 20.0
CTRL_C = "\x03"
CTRL_D = "\x04"
# The terminal becomes the program's own, as a shell sees to it: Ctrl-C is then its signal.
_CHILD = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from abstractcore.cli import main
main()
"""


class Screen:
    """`abstractcore` with *arguments* on a pseudo-terminal; pyte reads what it draws."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, lines: int = 40
    ) -> None:
        self._screen = pyte.HistoryScreen(columns, lines, history=5_000, ratio=1.0)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self._keys, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, *arguments],
                stdin=other, stdout=other, stderr=other, start_new_session=True,
                env={**environment, "TERM": "xterm-256color", "LINES": str(lines), "COLUMNS": str(columns)},
            )  # fmt: skip
        finally:
            os.close(other)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._keys)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._keys, keys.encode())

    def enter(self, line: str) -> None:
        """Type a line, at the prompt."""
        self.wait_for(lambda screen: screen.lines[-1:] == [">"])
        self.press(line + "\n")

    @property
    def lines(self) -> list[str]:
        """All lines so far, those that have left the screen among them, without the empty ones at the end."""
        width = range(self._screen.columns)
        above = ["".join(line[x].data for x in width).rstrip() for line in self._screen.history.top]
        shown = [line.rstrip() for line in self._screen.display]
        return "\n".join([*above, *shown]).rstrip("\n").split("\n")

    def wait_for(self, wanted: str | Callable[[Screen], Any], seconds: float = SECONDS) -> None:
        """Read until *wanted* stands on a line, or holds; AssertionError with the screen if it never does."""
        deadline = time.monotonic() + seconds
        while not self._has(wanted):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"not on the screen: {wanted!r}\n" + "\n".join(self.lines))

    def read_for(self, seconds: float) -> None:
        """Read what is drawn in so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(deadline - time.monotonic())

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while self._read(SECONDS):
            pass
        return self.process.wait(SECONDS)

    def _has(self, wanted: str | Callable[[Screen], Any]) -> Any:
        return wanted(self) if callable(wanted) else any(wanted in line for line in self.lines)

    def _read(self, seconds: float) -> bool:
        """Take in what is drawn next; False when nothing comes any more."""
        ready, _, _ = select.select([self._keys], [], [], max(0.0, seconds))
        data = b""
        if ready:
            with contextlib.suppress(OSError):  # Linux: the other end is closed
                data = os.read(self._keys, 65_536)
        self.written += data
        self._stream.feed(data)
        return bool(data)
