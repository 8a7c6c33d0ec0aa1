"""Clocks and certificates for the faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from abstractcore.drivers.blocking import BlockingDriver
from abstractcore.drivers.colours import ssl_context
from abstractcore.drivers.eventloop import AsyncioDriver
from tests.fakes.server import CA_FILE

#: How the wires but the first are asked where a test runs on all: on each surface in one way of the two.
WAYS = {
    "openai_responses": {("sync", "whole"), ("async", "stream")},
    "anthropic_messages": {("sync", "stream"), ("async", "whole")},
    "ollama_chat": {("sync", "whole"), ("async", "stream")},
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run every test on every wire and surface, and whole and streamed both on Chat Completions only."""
    left = [item for item in items if not _is_asked_elsewhere(item)]
    config.hook.pytest_deselected(items=[item for item in items if _is_asked_elsewhere(item)])
    items[:] = left


def _is_asked_elsewhere(item: pytest.Item) -> bool:
    given = getattr(getattr(item, "callspec", None), "params", {})
    if Path(__file__).parent not in item.path.parents or not {"wire", "whole_or_stream"} <= given.keys():
        return False
    way = given.get("surface", "sync"), given["whole_or_stream"]
    return given["wire"] in WAYS and way not in WAYS[given["wire"]]


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
