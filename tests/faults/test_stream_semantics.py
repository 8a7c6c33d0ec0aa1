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
)
from tests.fakes import any_wire
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

from .bending import bent, events_of

HALF = any_wire.unfinished("Half of it")


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
