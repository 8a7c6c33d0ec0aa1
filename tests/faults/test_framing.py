"""FAULTS 1.4 through the whole stack: however the stream is written, the exact text comes out.

Here on Chat Completions, with all that servers do; the other wires, and NDJSON, in
`test_stream_semantics_wires.py`.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.fakes import openai_chat
from tests.fakes.replies import Chunk, Hang, Reply, sse, sse_bytes, sse_event
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

# Each of these has cut an event in two in some reader: U+2028 and 0x85 where str.splitlines is used,
# 0x0b and 0x1c too; the emoji and the flag where bytes are decoded piece by piece.
TEXT = "Héllo 🌍🇫🇷, a\u2028b\x85c\x0bd\x1ce\u2029f\r\ng\n\ndata: not an event\n: nor a comment\u200d."
EVENTS = openai_chat.text_chunks(TEXT)
WIRE = sse_bytes(EVENTS)


def one_write(data: bytes) -> Reply:
    return sse([data], done=False)


def each_a_chunk(pieces: list[bytes]) -> Reply:
    return sse([Chunk(piece) for piece in pieces], done=False)


def with_between(extra: bytes) -> bytes:
    return extra + extra.join(sse_event(event) for event in [*EVENTS, "[DONE]"])


def pretty(event: Any) -> bytes:
    # JSON escapes the text's own line feeds: each line of the pretty form is a line of data.
    text = json.dumps(event, ensure_ascii=False, indent=2)
    return b"".join(b"data: %b\n" % line.encode() for line in text.split("\n")) + b"\n"


FRAMINGS: dict[str, Reply] = {
    "3-byte writes through UTF-8": sse(EVENTS).in_pieces(3),
    "1-byte writes": one_write(WIRE).in_pieces(1),
    "all in one write": one_write(WIRE),
    "CRLF": one_write(WIRE.replace(b"\n", b"\r\n")),
    "CRLF split between reads": each_a_chunk(re.split(rb"(?<=\r)", WIRE.replace(b"\n", b"\r\n"))),
    "CR only": one_write(WIRE.replace(b"\n", b"\r")),
    "CR only, cut at each": each_a_chunk(re.split(rb"(?<=\r)", WIRE.replace(b"\n", b"\r"))),
    "BOM": one_write(b"\xef\xbb\xbf" + WIRE),
    "BOM in two writes": each_a_chunk([b"\xef", b"\xbb\xbf" + WIRE]),
    "no space after the colon": one_write(WIRE.replace(b"data: {", b"data:{")),
    "comments": one_write(with_between(b": keep-alive\n\n:\n")),
    "id, retry and unknown fields": one_write(with_between(b"id: 7\nretry: 10\nwhat: is this\nevent\n")),
    "odd characters in a comment": one_write(with_between(": \u2028\x85\x0b\x1c\n".encode())),
    "multi-line data": one_write(b"".join(map(pretty, EVENTS)) + b"data: [DONE]\n\n"),
    "blank lines": one_write(with_between(b"\n\n\n")),
    "ping events": one_write(with_between(b'event: ping\ndata: {"type": "ping"}\n\n')),
    "empty data": one_write(with_between(b"data:\n\n")),
    "null deltas": one_write(with_between(sse_event(openai_chat.delta({"content": None})))),
    "no delta at all": one_write(with_between(sse_event({"choices": [{"index": 0, "delta": None}]}))),
    "a finish reason without [DONE]": sse(EVENTS, done=False),
    "the last line without its end": one_write(WIRE.rstrip(b"\n")),
    "the last event without its blank line": one_write(WIRE[:-1]),
    "a cut last line and no [DONE]": one_write(sse_bytes(EVENTS, done=False).rstrip(b"\n")),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_the_exact_text_comes_out(name: str, surface: Surface, server: FakeServer) -> None:
    """1.4: one row a case."""
    server.replies(FRAMINGS[name])

    with surface.open_stream(server.llm(), "hi") as stream:
        chunks = stream.rest()

        assert "".join(chunk.content for chunk in chunks) == TEXT
        assert stream.response.content == TEXT
        assert stream.response.finish_reason == "stop"
        assert stream.response.usage.total_tokens == 12  # out of the chunk with `choices: []`
    assert [chunk.phase for chunk in chunks].count("done") == 1
    assert chunks[-1].is_done()


def test_a_whole_stream_gives_its_connection_back(surface: Surface, server: FakeServer) -> None:
    """1.4: [DONE] is not the end of the body; the rest is drained, and the connection serves again."""
    server.replies(openai_chat.text("once"))
    llm = server.llm()

    assert [surface.stream(llm, "hi")[-1].phase for _ in range(3)] == ["done"] * 3
    assert server.connections == 1


def test_an_event_of_three_megabytes_is_read_in_linear_time(surface: Surface, server: FakeServer) -> None:
    """1.4: 3 MB event (linear time): four times the bytes are not sixteen times the time."""
    llm = server.llm()

    def seconds(size: int) -> float:
        text = "é" * (size // 2)
        server.replies(sse(openai_chat.text_chunks(text, piece=size)).in_pieces(4096))
        begun = time.perf_counter()
        with surface.open_stream(llm, "hi") as stream:
            stream.rest()
            assert stream.response.content == text
        return time.perf_counter() - begun

    small, large = seconds(750_000), seconds(3_000_000)

    assert large < 10 * small + 0.2


def test_what_follows_the_end_mark_is_dropped(surface: Surface, server: FakeServer) -> None:
    """1.4: data after the terminal event ends the answer now."""
    server.replies(sse([*EVENTS, "[DONE]", openai_chat.delta({"content": "more"}), "not JSON"]))
    llm = server.llm()

    with surface.open_stream(llm, "hi") as stream:
        stream.rest()
        assert stream.response.content == TEXT
    assert surface.stream(llm, "hi")[-1].is_done()


@pytest.mark.parametrize("after", [[], [Chunk(b"data: more\n\n")]], ids=["silence", "data"])
def test_a_server_that_hangs_after_the_end_mark_holds_nobody(
    surface: Surface, server: FakeServer, after: list[Chunk]
) -> None:
    """1.4: drain at most 100 ms, then release the socket."""
    server.replies(sse([*EVENTS, "[DONE]", *after, Hang()], done=False))
    begun = time.monotonic()

    chunks = surface.stream(server.llm(), "hi")

    assert time.monotonic() - begun < 1.0
    assert "".join(chunk.content for chunk in chunks) == TEXT
    surface.wait_for(server, lambda s: s.disconnects == 1 and s.open_sockets == 0)


def test_the_end_mark_is_given_out_before_the_body_is_drained(surface: Surface, server: FakeServer) -> None:
    """1.4: end now."""
    server.replies(sse([*EVENTS, "[DONE]", Hang()], done=False))

    with surface.open_stream(server.llm(), "hi") as stream:
        while not stream.next().is_done():
            pass
        assert stream.response.content == TEXT
        surface.wait_for(server, lambda s: s.hanging == 1)
        assert server.disconnects == 0
