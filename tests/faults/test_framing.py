"""FAULTS 1.4 through the whole stack: however the stream is written, the exact text comes out."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.fakes import any_wire
from tests.fakes.replies import Chunk, Hang
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import WIRES, Wire

from .bending import Change, bent, events_of, one_write, over_many_lines, with_between, writes_of
from .per_wire import Meaningless, rows

# Each of these has cut an event in two in some reader: U+2028 and 0x85 where str.splitlines is used,
# 0x0b and 0x1c too; the emoji and the flag where bytes are decoded piece by piece.
TEXT = "Héllo 🌍🇫🇷, a\u2028b\x85c\x0bd\x1ce\u2029f\r\ng\n\ndata: not an event\n: nor a comment\u200d."


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def cr(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


FRAMINGS: dict[str, Change] = {
    "all in one write": one_write,
    "1-byte writes": writes_of(1),
    "3-byte writes through UTF-8": writes_of(3),
    "7-byte writes": writes_of(7),
    "CRLF": lambda data: [crlf(data)],
    "CRLF split between reads": lambda data: re.split(rb"(?<=\r)", crlf(data)),
    "CR only": lambda data: [cr(data)],
    "CR only, cut at each": lambda data: re.split(rb"(?<=\r)", cr(data)),
    "BOM": lambda data: [b"\xef\xbb\xbf" + data],
    "BOM in two writes": lambda data: [b"\xef", b"\xbb\xbf" + data],
    "BOM in a write of its own": lambda data: [b"\xef\xbb\xbf", data],
    "blank lines": with_between(b"\n\n\n"),
    "blank lines at both ends": lambda data: [b"\n\r\n" + data + b"\n\n"],
    "the last line without its end": lambda data: [data.rstrip(b"\n")],
    "the last event without its blank line": lambda data: [data[:-1]],
    "what follows the end": lambda data: [data + data],
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
CASES = {name: {wire: name for wire in WIRES} for name in FRAMINGS} | {
    name: {wire.name: name if wire.has_events else NO_FIELDS for wire in WIRES.values()} for name in OF_EVENTS
}


@rows(CASES, "name")
def test_the_exact_text_comes_out(name: str, surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.4: one row a case, NDJSON cut anywhere among them."""
    server.replies(bent(any_wire.text(TEXT), (FRAMINGS | OF_EVENTS)[name]))

    assert_is_exact(surface, server, wire)


def assert_is_exact(surface: Surface, server: FakeServer, wire: Wire) -> None:
    with surface.open_stream(wire.llm(server), "hi") as stream:
        chunks = stream.rest()
        assert "".join(chunk.content for chunk in chunks) == TEXT
        assert stream.response.content == TEXT
        assert stream.response.finish_reason == "stop"
        assert stream.response.usage.total_tokens == 12  # on the chat wire, of a chunk with `choices: []`
    assert [chunk.phase for chunk in chunks].count("done") == 1
    assert chunks[-1].is_done()


def test_unknown_events_are_passed_over(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.4: unknown/ping events, in the framing of each wire."""
    unknown = wire.dialect.event_bytes({"type": "aura", "aura": [{"x": None}]})
    server.replies(bent(any_wire.text(TEXT), with_between(unknown)))

    assert_is_exact(surface, server, wire)


NO_DELTA = Meaningless("a delta is a text, and nothing holds it")
NULLS: dict[str, dict[str, Any]] = {
    "null text": {
        "openai_chat": {"choices": [{"index": 0, "delta": {"content": None}}]},
        "openai_responses": {"type": "response.output_text.delta", "output_index": 0, "delta": None},
        "anthropic_messages": {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": None},
        },
        "ollama_chat": {"message": {"role": "assistant", "content": None}, "done": False},
    },
    "null delta": {
        "openai_chat": {"choices": [{"index": 0, "delta": None}]},
        "openai_responses": NO_DELTA,
        "anthropic_messages": {"type": "message_delta", "delta": None},
        "ollama_chat": {"message": None, "done": False},
    },
}


@rows(NULLS, "event")
def test_a_delta_of_null_says_nothing(surface: Surface, server: FakeServer, wire: Wire, event: Any) -> None:
    """1.4: null deltas, between the others."""

    def inserted(data: bytes) -> list[bytes]:
        first, second, rest = data.partition(b'"lo "')
        *before, begun = events_of(first)
        assert second
        return [*before, wire.dialect.event_bytes(event), begun.rstrip(b"\n") + second + rest]

    server.replies(bent(any_wire.text(TEXT, piece=3), inserted))

    assert_is_exact(surface, server, wire)


ONLY_END = Meaningless("the event that ends the answer is the one that says why it ended")


@rows(
    {
        "no end mark": {
            "openai_chat": one_write,
            "openai_responses": ONLY_END,
            "anthropic_messages": one_write,
            "ollama_chat": ONLY_END,
        },
        "no end mark, and the last line cut": {
            "openai_chat": lambda data: [data.rstrip(b"\n")],
            "openai_responses": ONLY_END,
            "anthropic_messages": lambda data: [data.rstrip(b"\n")],
            "ollama_chat": ONLY_END,
        },
    },
    "change",
)
def test_a_finish_reason_ends_an_answer_without_an_end_mark(
    surface: Surface, server: FakeServer, wire: Wire, change: Change
) -> None:
    """1.4: finish_reason without [DONE]; last line without newline."""
    server.replies(bent(any_wire.text(TEXT, done=False), change))

    assert_is_exact(surface, server, wire)


def test_a_whole_stream_gives_its_connection_back(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.4: the end mark is not the end of the body; the rest is drained, and the connection serves again."""
    server.replies(any_wire.text("once"))
    llm = wire.llm(server)

    assert [surface.stream(llm, "hi")[-1].phase for _ in range(3)] == ["done"] * 3
    assert server.connections == 1


def test_an_event_of_three_megabytes_is_read_in_linear_time(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4: 3 MB event (linear time): four times the bytes are not sixteen times the time."""
    llm = wire.llm(server)

    def seconds(size: int) -> float:
        text = "é" * (size // 2)
        server.replies(any_wire.text(text, piece=size).in_pieces(4096))
        begun = time.process_time()
        with surface.open_stream(llm, "hi") as stream:
            stream.rest()
            assert stream.response.content == text
        return time.process_time() - begun

    small, large = seconds(750_000), seconds(3_000_000)

    assert large < 10 * small + 0.2


def test_what_follows_the_end_mark_is_dropped(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.4: data after the terminal event ends the answer now, whatever it is."""
    more = wire.dialect.event_bytes("not JSON")
    server.replies(bent(any_wire.text(TEXT), lambda data: [data, events_of(data)[0], more]))
    llm = wire.llm(server)

    for _ in range(2):
        with surface.open_stream(llm, "hi") as stream:
            stream.rest()
            assert stream.response.content == TEXT


@pytest.mark.parametrize("after", [[], [Chunk(b"data: more\n\n")]], ids=["silence", "data"])
def test_a_server_that_hangs_after_the_end_mark_holds_nobody(
    surface: Surface, server: FakeServer, wire: Wire, after: list[Chunk]
) -> None:
    """1.4: drain at most 100 ms, then release the socket."""
    server.replies(bent(any_wire.text(TEXT), one_write, *after, Hang()))
    begun = time.monotonic()

    chunks = surface.stream(wire.llm(server), "hi")

    assert time.monotonic() - begun < 1.0
    assert "".join(chunk.content for chunk in chunks) == TEXT
    surface.wait_for(server, lambda s: s.disconnects == 1 and s.open_sockets == 0)


def test_the_end_mark_is_given_out_before_the_body_is_drained(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4: end now."""
    server.replies(bent(any_wire.text(TEXT), one_write, Hang()))

    with surface.open_stream(wire.llm(server), "hi") as stream:
        while not stream.next().is_done():
            pass
        assert stream.response.content == TEXT
        surface.wait_for(server, lambda s: s.hanging == 1)
        assert server.disconnects == 0
