"""FAULTS 1.1: no connection, none that is safe, and one that stops, drips or breaks."""

from __future__ import annotations

from collections.abc import Sequence

from abstractcore.errors import (
    APIError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    IncompleteStreamError,
    RequestTimeoutError,
    ResponseError,
)
from tests.fakes import any_wire, faults
from tests.fakes.any_wire import error, text
from tests.fakes.replies import Chunk, Head, Pause, Repeat, Send, Step, raw, scripted

from .table import Answers, Fails, Row

ANSWER = "The answer."


class Bulk(str):
    """Megabytes that no traceback shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Bulk"


TEN_MB = Bulk("x" * 10_000_000)


def in_a_hundred_writes(steps: Sequence[Step]) -> Sequence[Step]:
    """Write as slowly whatever the length, which is not the same on every wire."""
    length = sum(len(step.wire) for step in steps if isinstance(step, Send | Head))
    return scripted(*steps).in_pieces(max(1, length // 100), pause=0.004, head=True).steps(None)


def without_end(steps: Sequence[Step]) -> Sequence[Step]:
    """Say the last words over and over."""
    said = [index for index, step in enumerate(steps) if isinstance(step, Chunk) and b'"la "' in step.data]
    return [*steps[: said[0]], Repeat((steps[said[0]], Pause(0.01)))]


def no_connection(*phases: str, **more: object) -> Fails:
    """A connection that fails each time it is tried."""
    return Fails(ConnectionFailedError, 3, retryable=True, fields={"phase": phases}, **more)  # pyright: ignore[reportArgumentType]


def broken(phase: str) -> Fails:
    """An answer that breaks off each time, before anything was given out."""
    return Fails(ConnectionFailedError, 3, retryable=True, fields={"phase": phase})


def silent(phase: str, attempts: int = 3, **more: object) -> Fails:
    return Fails(RequestTimeoutError, attempts, retryable=True, fields={"phase": phase}, **more)  # pyright: ignore[reportArgumentType]


def cut_short(partial: str, *says: str) -> Fails:
    return Fails(IncompleteStreamError, fields={"phase": "body"}, partial=partial, says=says)


UNVERIFIED = Fails(ConnectionFailedError, fields={"phase": "tls"}, says=("verify failed",))
NEVER_ENDS = Fails(RequestTimeoutError, fields={"phase": "total"}, within=1.5)
NOT_HTTP = Fails(ResponseError)
#: What says that a stream was asked for, and that it broke off amid its text.
AMID = any_wire.unfinished("Once upon", ending="close")
IN_PART: tuple[str, ...] = ("stream",)
REDIRECTS = {
    **{
        f"{status} to another host": faults.redirect(
            "http://elsewhere.test/hidden?token=hidden", status=status
        )
        for status in (301, 302, 303, 307, 308)
    },
    "to itself": faults.redirect("/v1/chat/completions"),
    "to nowhere": faults.redirect(""),
    "to what is no address": faults.redirect("http://[broken"),
}

CONNECTING = (
    Row(
        "1.1",
        "nobody listens at the port",
        no_connection("connect", connection="none"),
        {"refused": None},
        scene="nobody listens",
        counted="nothing",
    ),
    Row(
        "1.1",
        "the server closes or resets at once",
        no_connection("connect", "headers"),
        {"FIN": faults.closes(begins="accept"), "RST": faults.resets(begins="accept")},
        counted="connections",
    ),
    Row(
        "1.1",
        "the name cannot be looked up now",
        no_connection("connect", connection="none", says=("models.invalid",)),
        {"EAI_AGAIN": None},
        scene="a lookup that may pass",
        counted="nothing",
    ),
    Row(
        "1.1",
        "there is no such name",
        Fails(
            ConnectionFailedError, connection="none", fields={"phase": "connect"}, says=("models.invalid",)
        ),
        {"EAI_NONAME": None},
        scene="a name that is none",
        counted="nothing",
    ),
    Row(
        "1.1",
        "a name that no resolver takes",
        Fails((ConnectionFailedError, ConfigurationError), connection="none"),
        {"64 characters": None},
        scene="a name too long",
        counted="nothing",
    ),
    Row(
        "1.1",
        "`https://` to a port without TLS",
        Fails(ConnectionFailedError, fields={"phase": "tls"}),
        {"plain": None},
        scene="plain port",
        counted="connections",
    ),
    Row(
        "1.1",
        "a certificate of an unknown authority",
        UNVERIFIED,
        {"unknown": None},
        scene="unknown authority",
        counted="connections",
    ),
    Row(
        "1.1",
        "a certificate for another name",
        UNVERIFIED,
        {"another": None},
        scene="another name",
        counted="connections",
    ),
    Row(
        "1.1",
        "a damaged `SSL_CERT_FILE`",
        Fails(ConfigurationError, attempts=0, connection="none", says=("SSL_CERT_FILE",)),
        {"no certificate": None},
        scene="damaged roots",
        counted="nothing",
    ),
    Row(
        "1.1",
        "a TLS handshake that breaks off",
        no_connection("connect", "tls"),
        {"FIN": faults.closes(begins="accept"), "RST": faults.resets(begins="accept")},
        scene="tls",
        counted="connections",
    ),
    Row(
        "1.1",
        "a TLS handshake that hangs",
        silent("tls", within=1.5),
        {"hangs": faults.hangs(begins="accept")},
        scene="tls",
        client={"connect_timeout": 0.05},
        counted="connections",
    ),
    Row(
        "1.1",
        "TLS that verifies",
        Answers(ANSWER),
        {"trusted": text(ANSWER)},
        scene="tls",
        page="the answer",
    ),
    Row(
        "1.1",
        "a connection that nobody completes",
        silent("connect", connection="none", within=1.5),
        {"one address": None},
        scene="nobody answers",
        client={"connect_timeout": 0.1},
        counted="nothing",
    ),
    Row(
        "1.1",
        "nobody completes it, and the call's time is shorter",
        silent("connect", attempts=1, connection="none", within=0.6),
        {"one address": None},
        scene="nobody answers",
        client={"timeout": 0.1},
        counted="nothing",
    ),
    Row(
        "1.1",
        "several dead addresses of one name: the limit is for them all",
        silent("connect", attempts=1, connection="none", within=0.6),
        {"four": None},
        scene="four dead addresses",
        client={"connect_timeout": 0.2, "max_retries": 0},
        counted="nothing",
    ),
)

WRITING = (
    Row(
        "1.1",
        "10 MB are sent and read",
        Answers(ANSWER),
        {"read": text(ANSWER)},
        call={"system_prompt": TEN_MB},
        has_session=False,
        page="the answer",
    ),
    Row(
        "1.1",
        "a 413 before the request was read whole",
        Fails(BadRequestError, connection=None, fields={"status_code": 413}, says=("far too large",)),
        {
            "then read": faults.before_body(error(413, "far too large"), then="read"),
            "then left": faults.before_body(error(413, "far too large"), then="hang"),
        },
        scene="slow to read",
        call={"system_prompt": TEN_MB},
        has_session=False,
    ),
    Row(
        "1.1",
        "the same over TLS",
        Fails(BadRequestError, connection=None, fields={"status_code": 413}, says=("far too large",)),
        {
            "then read": faults.before_body(error(413, "far too large"), then="read"),
            "then left": faults.before_body(error(413, "far too large"), then="hang"),
        },
        scene="slow to read, tls",
        call={"system_prompt": TEN_MB},
        has_session=False,
    ),
    Row(
        "1.1",
        "the server leaves amid the request",
        Fails(ConnectionFailedError, 2, retryable=True, fields={"phase": "write"}),
        {"FIN": faults.closes(begins="head"), "RST": faults.resets(begins="head")},
        client={"max_retries": 1},
        call={"system_prompt": TEN_MB},
        has_session=False,
    ),
    Row(
        "1.1",
        "the server does not read the request",
        silent("write", attempts=1, within=2),
        {"unread": faults.never_reads_body(0.4)},
        scene="slow to read",
        client={"timeout": 0.2},
        call={"system_prompt": TEN_MB},
        has_session=False,
    ),
)

READING = (
    Row(
        "1.1",
        "silence before the headers, for the whole of the call's time",
        silent("headers", attempts=1),
        {"hangs": faults.hangs()},
        client={"timeout": 0.15},
    ),
    Row(
        "1.1",
        "silence before the headers, within the call's time",
        Answers(ANSWER),
        {"longer than the read timeout": text(ANSWER).after(Pause(0.15))},
        client={"read_timeout": 0.03},
        page="the answer: a model that reasons may be silent for minutes",
    ),
    Row(
        "1.1",
        "silence after the headers, or in the body",
        silent("body"),
        {
            "after the headers": text(ANSWER).cut(0.0, ending="hang"),
            "mid-body": text(ANSWER).cut(0.02, ending="hang"),
        },
        client={"read_timeout": 0.05},
    ),
    Row(
        "1.1",
        "silence that is over at the second attempt",
        Answers(ANSWER, attempts=2, connection=None),
        {"once": (text("not this").cut(0.0, ending="hang"), text(ANSWER))},
        client={"read_timeout": 0.05},
    ),
    Row(
        "1.1",
        "silence amid a stream",
        cut_short("Once upon", "timeout"),
        {"hangs": any_wire.unfinished("Once upon", ending="hang")},
        ways=IN_PART,
        client={"read_timeout": 0.05},
    ),
    Row(
        "1.1",
        "a slow answer, each byte within the read timeout",
        Answers("Slow."),
        {"a hundred writes": text("Slow.").changed(in_a_hundred_writes)},
        client={"read_timeout": 0.25},
    ),
    Row(
        "1.1",
        "headers, body or comments without end",
        NEVER_ENDS,
        {
            "a slow answer": faults.drips(text(ANSWER), pause=0.01),
            "headers": faults.endless_headers(),
            "interim answers": faults.endless_interim(),
            "comments": faults.comments_only(),
            "body": faults.endless_body(size=10),
        },
        client={"timeout": 0.25},
    ),
    Row(
        "1.1",
        "a text without end",
        Fails(RequestTimeoutError, fields={"phase": "total"}, partial="la la ", within=1.5),
        {"la": any_wire.unfinished("la ").changed(without_end)},
        ways=IN_PART,
        client={"timeout": 0.2},
    ),
    Row(
        "1.1",
        "more than 256 KB of headers",
        NOT_HTTP,
        {
            "endless": faults.endless_headers(pause=0),
            "interim": faults.endless_interim(pause=0),
            "one of 200 KB": faults.huge_header(),
        },
        client={"timeout": 20},
    ),
    Row(
        "1.1",
        "the connection ends before the headers",
        broken("headers"),
        {"FIN": faults.closes(), "RST": faults.resets()},
    ),
    Row(
        "1.1",
        "the connection ends in the body",
        broken("body"),
        {"FIN": text(ANSWER).cut(0.02, ending="close"), "RST": text(ANSWER).cut(0.02, ending="reset")},
    ),
    Row(
        "1.1",
        "the connection ends amid a stream",
        cut_short("Once upon"),
        {"FIN": AMID, "RST": any_wire.unfinished("Once upon", ending="reset")},
        ways=IN_PART,
    ),
    Row(
        "1.1",
        "a failure, then a stream that breaks: both attempts are counted",
        Fails(IncompleteStreamError, attempts=2, partial="Once upon"),
        {"503 first": (error(503), AMID)},
        ways=IN_PART,
    ),
    Row(
        "1.1",
        "another protocol",
        NOT_HTTP,
        {"closes": faults.not_http(), "waits": raw(b"SSH-2.0-OpenSSH_9.6\r\n", ending="hang")},
        client={"timeout": 5},
    ),
    Row(
        "1.1",
        "a redirect",
        Fails(APIError, connection="kept", fields={"location": (None, "127.0.0.1", "elsewhere.test")}),
        REDIRECTS,
        page="`APIError`; it is not followed, and `error.location` names the host alone",
    ),
)

ELSEWHERE = (
    Row(
        "1.1",
        "a kept connection that went stale",
        elsewhere=("tests/faults/test_network_pool.py",),
        page="the answer, over a new connection; it counts as no retry",
    ),
    Row(
        "1.1",
        "every connection of the pool is in use",
        elsewhere=("tests/faults/test_network_pool.py",),
        page="`RequestTimeoutError` (phase `pool`) that names the limit; not asked again",
    ),
    Row(
        "1.1",
        "proxies, and those that cannot be used",
        elsewhere=("tests/faults/test_network_proxies.py",),
        page="the answer, as `HTTPS_PROXY` and its kin say; an unusable one: `ConfigurationError`",
    ),
)

ROWS: tuple[Row, ...] = (*CONNECTING, *WRITING, *READING, *ELSEWHERE)
