"""When a request is sent again, and how long that waits: FAULTS 1.2's Retry-After, and CONTRACT B7, B8."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from abstractcore.errors import (
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from abstractcore.generation import retry
from tests.fakes import faults
from tests.fakes.any_wire import error, text
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import AsyncSurface, Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import assert_told, failure_of


def limited(status: int = 429, **headers: str) -> Reply:
    return error(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_date_without_a_date_header_is_read_by_our_own_clock(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.2 Retry-After, HTTP date."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.replies(limited(Retry_After=until), text("Later."))

    surface.generate(wire.llm(server), "Hi")

    assert 27 <= waits[0] <= 31


def test_the_backoff_doubles_and_has_full_jitter(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """U(0, 1) · min(8, 0.5 · 2ⁿ)."""
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    server.replies(error(503))

    failure = failure_of(surface, WholeOrStream("whole"), wire.llm(server, max_retries=7))

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert len(server.requests) == failure.attempts == 8


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_the_caller_says_how_often(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    max_retries: int,
) -> None:
    """A1 max_retries counts the requests after the first."""
    server.replies(error(500))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_retries=max_retries))

    assert_told(failure, ServerError, attempts=max_retries + 1)
    assert len(server.requests) == len(waits) + 1 == max_retries + 1


# The call's time.


def test_the_second_retry_may_be_the_one_that_has_no_time(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """B7: with `.attempts`; the error is the last one."""
    server.replies(error(503), limited(Retry_After="30"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=20))

    assert_told(failure, RateLimitError, attempts=2)
    assert (len(server.requests), len(waits)) == (2, 1)


def test_backoffs_and_attempts_share_one_deadline(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """B7: real waits, and a server that is slow and failing; the whole stays within the call's time."""
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high / 10)
    server.replies(error(503).after(faults.Pause(0.05)))
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_retries=50, timeout=0.5))

    assert time.monotonic() - started < 1.0
    assert isinstance(failure, ServerError | RequestTimeoutError)
    assert failure.attempts == len(server.requests) > 1


# What is not retried, and what counts.


def test_a_stream_is_retried_before_it_is_handed_out(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """B8, B3: the errors and retries of a stream come with its opening."""
    server.replies(error(503), text("").cut(0.0), faults.closes(), text("Here."))

    with surface.open_stream(wire.llm(server, max_retries=3), "Hi") as stream:
        surface.run(lambda: stream.stream if surface.name == "async" else None)
        assert len(server.requests) == 4
        assert len(waits) == 3
        assert "".join(chunk.content for chunk in stream.rest()) == "Here."


def test_retries_have_a_quota(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token bucket: a provider that fails for long is not asked three times as often."""
    monkeypatch.setattr(retry, "_BUCKET", 20)
    server.replies(error(503))
    llm = wire.llm(server)

    attempts = [failure_of(surface, whole_or_stream, llm).attempts for _ in range(4)]
    assert attempts == [3, 3, 1, 1]
    assert len(server.requests) == 8

    server.replies(*[text("fine")] * 5, error(503))
    for _ in range(5):
        whole_or_stream.ask(surface, llm, "Hi")
    assert [failure_of(surface, whole_or_stream, llm).attempts for _ in range(2)] == [2, 1]


def test_a_retry_that_succeeds_gives_back_its_due(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token bucket: a success gives one back, whichever attempt it was."""
    monkeypatch.setattr(retry, "_BUCKET", 9)
    server.replies(error(503), text("fine"), error(503), text("fine"))
    llm = wire.llm(server)

    assert [surface.generate(llm, "Hi").content for _ in range(2)] == ["fine", "fine"]


def test_a_cancel_in_a_backoff_is_immediate(server: FakeServer, wire: Wire) -> None:
    """B8 within tenacity: CancelledError passes through it, and nothing is sent afterwards."""
    surface = AsyncSurface()
    try:
        server.replies(limited(Retry_After="30"))
        llm = wire.llm(server)
        started = surface.start(surface.later(llm, "Hi"))
        server.wait_for(lambda s: len(s.requests) == 1 and s.in_flight == 0)
        began = time.monotonic()
        started.cancel()
        outcome = started.outcome(1)
        assert type(outcome).__name__ == "CancelledError"
        assert time.monotonic() - began < 1
        surface.close(llm)
        assert len(server.requests) == 1
    finally:
        surface.shut()


@pytest.mark.parametrize("fault", ["headers", "backoff"])
def test_a_cancel_in_a_retry_is_a_cancel(server: FakeServer, wire: Wire, fault: str) -> None:
    """B8: a cancel within the second attempt closes its connection too."""
    surface = AsyncSurface()
    try:
        server.replies(limited(Retry_After="0"), faults.hangs())
        llm = wire.llm(server)
        started = surface.start(surface.later(llm, "Hi"))
        server.wait_for(lambda s: s.hanging == 1)
        started.cancel()
        assert type(started.outcome(1)).__name__ == "CancelledError"
        server.wait_for(lambda s: s.open_sockets == 0)
        assert len(server.requests) == 2
    finally:
        surface.shut()


SCRIPT = """
import sys
from abstractcore import create_llm
llm = create_llm("openai-compatible", "m", base_url=sys.argv[1] + "/v1")
llm.generate("Hi")
before = "tenacity" in sys.modules
llm.generate("Hi")
print(before, "tenacity" in sys.modules)
"""


def test_tenacity_is_imported_at_the_first_failure(server: FakeServer) -> None:
    """B8: the loop is entered, and imported, at the first failure only."""
    server.replies(text("fine"), limited(Retry_After="0"), text("fine"))

    done: Any = subprocess.run(
        [sys.executable, "-c", SCRIPT, server.url], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.split() == ["False", "True"]
