"""FAULTS 1.2: the server answers with a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from abstractcore.errors import (
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
from tests.fakes import faults
from tests.fakes.any_wire import error, text
from tests.fakes.openai_chat import error as openai_error
from tests.fakes.replies import Reply, raw, whole
from tests.fakes.wires import WIRES

from .per_wire import Meaningless
from .table import Answers, Fails, Play, Row

LATER = text("The answer.")
ID = {"X-Request-Id": "req_42"}
NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
OTHER_WORDS = Meaningless("other wires have other words for it")


def date(seconds: float = 0) -> str:
    return format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)


def limited(status: int = 429, **headers: str) -> Reply:
    return error(status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def statuses(*codes: int) -> dict[str, Play]:
    told = {"error": {"message": "scripted", "code": "a_code"}}
    return {str(code): whole(code, told, headers=ID) for code in codes}


def refused(kind: type[APIError], **more: Any) -> Fails:
    """A failure that asking again would not change; its connection serves on."""
    fields = {"request_id": "req_42", "code": "a_code", **more.pop("fields", {})}
    return Fails(kind, connection="kept", fields=fields, says=("scripted", "a_code")[:1], **more)


def passing(kind: type[APIError], **more: Any) -> Fails:
    """A failure that may be over soon."""
    fields = {"request_id": "req_42", "code": "a_code"}
    return Fails(kind, 3, retryable=True, connection="kept", fields=fields, says=("scripted",), **more)


def status_row(names: str, outcome: Fails, *codes: int, **more: Any) -> Row:
    told = replace(outcome, fields={**outcome.fields, "status_code": codes})
    return Row("1.2", f"status {names}", told, statuses(*codes), **more)


def on_chat(reply: Reply) -> Mapping[str, Any]:
    return {name: reply if name == "openai_chat" else OTHER_WORDS for name in WIRES}


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
STORY = error(400, "a longer story that is told")
BAD = Fails(BadRequestError, connection=None, fields={"status_code": 400})
IGNORED = (
    "-5",
    "nan",
    "NaN",
    "-inf",
    "soon",
    "",
    "1 second",
    "Thu, 99 Foo 2026",
    date(-60),
    "١",
    "\x7f",
    "1,2",
)

STATUSES = (
    status_row("400, 405, 413, 418, 422", refused(BadRequestError), 400, 405, 413, 418, 422),
    status_row("401", refused(AuthenticationError), 401),
    status_row("402", refused(QuotaExceededError), 402),
    status_row("403", refused(PermissionDeniedError), 403),
    status_row("404", refused(ModelNotFoundError), 404),
    status_row("408", passing(APIError), 408),
    status_row("409", passing(ConflictError), 409),
    status_row("429", passing(RateLimitError), 429),
    status_row("500, 502, 503, 504 and unknown ones above", passing(ServerError), 500, 502, 503, 504, 520),
    status_row("501", refused(ServerError), 501),
    status_row("529", passing(OverloadedError), 529),
    status_row("of any other kind", refused(APIError), 300, 406, 410, 451, 499, 600, 999),
    Row(
        "1.2",
        "status 304, which has no body",
        Fails(
            APIError, connection="kept", fields={"status_code": 304, "request_id": "req_42"}, says=("304",)
        ),
        {"304": whole(304, b"", headers=ID)},
    ),
    Row(
        "1.2",
        "status 101, which nobody asked for",
        Fails(APIError, fields={"status_code": 101}),
        {"101": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\nbytes", ending="hang")},
        client={"timeout": 5},
    ),
    Row(
        "1.2",
        "interim answers (100, 103) before the answer",
        Answers(),
        {
            "100 and 103": LATER.after(
                faults.Send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            )
        },
    ),
    Row(
        "1.2",
        "a status that HTTP does not have",
        Fails(ResponseError),
        {
            str(status): raw(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode())
            for status in (99, 12, "abc")
        },
    ),
)

WORDS = (
    Row(
        "1.2",
        "the prompt is too long for the model",
        Fails(ContextLengthError, connection="kept", fields={"code": "context_length_exceeded"}),
        {"code": on_chat(openai_error(400, "too long", code="context_length_exceeded"))},
    ),
    Row(
        "1.2",
        "a quota or a spend cap is used up",
        Fails(QuotaExceededError, connection="kept", fields={"status_code": 429}),
        {
            "code": on_chat(openai_error(429, "no credit", code="insufficient_quota")),
            "words": error(429, "The monthly spend limit was reached."),
        },
    ),
    Row(
        "1.2",
        "429 with the word for too many requests",
        Fails(RateLimitError, 3, retryable=True, connection="kept", fields={"code": "rate_limit_exceeded"}),
        {"code": on_chat(openai_error(429, "slow down", code="rate_limit_exceeded"))},
    ),
    Row(
        "1.2",
        "500 with the word for overloaded",
        Fails(OverloadedError, 3, retryable=True, connection="kept", fields={"code": "overloaded_error"}),
        {"type": on_chat(openai_error(500, "busy", type="overloaded_error"))},
    ),
    Row(
        "1.2",
        "`x-should-retry: false`",
        Fails(ServerError, connection="kept"),
        {
            "503": error(503, headers={"X-Should-Retry": "false"}),
            "500": error(500, headers={"X-Should-Retry": "FALSE"}),
        },
    ),
    Row(
        "1.2",
        "`x-should-retry: true`",
        Fails((ServerError, BadRequestError), 3, retryable=True, connection="kept"),
        {
            "503": error(503, headers={"X-Should-Retry": "true"}),
            "400": error(400, headers={"X-Should-Retry": "true"}),
            "neither, of a 500": error(500, headers={"X-Should-Retry": "eh"}),
        },
    ),
    Row(
        "1.2",
        "`x-should-retry: true`, of a spent account",
        Fails(QuotaExceededError, connection="kept"),
        {"402": error(402, headers={"X-Should-Retry": "true"})},
    ),
)

WAITS = (
    Row(
        "1.2",
        "`Retry-After` of no time at all",
        Answers(attempts=2, waits=(0.0, 1.0)),
        {"zero": (limited(Retry_After="0"), LATER)},
    ),
    Row(
        "1.2",
        "`Retry-After` of about a second",
        Answers(attempts=2, waits=(1.0, 2.5)),
        {
            "seconds": (limited(Retry_After="1"), LATER),
            "a fraction": (limited(Retry_After="1.5"), LATER),
            "milliseconds": (limited(Retry_After_Ms="1500", Retry_After="7"), LATER),
            "of a 503": (limited(503, Retry_After="1"), LATER),
        },
    ),
    Row(
        "1.2",
        "`Retry-After` as a date",
        Answers(attempts=2, waits=(2.0, 3.0)),
        {"beside Date": (limited(Retry_After=date(2), Date=date()), LATER)},
    ),
    Row(
        "1.2",
        "`Retry-After` of a minute",
        Answers(attempts=2, waits=(60.0, 61.0)),
        {"60": (limited(Retry_After="60"), LATER)},
    ),
    Row(
        "1.2",
        "`Retry-After` of more than a minute",
        Fails(RateLimitError, retryable=True, connection="kept"),
        {
            value: limited(Retry_After=value, Date=date())
            for value in ("86400", "61", "1e400", "inf", "Infinity", date(86_400))
        },
        page="`RateLimitError` at once, with `retry_after`",
    ),
    Row(
        "1.2",
        "`Retry-After` that is longer than the call may take",
        Fails(RateLimitError, retryable=True, connection="kept", fields={"retry_after": 30.0}),
        {"30": limited(Retry_After="30")},
        client={"timeout": 20},
    ),
    Row(
        "1.2",
        "`Retry-After` that makes no sense",
        Answers(attempts=2),
        {
            repr(value): (limited(Retry_After=value.encode().decode("latin-1"), Date=date()), LATER)
            for value in IGNORED
        },
    ),
)

ERROR_BODIES = (
    Row(
        "1.2",
        "an error body of any kind, of a 400",
        Fails(BadRequestError, connection="kept", fields={"status_code": 400}),
        {name: whole(400, body) for name, body in BODIES.items()},
    ),
    Row(
        "1.2",
        "an error body of any kind, of a 503",
        Fails(ServerError, 3, retryable=True, connection="kept", fields={"status_code": 503}),
        {name: whole(503, BODIES[name]) for name in ("page", "empty", "not utf-8", "fields of odd types")},
    ),
    Row(
        "1.2",
        "an error body that breaks off",
        BAD,
        {
            "FIN": STORY.cut(0.5, ending="close"),
            "RST": STORY.cut(0.5, ending="reset"),
            "garbage for gzip": faults.gzipped(STORY, fault="garbage"),
            "half of a gzip": faults.gzipped(STORY, fault="truncated"),
        },
    ),
    Row(
        "1.2",
        "an error body that is compressed, or long",
        Fails(BadRequestError, connection="kept", says=("a longer story",)),
        {"gzip": faults.gzipped(STORY), "28,000 characters": error(400, "a longer story. " * 1_750)},
        page="`BadRequestError`; at most 1,000 characters of it are told",
    ),
    Row(
        "1.2",
        "an error body of megabytes",
        Fails(BadRequestError),
        {"10 MB": whole(400, {"error": {"message": "a" * 40_000, "more": "b" * 10_000_000}})},
        page="`BadRequestError`; at most 64 KB of it are read",
    ),
    Row(
        "1.2",
        "an error body that does not end",
        Fails(BadRequestError, within=1.5),
        {
            "hangs": faults.error_body_hangs(400),
            "drips": faults.endless_body(status=400, size=10),
        },
        scene="an impatient reader of errors",
        page="`BadRequestError`, after at most 5 s",
    ),
    Row(
        "1.2",
        "a body or a header that repeats the key",
        elsewhere=("tests/faults/test_network_secrets.py", "tests/faults/test_secrets.py"),
        page="the error without the key",
    ),
    Row(
        "1.2",
        "backoff, deadline and the quota of retries",
        elsewhere=("tests/faults/test_status_retries.py",),
        page="what [the page on retries](timeouts-and-retries.md) says of them",
    ),
)

ROWS: tuple[Row, ...] = (*STATUSES, *WORDS, *WAITS, *ERROR_BODIES)
