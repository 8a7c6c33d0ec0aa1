"""FAULTS 1.5 on every wire: a stream that ends wrongly is never taken for one that ended."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from abstractcore import (
    LLM,
    AbstractCoreError,
    BasicSession,
    IncompleteStreamError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tests.fakes import any_wire, faults
from tests.fakes.replies import Reply, sse, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import WIRES, Wire

from .bending import bent, events_of
from .per_wire import Meaningless, rows

HALF = any_wire.unfinished("Half of it")
BEGUN = any_wire.unfinished("")  # what stands before the first text: nothing, on Ollama's wire
WHOLE = any_wire.text("whole")
#: What says on each wire that the provider is overloaded; Ollama's errors are a text alone.
OVERLOADED = any_wire.failing("", "Overloaded", type="overloaded_error")


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts have tests of their own."""
    monkeypatch.setattr("abstractcore.generation.retry.random.uniform", lambda low, high: low)


def read_until_failure(surface: Surface, llm: LLM | BasicSession) -> tuple[str, AbstractCoreError, Any]:
    """The text that came, the error after it, and the stream."""
    handle = surface.open_stream(llm, "hi")
    text = ""
    try:
        while (chunk := handle.next()) is not None:
            text += chunk.content
    except AbstractCoreError as failure:
        return text, failure, handle.stream
    pytest.fail("the stream ended well")


CUTS: dict[str, Reply] = {
    "EOF without a terminal event": HALF,
    "FIN without the last chunk": any_wire.unfinished("Half of it", ending="close"),
    "reset": any_wire.unfinished("Half of it", ending="reset"),
    "EOF inside an event": bent(HALF, lambda data: [data, events_of(data)[0][:20]]),
    "EOF inside a field's name": bent(HALF, lambda data: [data, events_of(data)[0][:3]]),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_stream_that_is_cut_is_incomplete(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: EOF without terminal event, inside an event; B5: the error carries what had arrived."""
    server.replies(CUTS[name])

    text, failure, stream = read_until_failure(surface, wire.llm(server))

    assert text == "Half of it"
    assert type(failure) is IncompleteStreamError
    assert failure.partial is not None
    assert (failure.partial.content, failure.partial.finish_reason) == ("Half of it", None)
    assert stream.partial == failure.partial
    assert not failure.retryable
    assert len(server.requests) == failure.attempts == 1
    with pytest.raises(AbstractCoreError):
        _ = stream.response


def test_a_stream_that_is_cut_anywhere_never_ends_well(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: EOF inside an event, at each byte before the end mark; what was given is the text's beginning."""
    answer = any_wire.text("two words", piece=5, usage=False)
    llm = wire.llm(server, max_retries=0)
    sizes: list[int] = []

    def cut(at: int) -> Reply:
        return bent(answer, lambda data: [data[:at], *(sizes.append(len(data)) or ())])

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


BEFORE_THE_FIRST_CHUNK: dict[str, tuple[Reply, type[AbstractCoreError]]] = {
    "empty stream": (bent(WHOLE, lambda data: []), IncompleteStreamError),
    "FIN at once": (any_wire.text("lost").cut(0), AbstractCoreError),
    "blank lines": (bent(WHOLE, lambda data: [b"\n\n"]), IncompleteStreamError),
    "no text yet": (BEGUN, IncompleteStreamError),
    "no text yet, then FIN": (any_wire.unfinished("", ending="close"), AbstractCoreError),
    "EOF inside the first event": (bent(WHOLE, lambda data: [data[:12]]), IncompleteStreamError),
    "EOF inside a character": (
        bent(any_wire.text("é", piece=1), lambda data: [data[: data.index("é".encode()) + 1]]),
        IncompleteStreamError,
    ),
    "overloaded first": (OVERLOADED, ServerError),
    "error after the beginning": (any_wire.failing(""), ServerError),
    "only comments": (bent(WHOLE, lambda data: [b": hello\n\n"]), IncompleteStreamError),
    "500": (any_wire.error(500), ServerError),
    "429": (any_wire.error(429), RateLimitError),
}
NO_COMMENTS = Meaningless("lines of JSON have no comments")
BEFORE = {name: {wire: name for wire in WIRES} for name in BEFORE_THE_FIRST_CHUNK}
BEFORE["only comments"] = {
    wire.name: "only comments" if wire.has_events else NO_COMMENTS for wire in WIRES.values()
}


@rows(BEFORE, "name")
def test_what_fails_before_the_first_chunk_is_asked_again(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: R = pre. Nobody has seen anything yet, so another attempt is invisible."""
    reply, _ = BEFORE_THE_FIRST_CHUNK[name]
    server.replies(reply, WHOLE)

    with surface.open_stream(wire.llm(server), "hi") as stream:
        stream.rest()
        assert stream.response.content == "whole"
    assert len(server.requests) == 2


@rows(BEFORE, "name")
def test_what_fails_each_time_is_raised_when_the_stream_is_opened(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: 500/429 before the first event as 1.2; B3: opening raises the errors of the request."""
    reply, kind = BEFORE_THE_FIRST_CHUNK[name]
    server.replies(reply)

    with pytest.raises(kind) as caught:
        surface.open_stream(wire.llm(server), "hi")
    assert len(server.requests) == caught.value.attempts == 3


@pytest.mark.parametrize(
    ("words", "kind"),
    [({"type": "overloaded_error"}, OverloadedError), ({"type": "server_error"}, ServerError)],
    ids=["overloaded", "broken"],
)
def test_an_error_amid_the_stream_is_the_provider_s(
    words: dict[str, str], kind: type[ServerError], surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: error object mid-stream, `overloaded_error`: with partial, not asked again."""
    server.replies(any_wire.failing("Half of it", "Something went wrong", **words))

    text, failure, stream = read_until_failure(surface, wire.llm(server))

    assert text == "Half of it"
    assert type(failure) is (kind if wire.has_error_types else ServerError)
    assert failure.partial == stream.partial
    assert failure.partial is not None
    assert failure.partial.content == "Half of it"
    assert not failure.retryable
    assert len(server.requests) == 1


BAD_DATA: dict[str, bytes] = {
    "not JSON": b"{not json}",
    "not an object": b"17",
    "not UTF-8": b'{"choices": "\xff\xfe"}',
}


def bad_event(wire: Wire, name: str) -> bytes:
    framed: bytes = wire.dialect.event_bytes("BAD")
    return framed.replace(b"BAD", BAD_DATA[name])


def assert_is_bad_data(failure: AbstractCoreError, surface: Surface, server: FakeServer) -> None:
    assert type(failure) is IncompleteStreamError
    assert "bad data" in str(failure)
    assert len(server.requests) == 1
    surface.wait_for(server, lambda s: s.open_sockets == 0)


@pytest.mark.parametrize("name", BAD_DATA)
def test_an_unreadable_event_is_not_dropped(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: invalid JSON / UTF-8 event: IncompleteStreamError(bad data), R = 0."""
    server.replies(bent(HALF, lambda data: [data, bad_event(wire, name), data]))

    text, failure, _ = read_until_failure(surface, wire.llm(server))

    assert text == "Half of it"
    assert_is_bad_data(failure, surface, server)


NO_LINE = Meaningless("a body without a brace is no stream of lines: test_body.py")


FIRST = {name: {wire: name for wire in WIRES} for name in BAD_DATA}
FIRST["not an object"] |= {wire.name: NO_LINE for wire in WIRES.values() if not wire.has_events}


@rows(FIRST, "name")
def test_an_unreadable_first_event_is_not_dropped(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: also as the first event."""
    server.replies(bent(WHOLE, lambda data: [bad_event(wire, name), data]))

    with pytest.raises(IncompleteStreamError) as caught:
        surface.open_stream(wire.llm(server), "hi")

    assert_is_bad_data(caught.value, surface, server)


def test_a_failure_comes_after_the_chunks_of_its_own_read(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: what arrived with the damage in one piece is given out before it."""
    bad = wire.dialect.event_bytes("{not json}")
    server.replies(bent(HALF, lambda data: [data + bad]))

    text, failure, _ = read_until_failure(surface, wire.llm(server))

    assert text == "Half of it"
    assert isinstance(failure, IncompleteStreamError)


def test_a_whole_answer_in_place_of_a_stream_is_given_at_once(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5: JSON instead of a stream is parsed and given once."""
    server.replies(any_wire.at_once(any_wire.text("at once")))

    with surface.open_stream(wire.llm(server), "hi") as stream:
        assert [(chunk.phase, chunk.content) for chunk in stream.rest()] == [
            ("generating", "at once"),
            ("done", ""),
        ]
        assert stream.response.usage.total_tokens == 12


UNUSABLE: dict[str, Reply] = {
    "HTML": faults.html(),
    "HTML that says event-stream": faults.html(content_type="text/event-stream"),
    "JSON of another kind": whole(200, {"hello": "world"}),
    "null": whole(200, b"null"),
    "a list": whole(200, b"[]"),
    "events of nothing we know": sse([{"hello": "world"}]),
    "only [DONE]": sse([]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_stream_is_never_an_empty_one(
    name: str, surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.5, 1.3: never an empty stream."""
    server.replies(UNUSABLE[name])

    with pytest.raises((ResponseError, IncompleteStreamError)) as caught:
        surface.stream(wire.llm(server), "hi")
    assert len(server.requests) == caught.value.attempts
    assert caught.value.attempts == (3 if caught.value.retryable else 1)


def test_each_chunk_is_given_when_it_has_come(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.5: nothing is held back until more arrives."""
    parts = ["one ", "two ", "six "]
    gates = [threading.Event() for _ in parts]
    reply = any_wire.text("".join(parts), piece=4)
    for part, gate in zip(parts, gates, strict=True):
        reply = any_wire.held_after(reply, f'"{part}"', gate)
    server.replies(reply)

    with surface.open_stream(wire.llm(server), "hi") as stream:
        for part, gate in zip(parts, gates, strict=True):
            assert stream.next().content == part
            assert stream.partial.content.endswith(part)
            gate.set()
        assert stream.next().is_done()


def test_a_failed_turn_leaves_the_session_as_it_was(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.5, C3: the partial reply stands on the error, and not in the history."""
    session = BasicSession(wire.llm(server))
    server.replies(any_wire.text("fine"), CUTS["reset"], any_wire.text("fine again"))
    surface.generate(session, "one")
    before = list(session.messages)

    _, failure, _ = read_until_failure(surface, session)

    assert session.messages == before
    assert failure.partial is not None
    assert failure.partial.content == "Half of it"
    surface.generate(session, "two")
    assert [text for _, text in wire.sent(server.requests[-1]).turns] == ["one", "fine", "two"]
