"""How threads that were started for one caller are told that it has left: their sockets are closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar

from abstractcore.errors import ClosedError


class Stop:
    """A word that threads share; inside the word of *outer*, which ends it too."""

    def __init__(self, outer: Stop | None = None) -> None:
        self.is_said = False
        self._lock = threading.Lock()
        self._aborts: set[Callable[[], None]] = set()
        if outer is not None:
            outer.watch(self.say)

    def say(self) -> None:
        """End whatever is watched, and let nothing begin any more."""
        with self._lock:
            self.is_said = True
            aborts = list(self._aborts)
            self._aborts.clear()
        for abort in aborts:
            abort()

    def watch(self, abort: Callable[[], None]) -> None:
        """Call *abort* when the word is said. Raises ClosedError when that has happened."""
        with self._lock:
            if self.is_said:
                raise ClosedError("whoever wanted this answer has left")
            self._aborts.add(abort)

    def forget(self, abort: Callable[[], None]) -> None:
        """Watch it no more."""
        with self._lock:
            self._aborts.discard(abort)


CURRENT: ContextVar[Stop | None] = ContextVar("abstractcore_stop", default=None)
