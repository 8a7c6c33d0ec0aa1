"""FAULTS 1.4 and 1.5 on every wire: the exact text comes out, or an error that says it did not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from abstractcore import AbstractCoreError, IncompleteStreamError, OverloadedError, ServerError
from tests.fakes import any_wire
from tests.fakes.replies import Chunk, Hang, LastChunk, Reply, Step, compact_json, sse_event
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

TEXT = "Héllo 🌍🇫🇷, a\u2028b\x85c\x0bd\x1ce\u2029f\r\ng\n\ndata: not an event\u200d."


def bent(reply: Reply, change: Callable[[bytes], Sequence[bytes]], *last: Step) -> Reply:
    """The same stream with its bytes passed through *change*, a write for each piece."""

    def rewrite(steps: Sequence[Step]) -> Sequence[Step]:
        data = b"".join(step.data for step in steps if isinstance(step, Chunk))
        head = [step for step in steps if not isinstance(step, Chunk | LastChunk)]
        return [*head, *(Chunk(piece) for piece in change(data)), *(last or [LastChunk()])]

    return reply.changed(rewrite)


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


FRAMINGS: dict[str, Callable[[bytes], Sequence[bytes]]] = {
    "all in one write": lambda data: [data],
    "1-byte writes": lambda data: [data[at : at + 1] for at in range(len(data))],
    "3-byte writes": lambda data: [data[at : at + 3] for at in range(0, len(data), 3)],
    "7-byte writes": lambda data: [data[at : at + 7] for at in range(0, len(data), 7)],
    "CRLF": lambda data: [crlf(data)],
    "CRLF split between reads": lambda data: re.split(rb"(?<=\r)", crlf(data)),
    "BOM": lambda data: [b"\xef\xbb\xbf", data],
    "blank lines": lambda data: [b"\n\r\n" + data + b"\n\n"],
    "the last line without its end": lambda data: [data.rstrip(b"\n")],
    "what follows the end": lambda data: [data + data],
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_the_exact_text_comes_out_of_every_wire(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4, NDJSON cut anywhere among them."""
    server.replies(bent(any_wire.text(TEXT), FRAMINGS[name]))

    with surface.open_stream(wire.llm(server, api_key="k"), "hi") as stream:
        chunks = stream.rest()
        assert "".join(chunk.content for chunk in chunks) == TEXT
        assert stream.response.content == TEXT
        assert stream.response.finish_reason == "stop"
        assert stream.response.usage.output_tokens == 7
    assert [chunk.phase for chunk in chunks].count("done") == 1


def test_a_server_that_hangs_after_the_end_of_any_wire_holds_nobody(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4: drain at most 100 ms, then release the socket."""
    server.replies(bent(any_wire.text(TEXT), FRAMINGS["all in one write"], Hang()))

    with surface.open_stream(wire.llm(server, api_key="k"), "hi") as stream:
        stream.rest()
        assert stream.response.content == TEXT
        surface.wait_for(server, lambda s: s.disconnects == 1 and s.open_sockets == 0)


@pytest.mark.parametrize("ending", ["chunked-end", "close", "reset"])
def test_a_stream_of_any_wire_that_is_cut_is_incomplete(
    ending: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5, B5: EOF without terminal event."""
    server.replies(any_wire.unfinished("Half of it", ending=ending))

    text, failure = read(surface, wire, server)

    assert text == "Half of it"
    assert type(failure) is IncompleteStreamError
    assert failure.partial is not None
    assert (failure.partial.content, failure.partial.finish_reason) == ("Half of it", None)
    assert len(server.requests) == 1


def test_a_stream_of_any_wire_cut_anywhere_never_ends_well(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: EOF inside an event, at each byte before the end mark; what was given is the text's beginning."""
    whole = any_wire.text("two words", piece=5, usage=False)
    llm = wire.llm(server, api_key="k", max_retries=0)
    sizes: list[int] = []

    def cut(at: int) -> Reply:
        return bent(whole, lambda data: [data[:at], *(sizes.append(len(data)) or ())])

    server.replies(cut(0))
    with pytest.raises(AbstractCoreError):
        surface.stream(llm, "hi")
    for at in range(1, sizes[0], 41):
        server.replies(cut(at))
        handle, text = None, ""
        try:
            handle = surface.open_stream(llm, "hi")
            while (chunk := handle.next()) is not None:
                text += chunk.content
        except IncompleteStreamError:
            assert "two words".startswith(text)
        else:  # every wire has an end that is known before its last byte
            assert text == "two words"
            assert at > sizes[0] / 2


EMPTY: dict[str, Callable[[bytes], Sequence[bytes]]] = {
    "nothing": lambda data: [],
    "a blank line": lambda data: [b"\n\n"],
    "a part of the first event": lambda data: [data[:12]],
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_stream_of_any_wire_that_never_began_is_asked_again(
    name: str, surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.5: R = pre."""
    server.replies(bent(any_wire.text("lost"), EMPTY[name]), any_wire.text("whole"))

    with surface.open_stream(wire.llm(server, api_key="k"), "hi") as stream:
        stream.rest()
        assert stream.response.content == "whole"
    assert len(server.requests) == 2


@pytest.mark.parametrize("begun", [True, False], ids=["amid", "first"])
def test_an_error_in_a_stream_of_any_wire_is_the_provider_s(
    begun: bool, surface: Surface, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.5: error object mid-stream, `overloaded_error`; asked again only before the first chunk."""
    event = _error_event(wire)
    half = any_wire.unfinished("Half of it")
    server.replies(bent(half, lambda data: [data, event] if begun else [event]), any_wire.text("whole"))

    text, failure = read(surface, wire, server)

    if not begun:
        assert (text, failure, len(server.requests)) == ("whole", None, 2)
        return
    assert text == "Half of it"
    assert isinstance(failure, ServerError)
    assert type(failure) is OverloadedError or wire.name == "ollama_chat"  # which has no types
    assert failure.partial is not None
    assert failure.partial.content == "Half of it"
    assert (failure.retryable, len(server.requests)) == (False, 1)


@pytest.mark.parametrize(
    "bad", [b"{not json}", b"17", b'"\xff\xfe"'], ids=["not JSON", "a number", "not UTF-8"]
)
def test_an_unreadable_event_of_any_wire_is_not_dropped(
    bad: bytes, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: invalid JSON / UTF-8 event: IncompleteStreamError(bad data), R = 0."""
    line = bad + b"\n" if wire.name == "ollama_chat" else b"data: " + bad + b"\n\n"
    whole = any_wire.text("and the rest")
    half = any_wire.unfinished("Half of it")
    server.replies(bent(half, lambda data: [data, line, *_bytes(whole)]))

    text, failure = read(surface, wire, server)

    assert text == "Half of it"
    assert type(failure) is IncompleteStreamError
    assert "bad data" in str(failure)
    assert len(server.requests) == 1


def read(surface: Surface, wire: Wire, server: FakeServer) -> tuple[str, AbstractCoreError | None]:
    """The text that came, and the error after it."""
    handle = surface.open_stream(wire.llm(server, api_key="k"), "hi")
    text = ""
    try:
        while (chunk := handle.next()) is not None:
            text += chunk.content
    except AbstractCoreError as failure:
        return text, failure
    return text, None


def _error_event(wire: Wire) -> bytes:
    body = wire.dialect.error_body("Overloaded", type="overloaded_error")
    match wire.name:
        case "openai_chat":
            return sse_event(body)
        case "ollama_chat":
            return compact_json(body).encode() + b"\n"
        case "openai_responses":
            body = {"type": "error", "code": "overloaded_error", "message": "Overloaded", "param": None}
    data: bytes = wire.dialect.event_bytes(body)
    return data


def _bytes(reply: Reply) -> list[bytes]:
    return [step.data for step in reply.steps(None) if isinstance(step, Chunk)]
