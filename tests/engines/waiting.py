"""Waiting for something that another thread or process makes true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], timeout: float = 5.0) -> None:
    """Look every few milliseconds."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        threading.Event().wait(0.002)
