"""How a load goes, on one line of a terminal."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_WIDTH = 24


class TerminalBar:
    """Shows each stage on one line of *screen*, and leaves the last; nothing where that is no terminal."""

    def __init__(self, screen: TextIO | None = None) -> None:
        self._screen = screen or sys.stderr
        self._is_terminal = self._screen.isatty()

    def __call__(self, stage: str) -> None:
        """Show a stage, with a bar where it says how much of it is done."""
        if not self._is_terminal:
            return
        done: float | None = getattr(stage, "done", None)
        line = f"{stage} {_drawn(done)}" if done is not None and done < 1 else stage
        end = "\n" if done == 1 else ""
        self._screen.write(f"\r\x1b[K{line[: self._columns() - 1]}{end}")
        self._screen.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._screen.fileno()).columns or 80
        except (OSError, ValueError):
            return 80


def _drawn(done: float) -> str:
    filled = round(done * _WIDTH)
    return f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done:.0%}"
