"""FAULTS 1.5: a stream that ends wrongly is never taken for one that ended."""

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
from tests.fakes import faults, openai_chat
from tests.fakes.replies import Reply, WaitFor, sse, sse_bytes, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

ROLE = openai_chat.delta({"role": "assistant", "content": ""})
HALF = [ROLE, openai_chat.delta({"content": "Half "}), openai_chat.delta({"content": "of it"})]
OVERLOADED = openai_chat.error_body("Overloaded", type="overloaded_error", code="overloaded_error")
BROKEN = openai_chat.error_body("The server had an error", type="server_error")


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
    "EOF without a terminal event": sse(HALF, done=False),
    "FIN without the last chunk": sse(HALF, done=False, ending="close"),
    "reset": sse(HALF, done=False, ending="reset"),
    "EOF inside an event": sse([*HALF, b'data: {"choices": [{"ind'], done=False),
    "EOF inside a field's name": sse([*HALF, b"dat"], done=False),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_stream_that_is_cut_is_incomplete(name: str, surface: Surface, server: FakeServer) -> None:
    """1.5: EOF without terminal event, inside an event; B5: the error carries what had arrived."""
    server.replies(CUTS[name])

    text, failure, stream = read_until_failure(surface, server.llm())

    assert text == "Half of it"
    assert type(failure) is IncompleteStreamError
    assert failure.partial is not None
    assert (failure.partial.content, failure.partial.finish_reason) == ("Half of it", None)
    assert stream.partial == failure.partial
    assert not failure.retryable
    assert len(server.requests) == failure.attempts == 1
    with pytest.raises(AbstractCoreError):
        _ = stream.response


BEFORE_THE_FIRST_CHUNK: dict[str, tuple[Reply, type[AbstractCoreError]]] = {
    "empty stream": (sse([], done=False), IncompleteStreamError),
    "FIN at once": (sse([], done=False, ending="close"), AbstractCoreError),
    "only a role": (sse([ROLE], done=False), IncompleteStreamError),
    "EOF inside the first event": (sse([b'data: {"choices": [{"ind'], done=False), IncompleteStreamError),
    "EOF inside a character": (sse([b'data: {"choices": "\xc3'], done=False), IncompleteStreamError),
    "only comments": (sse([b": hello\n\n"], done=False), IncompleteStreamError),
    "only a role, then FIN": (sse([ROLE], done=False, ending="close"), AbstractCoreError),
    "overloaded first": (sse([OVERLOADED], done=False), OverloadedError),
    "error after the role": (sse([ROLE, BROKEN], done=False), ServerError),
    "500": (openai_chat.error(500), ServerError),
    "429": (openai_chat.error(429), RateLimitError),
}


@pytest.mark.parametrize("name", BEFORE_THE_FIRST_CHUNK)
def test_what_fails_before_the_first_chunk_is_asked_again(
    name: str, surface: Surface, server: FakeServer
) -> None:
    """1.5: R = pre. Nobody has seen anything yet, so another attempt is invisible."""
    reply, _ = BEFORE_THE_FIRST_CHUNK[name]
    server.replies(reply, openai_chat.text("whole"))

    with surface.open_stream(server.llm(), "hi") as stream:
        stream.rest()
        assert stream.response.content == "whole"
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", BEFORE_THE_FIRST_CHUNK)
def test_what_fails_each_time_is_raised_when_the_stream_is_opened(
    name: str, surface: Surface, server: FakeServer
) -> None:
    """1.5: 500/429 before the first event as 1.2; B3: opening raises the errors of the request."""
    reply, kind = BEFORE_THE_FIRST_CHUNK[name]
    server.replies(reply)

    with pytest.raises(kind) as caught:
        surface.open_stream(server.llm(), "hi")
    assert len(server.requests) == caught.value.attempts == 3


@pytest.mark.parametrize(("event", "kind"), [(OVERLOADED, OverloadedError), (BROKEN, ServerError)])
def test_an_error_amid_the_stream_is_the_provider_s(
    event: Any, kind: type[ServerError], surface: Surface, server: FakeServer
) -> None:
    """1.5: error object mid-stream, `overloaded_error`: with partial, not asked again."""
    server.replies(sse([*HALF, event], done=False))

    text, failure, stream = read_until_failure(surface, server.llm())

    assert text == "Half of it"
    assert type(failure) is kind
    assert failure.partial == stream.partial
    assert failure.partial is not None
    assert failure.partial.content == "Half of it"
    assert not failure.retryable
    assert len(server.requests) == 1


BAD_DATA: dict[str, bytes] = {
    "not JSON": b"data: {not json}\n\n",
    "not an object": b"data: 17\n\n",
    "not UTF-8": b'data: {"choices": "\xff\xfe"}\n\n',
}


@pytest.mark.parametrize("begun", [True, False], ids=["amid", "first"])
@pytest.mark.parametrize("name", BAD_DATA)
def test_an_unreadable_event_is_not_dropped(
    name: str, begun: bool, surface: Surface, server: FakeServer
) -> None:
    """1.5: invalid JSON / UTF-8 event: IncompleteStreamError(bad data), R = 0, also as the first event."""
    rest = [*openai_chat.text_chunks("and the rest"), "[DONE]"]
    server.replies(sse([*(HALF if begun else []), BAD_DATA[name], *rest], done=False))

    if begun:
        text, failure, _ = read_until_failure(surface, server.llm())
        assert text == "Half of it"
    else:
        with pytest.raises(IncompleteStreamError) as caught:
            surface.open_stream(server.llm(), "hi")
        failure = caught.value

    assert type(failure) is IncompleteStreamError
    assert "bad data" in str(failure)
    assert len(server.requests) == 1
    surface.wait_for(server, lambda s: s.open_sockets == 0)


def test_a_whole_answer_in_place_of_a_stream_is_given_at_once(surface: Surface, server: FakeServer) -> None:
    """1.5: JSON instead of a stream is parsed and given once."""
    server.replies(whole(200, openai_chat.completion({"role": "assistant", "content": "at once"})))

    with surface.open_stream(server.llm(), "hi") as stream:
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
    "a stream of nothing we know": sse([{"hello": "world"}]),
    "only [DONE]": sse([]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_no_stream_is_never_an_empty_one(name: str, surface: Surface, server: FakeServer) -> None:
    """1.5, 1.3: never an empty stream."""
    server.replies(UNUSABLE[name])

    with pytest.raises((ResponseError, IncompleteStreamError)):
        surface.stream(server.llm(), "hi")
    assert len(server.requests) == 1


def test_a_finish_reason_is_never_made_up(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    """1.5: at the very least finish_reason must not be a made-up "stop"."""
    server.replies(openai_chat.text("well", finish_reason="something new"))

    response = whole_or_stream.ask(surface, server.llm(), "hi")

    assert response.finish_reason == "other"
    assert response.raw["choices"][0]["finish_reason"] == "something new"


def test_each_chunk_is_given_when_it_has_come(surface: Surface, server: FakeServer) -> None:
    """1.5: nothing is held back until more arrives."""
    gates = [threading.Event() for _ in range(3)]
    parts = ["one ", "two ", "three "]
    events: list[Any] = [ROLE]
    for part, gate in zip(parts, gates, strict=True):
        events += [openai_chat.delta({"content": part}), WaitFor(gate)]
    server.replies(sse([*events, openai_chat.delta({}, finish_reason="stop")]))

    with surface.open_stream(server.llm(), "hi") as stream:
        for part, gate in zip(parts, gates, strict=True):
            assert stream.next().content == part
            assert stream.partial.content.endswith(part)
            gate.set()
        assert stream.next().is_done()


def test_a_failure_comes_after_the_chunks_of_its_own_read(surface: Surface, server: FakeServer) -> None:
    """1.5: what arrived with the damage in one piece is given out before it."""
    server.replies(sse([sse_bytes(HALF, done=False) + b"data: {not json}\n\n"], done=False))

    text, failure, _ = read_until_failure(surface, server.llm())

    assert text == "Half of it"
    assert isinstance(failure, IncompleteStreamError)


def test_a_failed_turn_leaves_the_session_as_it_was(surface: Surface, server: FakeServer) -> None:
    """1.5, C3: the partial reply stands on the error, and not in the history."""
    session = BasicSession(server.llm())
    server.replies(openai_chat.text("fine"), CUTS["reset"], openai_chat.text("fine again"))
    surface.generate(session, "one")
    before = list(session.messages)

    _, failure, _ = read_until_failure(surface, session)

    assert session.messages == before
    assert failure.partial is not None
    assert failure.partial.content == "Half of it"
    surface.generate(session, "two")
    assert [message.content for message in server.requests[-1].messages] == ["one", "fine", "two"]
