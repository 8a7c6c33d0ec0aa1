"""FAULTS 1.4 and 1.5: however a stream is written its text is exact, and one that ends wrongly is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from abstractcore.errors import (
    ConnectionFailedError,
    IncompleteStreamError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tests.fakes import any_wire
from tests.fakes.replies import Chunk, Hang, Reply, sse
from tests.fakes.wires import WIRES, Wire

from .bending import Change, bent, events_of, one_write, over_many_lines, with_between, writes_of
from .per_wire import Meaningless
from .table import Answers, Fails, Row

# Each of these has cut an event in two in some reader: U+2028 and 0x85 where str.splitlines is used,
# 0x0b and 0x1c too; the emoji and the flag where bytes are decoded piece by piece.
TEXT = "Héllo 🌍🇫🇷, a\u2028b\x85c\x0bd\x1ce\u2029f\r\ng\n\ndata: not an event\n: nor a comment\u200d."
EXACT = Answers(TEXT, fields={"finish_reason": "stop"})
IN_PART = ("stream",)


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def cr(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


# ---- 1.4: framing ------------------------------------------------------------------------------

WRITES: dict[str, Change] = {
    "all in one write": one_write,
    "1-byte writes": writes_of(1),
    "3-byte writes through UTF-8": writes_of(3),
    "7-byte writes": writes_of(7),
}
LINE_ENDS: dict[str, Change] = {
    "CRLF": lambda data: [crlf(data)],
    "CRLF split between reads": lambda data: re.split(rb"(?<=\r)", crlf(data)),
    "CR only": lambda data: [cr(data)],
    "CR only, cut at each": lambda data: re.split(rb"(?<=\r)", cr(data)),
    "the last line without its end": lambda data: [data.rstrip(b"\n")],
    "the last event without its blank line": lambda data: [data[:-1]],
}
EXTRAS: dict[str, Change] = {
    "BOM": lambda data: [b"\xef\xbb\xbf" + data],
    "BOM in two writes": lambda data: [b"\xef", b"\xbb\xbf" + data],
    "BOM in a write of its own": lambda data: [b"\xef\xbb\xbf", data],
    "blank lines": with_between(b"\n\n\n"),
    "blank lines at both ends": lambda data: [b"\n\r\n" + data + b"\n\n"],
}
OF_EVENTS: dict[str, Change] = {
    "no space after the colon": lambda data: [re.sub(rb"(?m)^(data|event): ", rb"\1:", data)],
    "comments": with_between(b": keep-alive\n\n:\n"),
    "id, retry and unknown fields": with_between(b"id: 7\nretry: 10\nwhat: is this\nevent\n"),
    "odd characters in a comment": with_between(": \u2028\x85\x0b\x1c\n".encode()),
    "multi-line data": over_many_lines,
    "ping events": with_between(b'event: ping\ndata: {"type": "ping"}\n\n'),
    "empty data": with_between(b"data:\n\n"),
}
NO_FIELDS = Meaningless("lines of JSON have no fields and no comments")
ONLY_END = Meaningless("the event that ends the answer is the one that says why it ended")
HAS_END_MARK = ("openai_chat", "anthropic_messages")


def framed(changes: Mapping[str, Change]) -> dict[str, Reply]:
    return {name: bent(any_wire.text(TEXT), change) for name, change in changes.items()}


def on_each(make: Any) -> dict[str, Any]:
    return {name: make(wire) for name, wire in WIRES.items()}


def of_events(reply: Reply) -> dict[str, Any]:
    return on_each(lambda wire: reply if wire.has_events else NO_FIELDS)


def without_end_mark(change: Change) -> dict[str, Any]:
    said = bent(any_wire.text(TEXT, done=False), change)
    return on_each(lambda wire: said if wire.name in HAS_END_MARK else ONLY_END)


def unknown_events(wire: Wire) -> Reply:
    unknown = wire.dialect.event_bytes({"type": "aura", "aura": [{"x": None}]})
    return bent(any_wire.text(TEXT), with_between(unknown))


FRAMING = (
    Row("1.4", "the bytes cut or joined anywhere", EXACT, framed(WRITES), ways=IN_PART),
    Row("1.4", "line ends of any kind, or none at the end", EXACT, framed(LINE_ENDS), ways=IN_PART),
    Row("1.4", "a byte-order mark, blank lines", EXACT, framed(EXTRAS), ways=IN_PART),
    Row(
        "1.4",
        "comments, pings, other fields, data over many lines",
        EXACT,
        {name: of_events(reply) for name, reply in framed(OF_EVENTS).items()},
        ways=IN_PART,
    ),
    Row("1.4", "unknown events", EXACT, {"between": on_each(unknown_events)}, ways=IN_PART),
    Row(
        "1.4",
        "a finish reason, and then no end mark",
        EXACT,
        {
            "no end mark": without_end_mark(one_write),
            "and the last line cut": without_end_mark(lambda data: [data.rstrip(b"\n")]),
        },
        ways=IN_PART,
    ),
    Row(
        "1.4",
        "data after the end",
        Answers(TEXT, fields={"finish_reason": "stop"}, connection=None),
        {
            "all of it again": bent(any_wire.text(TEXT), lambda data: [data + data]),
            "no JSON": on_each(
                lambda wire: bent(
                    any_wire.text(TEXT),
                    lambda data: [data, events_of(data)[0], wire.dialect.event_bytes("not JSON")],
                )
            ),
        },
        ways=IN_PART,
        page="the exact text; what follows is dropped",
    ),
    Row(
        "1.4",
        "the server goes on, or hangs, after the end",
        Answers(TEXT, connection="closed", within=1.0),
        {
            "silence": bent(any_wire.text(TEXT), one_write, Hang()),
            "data": bent(any_wire.text(TEXT), one_write, Chunk(b"data: more\n\n"), Hang()),
        },
        ways=IN_PART,
        page="the exact text, at once; the connection is let go within 100 ms",
    ),
    Row(
        "1.4",
        "deltas of null, an event of megabytes, any split of any stream",
        elsewhere=("tests/faults/test_framing.py", "tests/properties/test_any_split.py"),
        page="the exact text, in linear time",
    ),
)

# ---- 1.5: what a stream means ------------------------------------------------------------------

SAID = "Half of it"
HALF = any_wire.unfinished(SAID)
BEGUN = any_wire.unfinished("")  # what stands before the first text: nothing, on Ollama's wire
WHOLE = any_wire.text("The answer.")
BAD_DATA: dict[str, bytes] = {
    "not JSON": b"{not json}",
    "not an object": b"17",
    "not UTF-8": b'{"choices": "\xff\xfe"}',
}
NO_LINE = Meaningless("a body without a brace is no stream of lines: it is a row of 1.3")

FIRST: dict[str, tuple[Any, Any]] = {
    "empty stream": (bent(WHOLE, lambda data: []), IncompleteStreamError),
    "FIN at once": (any_wire.text("lost").cut(0), ConnectionFailedError),
    "blank lines": (bent(WHOLE, lambda data: [b"\n\n"]), IncompleteStreamError),
    "no text yet": (BEGUN, IncompleteStreamError),
    "no text yet, then FIN": (any_wire.unfinished("", ending="close"), ConnectionFailedError),
    "EOF inside the first event": (bent(WHOLE, lambda data: [data[:12]]), IncompleteStreamError),
    "EOF inside a character": (
        bent(any_wire.text("é", piece=1), lambda data: [data[: data.index("é".encode()) + 1]]),
        IncompleteStreamError,
    ),
    "only comments": (of_events(bent(WHOLE, lambda data: [b": hello\n\n"])), IncompleteStreamError),
    "500": (any_wire.error(500), ServerError),
    "429": (any_wire.error(429), RateLimitError),
    "an error": (any_wire.failing("", "Overloaded", type="overloaded_error"), ServerError),
    "an error after the beginning": (any_wire.failing(""), ServerError),
}


def then_whole(play: Any) -> Any:
    """The fault first, and the answer at the second attempt."""
    if isinstance(play, Mapping):
        return {name: said if isinstance(said, Meaningless) else (said, WHOLE) for name, said in play.items()}
    return (play, WHOLE)


def each_time(kind: Any) -> dict[str, Any]:
    return {name: play for name, (play, told) in FIRST.items() if told is kind}


def bad_event(wire: Wire, name: str) -> bytes:
    framed_bad: bytes = wire.dialect.event_bytes("BAD")
    return framed_bad.replace(b"BAD", BAD_DATA[name])


def bad_first(name: str) -> dict[str, Any]:
    def play(wire: Wire) -> Any:
        if name == "not an object" and not wire.has_events:
            return NO_LINE
        return bent(WHOLE, lambda data: [bad_event(wire, name), data])

    return on_each(play)


def broken_off(kind: Any, *says: str) -> Fails:
    """A stream that had given text: it stands in `partial`, and nothing is asked again."""
    return Fails(kind, partial=SAID, says=says, connection=None)


def opened_in_vain(kind: Any) -> Fails:
    return Fails(kind, 3, retryable=True, connection=None)


SEMANTICS = (
    Row(
        "1.5",
        "it ends without its end mark, or inside an event",
        broken_off(IncompleteStreamError),
        {
            "without a terminal event": HALF,
            "FIN without the last chunk": any_wire.unfinished(SAID, ending="close"),
            "reset": any_wire.unfinished(SAID, ending="reset"),
            "inside an event": bent(HALF, lambda data: [data, events_of(data)[0][:20]]),
            "inside a field's name": bent(HALF, lambda data: [data, events_of(data)[0][:3]]),
        },
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "it fails before its first chunk, once",
        Answers("The answer.", attempts=2, connection=None),
        {name: then_whole(play) for name, (play, _) in FIRST.items()},
        ways=IN_PART,
        page="the answer, of the second attempt",
    ),
    Row(
        "1.5",
        "it ends before its first chunk, each time",
        opened_in_vain(IncompleteStreamError),
        each_time(IncompleteStreamError),
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "it breaks off before its first chunk, each time",
        opened_in_vain((ConnectionFailedError, IncompleteStreamError)),
        each_time(ConnectionFailedError),
        ways=IN_PART,
        page="`ConnectionFailedError`, or `IncompleteStreamError` where it had begun",
    ),
    Row(
        "1.5",
        "500 or an error before its first chunk, each time",
        opened_in_vain((ServerError, OverloadedError)),
        each_time(ServerError),
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "429 before its first chunk, each time",
        opened_in_vain(RateLimitError),
        each_time(RateLimitError),
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "an error amid it",
        broken_off(ServerError),
        {"server_error": any_wire.failing(SAID, "Something went wrong", type="server_error")},
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "overloaded amid it",
        broken_off(OverloadedError),
        {"overloaded_error": any_wire.failing(SAID, "Something went wrong", type="overloaded_error")},
        lines=broken_off(ServerError),
        ways=IN_PART,
        page="`OverloadedError`; `ServerError` on Ollama's wire, which has no word for it",
    ),
    Row(
        "1.5",
        "an event that cannot be read",
        Fails(IncompleteStreamError, partial=SAID, says=("bad data",)),
        {
            name: on_each(
                lambda wire, name=name: bent(HALF, lambda data: [data, bad_event(wire, name), data])
            )
            for name in BAD_DATA
        },
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "a first event that cannot be read",
        Fails(IncompleteStreamError, says=("bad data",)),
        {name: bad_first(name) for name in BAD_DATA},
        ways=IN_PART,
    ),
    Row(
        "1.5",
        "no stream but a whole answer",
        Answers("The answer."),
        {"JSON": any_wire.at_once(WHOLE)},
        ways=IN_PART,
        page="the answer, in one chunk",
    ),
    Row(
        "1.5",
        "events of nothing that is known",
        Fails((ResponseError, IncompleteStreamError), attempts=(1, 3), retryable=None, connection=None),
        {"another object": sse([{"hello": "world"}]), "only [DONE]": sse([])},
        ways=IN_PART,
    ),
)

ROWS: tuple[Row, ...] = (*FRAMING, *SEMANTICS)
