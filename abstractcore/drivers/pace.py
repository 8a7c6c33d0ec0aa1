"""How fast requests follow one another: so many a minute, of so many tokens, from all threads and loops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_MINUTE = 60.0


class Limiter:
    """The next instant for a request, and for its tokens, whoever asks. It never waits itself.

    Requests come evenly, and not in bursts: 600 a minute are one each tenth of a second.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._lock = threading.Lock()
        self._request_at = 0.0
        self._tokens_at = 0.0

    def reserve(self, rate: float | None, tokens_per_minute: float | None, tokens: float) -> float:
        """Take the next place for a request of about *tokens*, and tell the seconds until it comes."""
        now = at = self._clock()
        with self._lock:
            if rate is not None:
                at = max(at, self._request_at)
            if tokens_per_minute is not None:
                at = max(at, self._tokens_at)
            if rate is not None:
                self._request_at = at + _MINUTE / rate
            if tokens_per_minute is not None:
                self._tokens_at = at + tokens * _MINUTE / tokens_per_minute
        return at - now

    def correct(self, tokens_per_minute: float, tokens: float) -> None:
        """Note that a request took so many *tokens* more than was reserved; below 0, less."""
        with self._lock:
            self._tokens_at += tokens * _MINUTE / tokens_per_minute
