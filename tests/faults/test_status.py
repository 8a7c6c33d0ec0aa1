"""The server answers with a failure: FAULTS 1.2, each status and each shape of its body."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from abstractcore.providers import http
from tests.fakes import faults
from tests.fakes.any_wire import error, text
from tests.fakes.openai_chat import error as openai_error
from tests.fakes.replies import Reply, raw, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_told, failure_of

ID = {"X-Request-Id": "req_42"}
STATUSES: dict[int, tuple[type[APIError], bool]] = {
    300: (APIError, False),
    304: (APIError, False),
    400: (BadRequestError, False),
    401: (AuthenticationError, False),
    402: (QuotaExceededError, False),
    403: (PermissionDeniedError, False),
    404: (ModelNotFoundError, False),
    405: (BadRequestError, False),
    406: (APIError, False),
    408: (APIError, True),
    409: (ConflictError, True),
    410: (APIError, False),
    413: (BadRequestError, False),
    418: (BadRequestError, False),
    422: (BadRequestError, False),
    429: (RateLimitError, True),
    451: (APIError, False),
    499: (APIError, False),
    500: (ServerError, True),
    501: (ServerError, False),
    502: (ServerError, True),
    503: (ServerError, True),
    504: (ServerError, True),
    520: (ServerError, True),
    529: (OverloadedError, True),
    600: (APIError, False),
    999: (APIError, False),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_one_class_retried_or_not(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    status: int,
) -> None:
    """1.2, every row: class, code, request id, retried or not; the connection is kept."""
    kind, is_retried = STATUSES[status]
    body = b"" if status == 304 else {"error": {"message": "scripted", "code": "a_code"}}
    server.replies(whole(status, body, headers=ID))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    attempts = 3 if is_retried else 1
    assert_told(
        failure, kind, status_code=status, attempts=attempts, retryable=is_retried, request_id="req_42"
    )
    if status != 304:
        assert failure.code == "a_code"
        assert "scripted" in str(failure)
    assert str(status) in str(failure)
    assert (len(server.requests), len(waits)) == (attempts, attempts - 1)
    assert (server.connections, server.open_sockets) == (1, 1)


def test_an_upgrade_that_nobody_asked_for_is_an_api_error(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.2, 1xx: 101 is an answer, and the connection then speaks something else."""
    server.replies(raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\nbytes", ending="hang"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=5, api_key=KEY))

    assert_told(failure, APIError, status_code=101, attempts=1, retryable=False)
    server.wait_for(lambda s: s.open_sockets == 0)
    assert waits == []


def test_interim_answers_are_passed_over(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.2, 1xx: 100 and 103 come before the answer."""
    early = faults.Send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    server.replies(text("The answer.").after(early))

    assert whole_or_stream.ask(surface, wire.llm(server), "Hi").content == "The answer."


@pytest.mark.parametrize("status", [99, 12, "abc"])
def test_a_status_that_is_none_is_no_answer(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    status: Any,
) -> None:
    """1.2, unknown: what HTTP does not allow is no HTTP."""
    server.replies(raw(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode()))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert waits == []


# What the body says more exactly.

REFINED: dict[str, tuple[Reply, type[AbstractCoreError], str | None, bool]] = {
    "context length": (
        openai_error(400, "too long", code="context_length_exceeded"),
        ContextLengthError,
        "context_length_exceeded",
        False,
    ),
    "spent": (
        openai_error(429, "no credit", code="insufficient_quota"),
        QuotaExceededError,
        "insufficient_quota",
        False,
    ),
    "spend cap": (
        openai_error(429, "The monthly spend limit was reached."),
        QuotaExceededError,
        None,
        False,
    ),
    "busy": (
        openai_error(429, "slow down", code="rate_limit_exceeded"),
        RateLimitError,
        "rate_limit_exceeded",
        True,
    ),
    "overloaded": (
        openai_error(500, "busy", type="overloaded_error"),
        OverloadedError,
        "overloaded_error",
        True,
    ),
}


@pytest.mark.parametrize("name", REFINED)
def test_a_code_says_more_than_its_status(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    waits: list[float],
    name: str,
) -> None:
    """1.2: context_length_exceeded, insufficient_quota: the codes of OpenAI, on its wire."""
    reply, kind, code, is_retried = REFINED[name]
    server.replies(reply)

    failure = failure_of(surface, whole_or_stream, server.llm(api_key=KEY))

    attempts = 3 if is_retried else 1
    assert_told(failure, kind, code=code, attempts=attempts, retryable=is_retried)
    assert (len(server.requests), len(waits)) == (attempts, attempts - 1)


def test_words_say_more_than_their_status(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.2: a spend cap, whatever the wire calls it."""
    server.replies(error(429, "The monthly spend limit was reached."))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, QuotaExceededError, status_code=429, attempts=1, retryable=False)
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize(
    ("status", "asked", "is_retried"),
    [
        (503, "false", False),
        (503, "true", True),
        (500, "FALSE", False),
        (400, "true", True),
        (500, "eh", True),
    ],
)
def test_a_server_may_say_whether_to_retry(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    status: int,
    asked: str,
    is_retried: bool,
) -> None:
    """1.2: x-should-retry."""
    server.replies(error(status, headers={"X-Should-Retry": asked}))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert failure.retryable is is_retried
    assert len(server.requests) == failure.attempts == (3 if is_retried else 1)


def test_a_spent_account_is_not_asked_again_whatever_the_server_says(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.2: a quota is never retried."""
    server.replies(error(402, headers={"X-Should-Retry": "true"}))

    assert_told(failure_of(surface, whole_or_stream, wire.llm(server)), QuotaExceededError, attempts=1)
    assert waits == []


ECHOES: dict[str, Callable[[str], Reply]] = {
    "message": lambda key: error(401, f"Incorrect API key provided: {key}."),
    "code": lambda key: error(401, "bad key", code=key),
    "text": lambda key: whole(401, f"bad key {key}", headers={"Content-Type": "text/plain"}),
    "field": lambda key: whole(401, {"error": {"message": "no", "param": [{key: [key]}]}}),
    "200": lambda key: whole(200, {"error": {"message": f"bad {key}", "code": "x", "param": key}}),
    "200 text": lambda key: whole(200, f"bad {key}"),
    "200 page": lambda key: whole(200, f"<p>bad {key}"),
    "200 shape": lambda key: whole(200, {"choices": [{"message": f"bad {key}"}]}),
    "header": lambda key: error(400, headers={"X-Request-Id": f"for {key}"}),
}


@pytest.mark.parametrize("key", [KEY, "plain-key-0123456789abcdef"], ids=["sk", "plain"])
@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_the_server_repeats_stands_nowhere(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, name: str, key: str
) -> None:
    """1.2: replaced by its last four characters at most, in every field; 1.10."""
    server.replies(ECHOES[name](key))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=key, max_retries=0))

    assert "0123456789" not in f"{failure!r} {failure!s} {failure.args!r} {vars(failure)!r}"


def test_a_key_in_a_header_of_the_callers_own_stands_nowhere(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.10: `headers=` may hold a key too."""
    server.replies(error(400))

    failure_of(surface, whole_or_stream, wire.llm(server, headers={"X-Api-Key": KEY}))

    assert server.requests[0].headers["x-api-key"] == KEY


# The error's body.

BODIES: dict[str, Any] = {
    "page": "<!doctype html><html><title>Bad gateway</title><script>x</script><body>nginx</body></html>",
    "empty": b"",
    "string": '"just a string"',
    "list": [{"error": {"message": "in a list"}}],
    "number": "42",
    "null": "null",
    "text": "upstream connect error",
    "not utf-8": b"\xff\xfe\x00\xd8 odd",
    "surrogate": '{"error":{"message":"half \\ud800 a pair"}}',
    "deep": b"[" * 30_000,
    "error is text": {"error": "a text"},
    "error is null": {"error": None},
    "fields of odd types": {"error": {"message": {"a": [1]}, "code": 1.5, "type": ["x"]}},
    "validation": {"detail": [{"loc": ["body", "model"], "msg": "field required", "input": "hidden"}]},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [400, 503])
def test_the_status_decides_whatever_the_body_is(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    name: str,
    status: int,
) -> None:
    """1.2: HTML, empty, string, list and other bodies."""
    kind, is_retried = STATUSES[status]
    server.replies(whole(status, BODIES[name]))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, kind, status_code=status, retryable=is_retried)
    assert len(server.requests) == failure.attempts == (3 if is_retried else 1)
    str(failure).encode()
    assert "<" not in str(failure)
    assert "hidden" not in f"{failure} {failure.body!r}"


@pytest.mark.parametrize("fault", ["garbage", "truncated", "close", "reset", "none"])
def test_the_status_decides_when_the_body_breaks_off(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, fault: Any
) -> None:
    """1.2: truncated; a compressed one too."""
    reply = error(400, "a longer story that is told")
    if fault in ("close", "reset"):
        server.replies(reply.cut(0.5, ending=fault))
    else:
        server.replies(faults.gzipped(reply, fault=None if fault == "none" else fault))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, BadRequestError, status_code=400, attempts=1, retryable=False)
    assert ("a longer story" in str(failure)) == (fault == "none")


@pytest.mark.parametrize("reply", [faults.error_body_hangs(400), faults.endless_body(status=400, size=10)])
def test_an_error_body_that_does_not_end_is_not_waited_for(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
) -> None:
    """1.2: hanging, dripping; at most 5 s of an error body are read."""
    assert http._ERROR_SECONDS == 5.0
    monkeypatch.setattr(http, "_ERROR_SECONDS", 0.1)
    server.replies(reply)
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, BadRequestError, status_code=400, attempts=1)
    assert time.monotonic() - started < 1
    server.wait_for(lambda s: s.open_sockets == 0 and s.disconnects == 1)


def test_a_huge_error_body_is_cut(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.2: at most 64 KB are read, and 1,000 characters told."""
    server.replies(whole(400, {"error": {"message": "a" * 40_000, "more": "b" * 10_000_000}}))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert_told(failure, BadRequestError, status_code=400, attempts=1)
    assert len(str(failure)) <= 1_000
    assert len(str(failure.body)) <= 64 * 1024
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_long_message_is_told_in_a_thousand_characters(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.2: message ≤ 1,000 characters."""
    server.replies(error(400, "long " * 5_600))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert 900 < len(str(failure)) <= 1_000
    assert server.open_sockets == 1
