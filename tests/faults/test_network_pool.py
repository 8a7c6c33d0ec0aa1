"""Connections that are kept, that went stale, and that are not to be had: FAULTS 1.1."""

from __future__ import annotations

import os
from typing import Any

import pytest

from abstractcore.errors import (
    ConnectionFailedError,
    RequestTimeoutError,
)
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_left, assert_told, failure_of

ANSWER = "A tale of two sockets."


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("prompt", ["Hi", "x" * 200_000], ids=["small", "large"])
def test_a_kept_connection_that_was_closed_is_replaced_unseen(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    ending: Any,
    prompt: str,
) -> None:
    """1.1 stale keep-alive: one free retry, which is no attempt, no wait and no retry to the policy."""
    server.replies(text("one"), faults.stale_keep_alive(text("two"), ending=ending))
    llm = wire.llm(server, max_retries=0)

    answers = [whole_or_stream.ask(surface, llm, prompt).content for _ in range(2)]

    assert answers == ["one", "two"]
    assert (server.connections, len(server.requests), waits) == (2, 3, [])


def test_a_connection_that_was_closed_while_it_waited_is_not_used(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 stale keep-alive, closed before the next request: it is noticed without sending one."""
    server.replies(faults.idle_close(text("one")), text("two"))
    llm = wire.llm(server, max_retries=0)

    assert whole_or_stream.ask(surface, llm, "Hi").content == "one"
    assert_left(server)
    assert whole_or_stream.ask(surface, llm, "Hi").content == "two"

    assert (server.connections, len(server.requests), waits) == (2, 2, [])


def test_the_free_retry_is_one(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 stale keep-alive: what fails on the new connection too is a failure."""
    server.replies(text("one"), faults.closes())
    llm = wire.llm(server, max_retries=0)
    whole_or_stream.ask(surface, llm, "Hi")

    failure = failure_of(surface, whole_or_stream, llm)

    assert_told(failure, ConnectionFailedError, phase="headers", attempts=1)
    assert (server.connections, len(server.requests), waits) == (2, 3, [])


def test_a_call_that_gets_no_connection_is_told_which_limit_it_met(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 pool exhausted: named, not retried, and over as soon as a connection is free."""
    server.replies(faults.hangs(), text(ANSWER))
    llm = wire.llm(server, max_connections=1, max_retries=0, api_key=KEY)
    first = surface.start(surface.later(llm, "Hi", timeout=0.25))
    server.wait_for(lambda s: s.hanging == 1)

    failure = failure_of(surface, whole_or_stream, llm, timeout=0.05)

    assert_told(failure, RequestTimeoutError, phase="pool", attempts=1, retryable=False)
    assert "max_connections=1" in str(failure)
    assert (server.connections, len(server.requests), waits) == (1, 1, [])
    assert whole_or_stream.ask(surface, llm, "Hi").content == ANSWER
    assert isinstance(first.outcome(1), RequestTimeoutError)
    assert server.max_open_sockets == 1


def test_files_beyond_the_first_thousand_are_no_trouble(server: FakeServer, wire: Wire) -> None:
    """Thousands of open files: `select` cannot take a descriptor over 1023, and none of it may show."""
    server.replies(text("fine"))
    held = [os.dup(0) for _ in range(1100)]
    try:
        llm = wire.llm(server)
        assert [llm.generate("Hi").content for _ in range(2)] == ["fine", "fine"]
    finally:
        for descriptor in held:
            os.close(descriptor)
    assert server.connections == 1
