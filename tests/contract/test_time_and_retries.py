"""CONTRACT B7, B8: one clock and one retry policy, the same on both surfaces."""

from __future__ import annotations

import asyncio
import email.utils
import inspect
import random
import time
from typing import Any

import pytest

from abstractcore import (
    APIError,
    BadRequestError,
    ConnectionFailedError,
    IncompleteStreamError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    factory,
)
from abstractcore.drivers.colours import Limits
from abstractcore.generation.ask import DEFAULT_TIMEOUT
from tests.fakes import faults
from tests.fakes.any_wire import error, text
from tests.fakes.network import blackhole
from tests.fakes.replies import Hang, Pause, sse, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


class Clock:
    def __enter__(self) -> Clock:
        self.start = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.start


# ---- B7 --------------------------------------------------------------------------------------


def test_b7_the_defaults_are_those_of_the_contract():
    assert DEFAULT_TIMEOUT == 600.0
    limits = inspect.signature(factory._remote).parameters
    assert (limits["connect_timeout"].default, limits["read_timeout"].default) == (5.0, 120.0)
    assert Limits(5.0, 120.0, None)


def test_b7_the_object_s_timeout_holds_for_every_call_and_the_argument_beats_it(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(faults.hangs())
    llm = wire.llm(server, timeout=60, max_retries=0)

    with Clock() as clock, pytest.raises(RequestTimeoutError):
        surface.generate(llm, "hello", timeout=0.15)
    assert clock.seconds < 2

    with Clock() as clock, pytest.raises(RequestTimeoutError):
        surface.generate(wire.llm(server, timeout=0.15), "hello")
    assert clock.seconds < 2


def test_b7_the_timeout_bounds_a_connection_that_is_never_made(surface: Surface, server: FakeServer):
    with blackhole() as url:
        llm = server.llm(base_url=url)
        with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
            surface.generate(llm, "hello", timeout=0.2)

    assert clock.seconds < 2
    assert raised.value.phase in ("connect", "total")


def test_b7_connecting_has_a_bound_of_its_own(surface: Surface, server: FakeServer):
    with blackhole() as url:
        llm = server.llm(base_url=url, connect_timeout=0.1, max_retries=0)
        with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
            surface.generate(llm, "hello")

    assert clock.seconds < 2
    assert raised.value.phase == "connect"


BOUNDED = {
    "silence before the headers": faults.hangs,
    "a dripping head": lambda: faults.drips(text("word " * 50), pause=0.03),
    "a dripping body": lambda: faults.drips(text("word " * 50), pause=0.03, head=False),
    "headers without end": faults.endless_headers,
    "comments without end": faults.comments_only,
}


@pytest.mark.parametrize("name", list(BOUNDED))
def test_b7_the_timeout_bounds_the_whole_call(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    server.replies(BOUNDED[name]())

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        whole_or_stream.ask(surface, wire.llm(server), "hello", timeout=0.2)

    assert clock.seconds < 2
    assert isinstance(raised.value, TimeoutError)
    assert not raised.value.retryable or raised.value.phase != "total"
    surface.wait_for(server, lambda server: server.disconnects == 1)
    assert len(server.requests) == 1


def test_b7_the_timeout_bounds_a_stream_that_goes_on(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("word " * 200, between=[Pause(0.02)]))

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.stream(wire.llm(server), "hello", timeout=0.25)

    assert clock.seconds < 2
    assert raised.value.phase == "total"
    assert raised.value.partial is not None
    assert raised.value.partial.content.startswith("word")
    surface.wait_for(server, lambda server: server.disconnects == 1)


def test_b7_silence_counts_once_the_headers_are_in(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(sse([Hang()]))

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.stream(wire.llm(server, read_timeout=0.1, max_retries=0), "hello")

    assert clock.seconds < 2
    assert raised.value.phase == "body"


def test_b7_before_the_headers_only_the_total_counts(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    """Reasoning models are silent for minutes."""
    server.replies(text("Thought through.").after(Pause(0.3)))

    answer = whole_or_stream.ask(surface, wire.llm(server, read_timeout=0.1), "hello")

    assert answer.content == "Thought through."


def test_b7_a_retry_that_would_overrun_is_not_slept_on(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(error(429, headers={"Retry-After": "5"}))

    with Clock() as clock, pytest.raises(RateLimitError) as raised:
        surface.generate(wire.llm(server), "hello", timeout=1)

    assert clock.seconds < 0.5
    assert (raised.value.attempts, raised.value.retry_after) == (1, 5)


def test_b7_the_timeout_covers_the_retries_too(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(error(503), faults.hangs())

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.generate(wire.llm(server), "hello", timeout=0.3)

    assert clock.seconds < 2
    assert raised.value.attempts == 2


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True])
def test_b7_a_timeout_that_is_none_is_refused(surface: Surface, server: FakeServer, timeout: Any):
    with pytest.raises(ValueError, match="timeout"):
        surface.generate(server.llm(), "hello", timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        server.llm(timeout=timeout)


async def test_b7_a_timeout_of_asyncio_is_python_s_own(server: FakeServer, wire: Wire):
    server.replies(faults.hangs(), text("Hi."))
    async with wire.llm(server) as llm:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.1):
                await llm.agenerate("hello")
        assert type(raised.value) is TimeoutError
        assert (await llm.agenerate("hello")).content == "Hi."


# ---- B8 --------------------------------------------------------------------------------------

AGAIN = {
    "408": lambda: error(408),
    "409": lambda: error(409),
    "429": lambda: error(429),
    "500": lambda: error(500),
    "502": lambda: error(502),
    "503": lambda: error(503),
    "504": lambda: error(504),
    "529": lambda: error(529),
    "a close before the headers": faults.closes,
    "a reset before the headers": faults.resets,
}


@pytest.mark.parametrize("name", list(AGAIN))
def test_b8_a_failure_worth_it_is_asked_again(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    server.replies(AGAIN[name](), AGAIN[name](), text("Hi."))

    assert whole_or_stream.ask(surface, wire.llm(server), "hello").content == "Hi."
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize("name", list(AGAIN))
def test_b8_after_the_last_retry_the_failure_itself_is_raised(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    server.replies(AGAIN[name]())

    with pytest.raises((APIError, ConnectionFailedError)) as raised:
        whole_or_stream.ask(surface, wire.llm(server, max_retries=1), "hello")

    assert (raised.value.attempts, raised.value.retryable) == (2, True)
    assert len(server.requests) == 2


SPENT = "You have reached your spend limit."
NEVER = {
    "400": (lambda: error(400), BadRequestError),
    "501": (lambda: error(501), ServerError),
    "a spend cap": (lambda: error(429, SPENT, code="insufficient_quota"), QuotaExceededError),
    "402": (lambda: error(402), QuotaExceededError),
    "Retry-After over a minute": (lambda: error(429, headers={"Retry-After": "61"}), RateLimitError),
    "a 200 that is no answer": (lambda: whole(200, b"null"), ResponseError),
    "a 200 of HTML": (faults.html, ResponseError),
}


@pytest.mark.parametrize("name", list(NEVER))
def test_b8_what_waiting_does_not_mend_is_raised_at_once(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    reply, kind = NEVER[name]
    server.replies(reply())

    with Clock() as clock, pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, wire.llm(server), "hello")

    assert clock.seconds < 2
    assert raised.value.attempts == len(server.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_b8_the_server_s_wait_is_kept(surface: Surface, server: FakeServer, form: str):
    headers = {
        "seconds": {"Retry-After": "0.3"},
        "milliseconds": {"retry-after-ms": "300"},
        "date": {"Retry-After": email.utils.formatdate(time.time() + 2, usegmt=True)},
    }[form]
    server.replies(error(429, headers=headers), text("Hi."))

    surface.generate(server.llm(), "hello")

    first, second = server.requests
    assert 0.29 < second.received_at - first.received_at < 3


def test_b8_the_backoff_is_exponential_with_full_jitter(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: asked.append((low, high)) or 0.0)
    server.replies(error(500))

    with pytest.raises(ServerError):
        surface.generate(server.llm(max_retries=6), "hello")

    spans = list(dict.fromkeys(asked))
    assert spans == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0)]


def test_b8_after_the_first_chunk_nothing_is_asked_again(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("one two three", ending="reset", done=False, finish_reason=None))

    with pytest.raises(IncompleteStreamError) as raised:
        surface.stream(wire.llm(server), "hello")

    assert len(server.requests) == 1
    assert not raised.value.retryable


def test_b8_tenacity_is_loaded_at_the_first_failure_only():
    import subprocess
    import sys

    code = """
import sys
from tests.fakes.any_wire import text, error
from tests.fakes.server import FakeServer
with FakeServer() as server:
    server.replies(text("Hi."), error(500), text("Hi."))
    llm = server.llm()
    llm.generate("hello")
    assert "tenacity" not in sys.modules
    llm.generate("hello")
    assert "tenacity" in sys.modules
    llm.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
