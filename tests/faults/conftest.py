"""Clocks for the faults."""

from __future__ import annotations

import pytest

from abstractcore.drivers.blocking import BlockingDriver
from abstractcore.drivers.eventloop import AsyncioDriver


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each backoff would have taken; nothing is slept."""
    seconds: list[float] = []

    async def sleep(_: object, duration: float) -> None:
        seconds.append(duration)

    for driver in (BlockingDriver, AsyncioDriver):
        monkeypatch.setattr(driver, "sleep", sleep)
    return seconds
