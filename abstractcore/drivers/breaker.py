"""A circuit breaker: who fails again and again is left alone for a while, then tried with one call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

BreakerState = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed, it lets every call through; after *max_failures* in a row it is open.

    *reset_timeout* seconds later it is half-open: one call goes through, and closes it or opens it
    again. What a call that began before the last change has to tell is not counted.
    """

    def __init__(
        self, max_failures: int, reset_timeout: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._max_failures = max_failures
        self._reset_timeout = reset_timeout
        self._clock = clock or time.monotonic
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self._epoch = 0

    @property
    def state(self) -> BreakerState:
        """What it does with the next call."""
        if self._opened_at is None:
            return "closed"
        return "half-open" if self.wait() <= 0 else "open"

    def wait(self) -> float:
        """Tell the seconds until a call is let through; not above 0 when one is."""
        opened_at = self._opened_at
        return 0.0 if opened_at is None else opened_at + self._reset_timeout - self._clock()

    def enter(self, *, anyway: bool = False) -> int | None:
        """Give a permit, to be given back with what came of the call; None when the call has to stay out."""
        with self._lock:
            if self._opened_at is not None and not anyway:
                if self._probing or self.wait() > 0:
                    return None
                self._probing = True
            return self._epoch

    def succeeded(self, permit: int) -> None:
        """Note that the call was answered."""
        with self._lock:
            if permit == self._epoch:
                self._failures = 0
                if self._opened_at is not None:
                    self._change(None)

    def failed(self, permit: int) -> None:
        """Note that the call failed."""
        with self._lock:
            if permit != self._epoch:
                return
            self._failures += 1
            if self._opened_at is not None or self._failures >= self._max_failures:
                self._change(self._clock())

    def left(self, permit: int) -> None:
        """Note that the caller left before anything came of the call."""
        with self._lock:
            if permit == self._epoch:
                self._probing = False

    def _change(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._probing = False
        self._epoch += 1
