"""What Ctrl-C does in a program that goes on after it: it ends what may be ended, and nothing else."""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Any


class Interrupts:
    """While it is entered, Ctrl-C is KeyboardInterrupt inside `allowed`, once, and nothing anywhere else.

    So what puts things in order after the first Ctrl-C is not disturbed by the second.
    """

    def __init__(self) -> None:
        self.is_allowed = False
        self.allowed = _Allowed(self)
        self._before: Any = None
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._allow_again
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)
        sys.unraisablehook = self._unraisable

    def _interrupt(self, *_: object) -> None:
        if self.is_allowed:
            self.is_allowed = False
            raise KeyboardInterrupt

    def _allow_again(self, unraisable: Any) -> None:
        """Pass over a Ctrl-C that came while Python deleted something, where it drops what is raised."""
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.is_allowed = True
        else:
            self._unraisable(unraisable)


class _Allowed:
    """The block that Ctrl-C ends."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.is_allowed = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupts.is_allowed = False
