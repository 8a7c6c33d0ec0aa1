"""Clocks and certificates for the faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from abstractcore.drivers.blocking import BlockingDriver
from abstractcore.drivers.eventloop import AsyncioDriver
from abstractcore.drivers.tls import ssl_context
from tests.fakes.server import CA_FILE


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each backoff would have taken; nothing is slept."""
    seconds: list[float] = []

    async def sleep(_: object, duration: float) -> None:
        seconds.append(duration)

    for driver in (BlockingDriver, AsyncioDriver):
        monkeypatch.setattr(driver, "sleep", sleep)
    return seconds


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test authority is trusted, as by a user who sets SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CA_FILE))
    ssl_context.cache_clear()
    yield
    ssl_context.cache_clear()
