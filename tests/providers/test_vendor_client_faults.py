"""FAULTS 1.1, 1.2, 1.5, 1.10 through a vendor's client: our errors, our retries, and no key in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.errors import (
    APIError,
    AuthenticationError,
    ConnectionFailedError,
    IncompleteStreamError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tests.fakes import anthropic_messages, aws_events, faults, network
from tests.fakes.replies import Chunk, Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.providers.asking import failure_of, few
from tests.providers.conftest import KEY, MODEL, VENDORS, Vendor

Make = Callable[..., Any]
LONG = "word " * 40


# What the service refuses


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [(401, AuthenticationError, 1), (429, RateLimitError, 3), (500, ServerError, 3)],
)
def test_a_status_is_our_error_and_retried_by_us_alone(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    vendor: Vendor,
    server: FakeServer,
    make_llm: Make,
    waits: list[float],
    status: int,
    kind: type[APIError],
    attempts: int,
) -> None:
    said = f"no, {KEY} is not one of ours"
    server.replies(vendor.dialect.error(status, said, headers={"x-request-id": "req-9", "retry-after": "7"}))

    failure = failure_of(surface, whole_or_stream, make_llm(vendor))

    assert type(failure) is kind
    assert (failure.status_code, failure.attempts, failure.request_id) == (status, attempts, "req-9")
    assert failure.retry_after == 7
    assert "*** is not one of ours" in failure.message
    assert len(server.requests) == attempts
    assert all(7 <= seconds <= 7.25 for seconds in waits)


@few
def test_max_retries_of_the_llm_counts_and_the_clients_does_not(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_client: Make,
    waits: list[float],
) -> None:  # fmt: skip
    server.replies(vendor.dialect.error(503))
    llm = create_llm(vendor.provider, MODEL, client=make_client(vendor, max_retries=5), max_retries=1)

    assert failure_of(surface, whole_or_stream, llm).attempts == 2
    assert (len(server.requests), len(waits)) == (2, 1)


@few
def test_a_call_that_fails_once_is_answered(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make,
    waits: list[float],
) -> None:  # fmt: skip
    server.replies(vendor.dialect.error(529), vendor.sends(vendor.dialect.text("Hello.")))

    assert whole_or_stream.ask(surface, make_llm(vendor), "Hi").content == "Hello."
    assert len(waits) == 1


@few
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'"no"', b"\xff\xfe"])
def test_an_odd_error_body_keeps_its_status(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    vendor: Vendor,
    server: FakeServer,
    make_llm: Make,
    body: bytes,
) -> None:
    server.replies(whole(400, body))

    assert failure_of(surface, whole_or_stream, make_llm(vendor)).status_code == 400


@few
def test_a_redirect_is_not_followed(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(faults.redirect("https://elsewhere.example/login"))

    failure = failure_of(surface, whole_or_stream, make_llm(vendor))

    assert (type(failure), failure.status_code, failure.location) == (APIError, 302, "elsewhere.example")
    assert len(server.requests) == 1


@few
def test_a_page_is_no_answer(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(faults.html())

    assert type(failure_of(surface, whole_or_stream, make_llm(vendor))) is ResponseError


# What the network does


def test_nobody_listens(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    make_client: Make,
    waits: list[float],
) -> None:
    client = make_client(VENDORS["anthropic"], base_url=f"http://127.0.0.1:{network.refused_port()}")

    failure = failure_of(surface, whole_or_stream, create_llm("anthropic", MODEL, client=client))

    assert (type(failure), failure.phase, failure.attempts) == (ConnectionFailedError, "connect", 3)
    assert isinstance(failure.__cause__.__cause__, OSError)


def test_a_name_that_nobody_has(
    surface: Surface, whole_or_stream: WholeOrStream, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.failing_dns(monkeypatch)
    client = make_client(VENDORS["openai"], base_url="http://models.invalid/v1")

    failure = failure_of(surface, whole_or_stream, create_llm("openai", MODEL, client=client))

    assert (type(failure), failure.phase, failure.attempts) == (ConnectionFailedError, "connect", 1)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_certificate_that_nobody_signed(
    surface: Surface, whole_or_stream: WholeOrStream, tls_server: FakeServer, make_client: Make, name: str
) -> None:
    client = make_client(VENDORS[name], base_url=tls_server.url + "/v1")

    failure = failure_of(surface, whole_or_stream, create_llm(name, MODEL, client=client))

    assert (type(failure), failure.phase, failure.attempts) == (ConnectionFailedError, "tls", 1)
    assert "certificate" in failure.message


@few
@pytest.mark.parametrize("leaves", [faults.closes, faults.resets])
def test_the_server_leaves_before_it_answers(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make,
    waits: list[float], leaves: Callable[[], Reply],
) -> None:  # fmt: skip
    server.replies(leaves())

    failure = failure_of(surface, whole_or_stream, make_llm(vendor))

    assert (type(failure), failure.phase, failure.attempts) == (ConnectionFailedError, "headers", 3)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_dropped_answer(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make,
    waits: list[float], ending: Any,
) -> None:  # fmt: skip
    """No raw error of httpx2 leaks; a stream keeps what had arrived."""
    server.replies(vendor.sends(vendor.dialect.text(LONG)).cut(0.6, ending=ending))

    failure = failure_of(surface, whole_or_stream, make_llm(vendor))

    if whole_or_stream.streams:
        assert (type(failure), failure.attempts) == (IncompleteStreamError, 1)
        assert LONG.startswith(failure.partial.content)
        assert failure.partial.content
    else:
        assert (type(failure), failure.phase, failure.attempts) == (ConnectionFailedError, "body", 3)


@few
def test_a_stream_that_ends_without_its_mark(
    surface: Surface, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text(LONG, done=False, finish_reason=None)))

    failure = failure_of(surface, WholeOrStream("stream"), make_llm(vendor))

    assert (type(failure), failure.partial.content) == (IncompleteStreamError, LONG)


def test_an_overloaded_service_says_so_in_mid_stream(
    surface: Surface, server: FakeServer, make_llm: Make
) -> None:
    said = anthropic_messages.error_body("busy", type="overloaded_error")
    event = anthropic_messages.event_bytes({"type": "error", **said})
    server.replies(
        anthropic_messages.text(LONG, ending="hang", done=False).changed(
            lambda steps: [*steps[:-1], Chunk(event)]
        )
    )

    failure = failure_of(surface, WholeOrStream("stream"), make_llm(VENDORS["anthropic"]))

    assert isinstance(failure, OverloadedError)
    assert failure.partial.content


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("throttlingException", RateLimitError), ("internalServerException", ServerError)],
)
def test_bedrock_says_so_in_mid_stream(
    surface: Surface, server: FakeServer, make_llm: Make, kind: str, expected: type[APIError]
) -> None:
    reply = aws_events.framed(anthropic_messages.text(LONG, done=False))
    server.replies(
        reply.changed(lambda steps: [*steps[:-1], Chunk(aws_events.exception(kind, "busy")), steps[-1]])
    )

    failure = failure_of(surface, WholeOrStream("stream"), make_llm(VENDORS["bedrock"]))

    assert isinstance(failure, APIError)
    assert failure.partial.content


def test_a_damaged_frame_of_bedrocks(surface: Surface, server: FakeServer, make_llm: Make) -> None:
    broken = bytearray(aws_events.event(b'{"type":"message_stop"}'))
    broken[-1] ^= 1
    reply = aws_events.framed(anthropic_messages.text(LONG, done=False))
    server.replies(reply.changed(lambda steps: [*steps[:-1], Chunk(bytes(broken)), steps[-1]]))

    failure = failure_of(surface, WholeOrStream("stream"), make_llm(VENDORS["bedrock"]))

    assert (type(failure), "bad data" in failure.message) == (IncompleteStreamError, True)
