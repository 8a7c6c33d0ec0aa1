"""A connection that stops, drips, breaks or is not to be had: FAULTS 1.1, from the request to the body."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from abstractcore.errors import (
    AbstractCoreError,
    BadRequestError,
    ConnectionFailedError,
    IncompleteStreamError,
    RequestTimeoutError,
    ResponseError,
)
from tests.fakes import any_wire, faults
from tests.fakes.any_wire import error, text
from tests.fakes.replies import Chunk, Head, Pause, Repeat, Reply, Send, Step, scripted
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, PROMPT, assert_keeps_secrets, assert_left, assert_told, failure_of

ANSWER = "A tale of two sockets."


class Bulk(str):
    """Megabytes that no traceback shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Bulk"


TEN_MB = Bulk("x" * 10_000_000)


# Silence.


def test_a_server_that_never_answers_is_a_timeout_of_the_headers(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 hang before headers: only the call's own time counts, and then none is left for a retry."""
    server.replies(faults.hangs())

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=0.15, api_key=KEY))

    assert_told(failure, RequestTimeoutError, phase="headers", attempts=1, retryable=True)
    assert_left(server)
    assert (server.disconnects, len(server.requests), waits) == (1, 1, [])


def test_silence_before_the_headers_may_be_longer_than_silence_after_them(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.1 hang before headers: a reasoning model is silent for minutes (the read timeout is not meant)."""
    server.replies(text(ANSWER).after(Pause(0.15)))

    response = whole_or_stream.ask(surface, wire.llm(server, read_timeout=0.03), "Hi")

    assert response.content == ANSWER


@pytest.mark.parametrize("share", [0.0, 0.02], ids=["after headers", "mid-body"])
def test_silence_before_the_first_chunk_is_retried(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    share: float,
) -> None:
    """1.1 hang after headers, mid-body: nothing was given out yet."""
    server.replies(text(ANSWER).cut(share, ending="hang"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, read_timeout=0.05, api_key=KEY))

    assert_told(failure, RequestTimeoutError, phase="body", attempts=3, retryable=True)
    assert_left(server)
    assert (server.disconnects, len(server.requests), len(waits)) == (3, 3, 2)


def test_a_hang_that_passes_costs_the_caller_nothing_but_time(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 hang after headers: the retry's answer is the answer."""
    server.replies(text("not this").cut(0.0, ending="hang"), text(ANSWER))

    response = whole_or_stream.ask(surface, wire.llm(server, read_timeout=0.05), "Hi")

    assert response.content == ANSWER
    assert (len(server.requests), len(waits)) == (2, 1)


def test_silence_amid_a_stream_is_an_incomplete_stream(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 hang mid-stream: the text that came was given out first, so nothing is retried."""
    server.replies(any_wire.unfinished("Once upon", ending="hang"))

    failure, given = broken_stream(surface, wire.llm(server, read_timeout=0.05, api_key=KEY))

    assert_told(failure, IncompleteStreamError, phase="body", attempts=1, retryable=False)
    assert "timeout" in str(failure)
    assert given == failure.partial.content == "Once upon"
    assert_left(server)
    assert (server.disconnects, len(server.requests), waits) == (1, 1, [])


def broken_stream(surface: Surface, llm: Any, **options: Any) -> tuple[Any, str]:
    """Read a stream to its failure; the failure, and the text that came before it."""
    given: list[str] = []
    with surface.open_stream(llm, PROMPT, **options) as stream:
        with pytest.raises(AbstractCoreError) as caught:
            given.extend(chunk.content for chunk in iter(stream.next, None))
        assert stream.partial.content == "".join(given)
    assert (caught.value.provider, caught.value.model) == (llm.provider, llm.model)
    assert_keeps_secrets(caught.value)
    return caught.value, "".join(given)


def test_the_attempts_before_a_broken_stream_are_counted(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 disconnect mid-stream, after a first attempt that failed: two requests were sent."""
    server.replies(error(503), text(ANSWER).cut(0.6))

    failure, _ = broken_stream(surface, wire.llm(server))

    assert_told(failure, IncompleteStreamError, attempts=2)
    assert (len(server.requests), len(waits)) == (2, 1)


# Dripping.


def in_a_hundred_writes(steps: Sequence[Step]) -> Sequence[Step]:
    """Write as slowly whatever the length, which is not the same on every wire."""
    length = sum(len(step.wire) for step in steps if isinstance(step, Send | Head))
    return scripted(*steps).in_pieces(max(1, length // 100), pause=0.004, head=True).steps(None)


def test_each_byte_of_a_slow_answer_resets_the_read_clock(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.1 slow-loris finite: no failure, though the whole takes much longer than the read timeout."""
    server.replies(text("Slow.").changed(in_a_hundred_writes))
    started = time.monotonic()

    response = whole_or_stream.ask(surface, wire.llm(server, read_timeout=0.25), "Hi")

    assert response.content == "Slow."
    assert time.monotonic() - started > 0.3


def test_a_slow_answer_ends_with_the_calls_time(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 slow-loris finite: RequestTimeoutError(total)."""
    server.replies(faults.drips(text(ANSWER), pause=0.01))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=0.25, api_key=KEY))

    assert_never_ended(failure, server, waits)


ENDLESS: dict[str, Callable[[], Reply]] = {
    "headers": faults.endless_headers,
    "interim": faults.endless_interim,
    "comments": faults.comments_only,
    "body": lambda: faults.endless_body(size=10),
}


@pytest.mark.parametrize("fault", ENDLESS)
def test_what_never_ends_is_ended_by_the_calls_time(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: str,
) -> None:
    """1.1 slow-loris infinite body/headers, comments only."""
    server.replies(ENDLESS[fault]())

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=0.25, api_key=KEY))

    assert_never_ended(failure, server, waits)


def assert_never_ended(failure: Any, server: FakeServer, waits: list[float]) -> None:
    assert_told(failure, RequestTimeoutError, phase="total", attempts=1, retryable=False)
    assert_left(server)
    assert (server.disconnects, len(server.requests), waits) == (1, 1, [])


def without_end(steps: Sequence[Step]) -> Sequence[Step]:
    """Say the last words over and over."""
    said = [index for index, step in enumerate(steps) if isinstance(step, Chunk) and b'"la "' in step.data]
    return [*steps[: said[0]], Repeat((steps[said[0]], Pause(0.01)))]


def test_an_endless_stream_of_text_ends_with_the_calls_time(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.1 slow-loris infinite, mid-stream: the text that came stands in `partial`."""
    server.replies(any_wire.unfinished("la ").changed(without_end))

    failure, given = broken_stream(surface, wire.llm(server, timeout=0.2))

    assert_told(failure, RequestTimeoutError, phase="total", attempts=1, retryable=False)
    assert given == failure.partial.content
    assert given.startswith("la la ")
    assert_left(server)


@pytest.mark.parametrize("fault", [faults.endless_headers, faults.endless_interim])
def test_headers_are_bounded_in_bytes_too(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.1 slow-loris infinite headers, as fast as they can be sent: at most 256 KB are read."""
    server.replies(fault(pause=0))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=20))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert_left(server)
    assert waits == []


# The request is not read.


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("then", ["read", "hang"])
@pytest.mark.usefixtures("trusted")
def test_an_answer_before_the_request_was_sent_whole_is_the_answer(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    waits: list[float],
    then: Any,
    tls: bool,
) -> None:
    """1.1 server answers before the body is read: its 413, though nobody reads the other megabytes."""
    server = make_server(tls=tls, receive_buffer=8_192)
    server.replies(faults.before_body(error(413, "far too large"), then=then))
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY), system_prompt=TEN_MB)

    assert_told(failure, BadRequestError, status_code=413, attempts=1, retryable=False)
    assert "far too large" in str(failure)
    assert time.monotonic() - started < 3
    assert (len(server.requests), waits) == (1, [])


def test_a_request_that_is_reset_gives_the_answer_if_it_can_be_read(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 server answers before the body is read, and closes: the 413 or ConnectionFailedError(write)."""
    server.replies(faults.before_body(error(413), then="close"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_retries=0), system_prompt=TEN_MB)

    if isinstance(failure, BadRequestError):
        assert failure.status_code == 413
    else:
        assert_told(failure, ConnectionFailedError, phase="write", attempts=1, retryable=True)
    assert_left(server)


@pytest.mark.parametrize("fault", [faults.closes, faults.resets])
def test_a_large_request_that_nobody_reads_fails_in_its_writing(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.1 write: the server leaves amid the request."""
    server.replies(fault(begins="head"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_retries=1), system_prompt=TEN_MB)

    assert_told(failure, ConnectionFailedError, phase="write", attempts=2, retryable=True)
    assert (len(server.requests), len(waits)) == (2, 1)
    assert_left(server)


def test_a_request_that_is_never_read_is_a_timeout_of_the_writing(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    waits: list[float],
) -> None:
    """1.1 write timeout: never a hang with 10 MB."""
    server = make_server(receive_buffer=8_192)
    server.replies(faults.never_reads_body(0.4))
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=0.2), system_prompt=TEN_MB)

    assert_told(failure, RequestTimeoutError, phase="write", attempts=1)
    assert time.monotonic() - started < 2
    assert waits == []
    server.wait_for(lambda s: s.open_sockets == 0, timeout=5)


def test_a_large_request_arrives_whole(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.1, the other way round: ten megabytes are no trouble to a server that reads them."""
    server.replies(text(ANSWER))

    assert whole_or_stream.ask(surface, wire.llm(server), "Hi", system_prompt=TEN_MB).content == ANSWER
    assert wire.sent(server.requests[0]).system == TEN_MB


# Breaking off.


@pytest.mark.parametrize("fault", [faults.closes, faults.resets])
def test_a_connection_that_ends_before_the_headers_is_retried(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.1 reset / FIN before headers."""
    server.replies(fault())

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ConnectionFailedError, phase="headers", attempts=3, retryable=True)
    assert_left(server)
    assert (len(server.requests), server.connections, len(waits)) == (3, 3, 2)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_answer_that_breaks_off_before_its_first_chunk_is_retried(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    ending: Any,
) -> None:
    """1.1 disconnect mid-body; of a stream, before a chunk was given out."""
    server.replies(text(ANSWER).cut(0.02, ending=ending))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ConnectionFailedError, phase="body", attempts=3, retryable=True)
    assert_left(server)
    assert (len(server.requests), len(waits)) == (3, 2)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_stream_that_breaks_off_is_incomplete_and_not_retried(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], ending: Any
) -> None:
    """1.1 disconnect mid-stream."""
    server.replies(text(ANSWER).cut(0.6, ending=ending))

    failure, given = broken_stream(surface, wire.llm(server, api_key=KEY))

    assert_told(failure, IncompleteStreamError, phase="body", attempts=1, retryable=False)
    assert given == failure.partial.content
    assert given
    assert ANSWER.startswith(given)
    assert_left(server)
    assert (len(server.requests), waits) == (1, [])
