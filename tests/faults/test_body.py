"""200, but wrong: FAULTS 1.3. What is an answer all the same: `test_body_accepted.py`."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    ContextLengthError,
    IncompleteStreamError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tests.fakes import faults
from tests.fakes.any_wire import at_once, text
from tests.fakes.replies import Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_told, failure_of
from .per_wire import Meaningless, rows

ANSWER = "Grüße, 世界 🌍."
#: Where a stream is lines of JSON, a whole body is the first of them, and the stream ends too early.
NO_END = (ResponseError, IncompleteStreamError)


def assert_unusable(failure: Any, server: FakeServer, waits: list[float]) -> None:
    """A 200 that cannot be used was billed all the same: it is not asked for again."""
    assert_told(failure, ResponseError, attempts=1, retryable=False)
    str(failure).encode()
    assert (len(server.requests), waits) == (1, [])


def assert_no_answer(
    failure: Any, server: FakeServer, waits: list[float], wire: Wire, way: WholeOrStream
) -> None:
    """As `assert_unusable`; a stream of lines may have ended too early, which is worth asking again."""
    if wire.has_events or not way.streams or type(failure) is ResponseError:
        assert_unusable(failure, server, waits)
        return
    assert_told(failure, IncompleteStreamError, attempts=len(server.requests))


PAGES: dict[str, Reply] = {
    "portal": faults.html(),
    "as json": faults.html(content_type="application/json"),
    "as a stream": faults.html(content_type="text/event-stream"),
    "after blank lines": whole(200, b"\xef\xbb\xbf\r\n  <html>Sign in</html>"),
    "xml": whole(200, "<?xml version='1.0'?><Error/>"),
    "in pieces": faults.html().in_pieces(1),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_web_page_is_no_answer(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    name: str,
) -> None:
    """1.3 HTML (captive portal), wrong content-type with HTML, in stream too."""
    server.replies(PAGES[name])

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_unusable(failure, server, waits)
    assert "page" in str(failure)


UNUSABLE: dict[str, Reply] = {
    "list": whole(200, "[]"),
    "string": whole(200, '"x"'),
    "object": whole(200, "{}"),
    "cut off": at_once(text(ANSWER)).rewritten(lambda body: body[:-9]),
    "two values": whole(200, "{} {}"),
    "not utf-8": at_once(text(ANSWER)).rewritten(lambda body: body.replace(b"G", b"\xff")),
    "huge number": whole(200, '{"usage": ' + "9" * 5_000 + "}"),
    "deep": faults.deep_json(),
    "deep and cut off": whole(200, b'{"a":' * 60_000),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_is_not_one_json_object_is_no_answer(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    name: str,
) -> None:
    """1.3 [], "x", {}, invalid JSON, invalid UTF-8, 60,000-deep JSON; in stream too."""
    server.replies(UNUSABLE[name])

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_no_answer(failure, server, waits, wire, whole_or_stream)


ONE_MESSAGE = Meaningless("a body holds one message, and no list")
IS_THE_MESSAGE = Meaningless("the body is the message itself")
MAY_BE_EMPTY = Meaningless("an answer of no part is an empty one")
MAY_BE_UNKNOWN = Meaningless("a part of a kind that we do not know says nothing")
DEEP = "[" * 60_000 + "]" * 60_000


def chat(message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message}]}


def item(content: Any) -> dict[str, Any]:
    return {"output": [{"type": "message", "role": "assistant", "content": content}]}


SHAPES: dict[str, dict[str, Any]] = {
    "null": {
        "openai_chat": {"choices": None},
        "openai_responses": {"output": None},
        "anthropic_messages": {"content": None},
        "ollama_chat": {"message": None},
    },
    "no list": {
        "openai_chat": {"choices": {"0": {}}},
        "openai_responses": {"output": {"0": {}}},
        "anthropic_messages": {"content": {"0": {}}},
        "ollama_chat": {"message": ["x"], "done": True},
    },
    "a number": {
        "openai_chat": {"choices": 7},
        "openai_responses": {"output": 7},
        "anthropic_messages": {"content": 7},
        "ollama_chat": {"message": 7, "done": True},
    },
    "an empty list": {
        "openai_chat": {"choices": []},
        "openai_responses": MAY_BE_EMPTY,
        "anthropic_messages": MAY_BE_EMPTY,
        "ollama_chat": ONE_MESSAGE,
    },
    "a list of texts": {
        "openai_chat": {"choices": ["x"]},
        "openai_responses": {"output": ["x"]},
        "anthropic_messages": {"content": ["x"]},
        "ollama_chat": ONE_MESSAGE,
    },
    "a list of null": {
        "openai_chat": {"choices": [None]},
        "openai_responses": {"output": [None]},
        "anthropic_messages": {"content": [None]},
        "ollama_chat": ONE_MESSAGE,
    },
    "no message": {
        "openai_chat": {"choices": [{"index": 0}]},
        "openai_responses": MAY_BE_UNKNOWN,
        "anthropic_messages": MAY_BE_UNKNOWN,
        "ollama_chat": {"model": "m", "done": True, "done_reason": "stop"},
    },
    "a text for the message": {
        "openai_chat": chat("x"),
        "openai_responses": item("x"),
        "anthropic_messages": IS_THE_MESSAGE,
        "ollama_chat": {"message": "x", "done": True},
    },
    "a list for the message": {
        "openai_chat": chat(["x"]),
        "openai_responses": item({"0": {}}),
        "anthropic_messages": IS_THE_MESSAGE,
        "ollama_chat": {"message": ["x"], "done": True},
    },
    "a number for the text": {
        "openai_chat": chat({"role": "assistant", "content": 7}),
        "openai_responses": item([{"type": "output_text", "text": 7}]),
        "anthropic_messages": {"content": [{"type": "text", "text": 7}]},
        "ollama_chat": {"message": {"role": "assistant", "content": 7}, "done": True},
    },
    "an object for the text": {
        "openai_chat": chat({"role": "assistant", "content": {"a": 1}}),
        "openai_responses": item([{"type": "output_text", "text": {"a": 1}}]),
        "anthropic_messages": {"content": [{"type": "text", "text": {"a": 1}}]},
        "ollama_chat": {"message": {"role": "assistant", "content": {"a": 1}}, "done": True},
    },
    "deep inside": {
        "openai_chat": '{"choices":[{"message":' + DEEP + "}]}",
        "openai_responses": '{"output":[{"type":"message","content":' + DEEP + "}]}",
        "anthropic_messages": '{"content":[{"type":"text","text":' + DEEP + "}]}",
        "ollama_chat": '{"message":{"content":' + DEEP + '},"done":true}',
    },
}


@rows(SHAPES, "body")
def test_what_has_not_the_shape_of_an_answer_is_none(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    body: Any,
) -> None:
    """1.3 choices/content empty, wrong types, 60,000-deep JSON, in the words of each wire."""
    server.replies(whole(200, body))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_no_answer(failure, server, waits, wire, whole_or_stream)


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"true", b"7", b"so sorry", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_no_answer(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], body: bytes
) -> None:
    """1.3 empty body, `null`, invalid JSON."""
    server.replies(whole(200, body))

    assert_unusable(failure_of(surface, WholeOrStream("whole"), wire.llm(server)), server, waits)


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"true", b"7", b"so sorry", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_no_stream(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], body: bytes
) -> None:
    """1.3, 1.5: read as a stream it has no event, which is an incomplete one and never an empty answer."""
    server.replies(whole(200, body))

    failure = failure_of(surface, WholeOrStream("stream"), wire.llm(server))

    assert isinstance(failure, NO_END)
    assert failure.attempts == len(server.requests)


def test_no_content_is_no_answer(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 empty body, of a 204."""
    server.replies(whole(204))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert isinstance(failure, NO_END)


# An error inside.

INSIDE: dict[str, tuple[Any, type[AbstractCoreError], str | None, bool]] = {
    "word": ({"message": "busy", "code": "server_error"}, ServerError, "server_error", True),
    "status": ({"message": "slow down", "code": 429}, RateLimitError, "429", True),
    "overloaded": ({"message": "x", "type": "overloaded_error"}, OverloadedError, "overloaded_error", True),
    "ours to fix": (
        {"message": "x", "code": "context_length_exceeded"},
        ContextLengthError,
        "context_length_exceeded",
        False,
    ),
    "unknown": ({"message": "odd", "code": "odd_code"}, ServerError, "odd_code", True),
    "text": ("it broke", ServerError, None, True),
}


@pytest.mark.parametrize("name", INSIDE)
def test_an_error_inside_a_200_is_an_error(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    name: str,
) -> None:
    """1.3 `{"error":{…}}` with 200: ServerError with code, retried as its code says."""
    error, kind, code, is_retried = INSIDE[name]
    server.replies(whole(200, {"error": error}, headers={"X-Request-Id": "req_1"}))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, kind, code=code, retryable=is_retried, request_id="req_1")
    assert isinstance(failure, APIError)
    assert len(server.requests) == failure.attempts == len(waits) + 1 == (3 if is_retried else 1)
