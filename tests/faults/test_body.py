"""200, but wrong: FAULTS 1.3."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    ConfigurationError,
    ContextLengthError,
    IncompleteStreamError,
    OverloadedError,
    RateLimitError,
    ResponseError,
    ServerError,
)
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.openai_chat import completion, reply, text_chunks
from tests.fakes.replies import Reply, Send, Step, sse, sse_bytes, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, Wire

from .asking import KEY, assert_told, failure_of

ANSWER = "Grüße, 世界 🌍."
BODY: bytes = json.dumps(completion({"role": "assistant", "content": ANSWER}), ensure_ascii=False).encode()
MEGABYTE = 1024 * 1024


def assert_unusable(failure: Any, server: FakeServer, waits: list[float]) -> None:
    """A 200 that cannot be used was billed all the same: it is not asked for again."""
    assert_told(failure, ResponseError, attempts=1, retryable=False)
    str(failure).encode()
    assert (len(server.requests), waits) == (1, [])


# What is no answer.

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


UNUSABLE: dict[str, Any] = {
    "list": "[]",
    "string": '"x"',
    "object": "{}",
    "cut off": '{"choices": [',
    "two values": "{} {}",
    "choices null": {"choices": None},
    "choices empty": {"choices": []},
    "choices object": {"choices": {"0": {}}},
    "choices of texts": {"choices": ["x"]},
    "choices of null": {"choices": [None]},
    "no message": {"choices": [{"index": 0}]},
    "message text": {"choices": [{"index": 0, "message": "x"}]},
    "message list": {"choices": [{"index": 0, "message": ["x"]}]},
    "content number": completion({"role": "assistant", "content": 7}),
    "content object": completion({"role": "assistant", "content": {"a": 1}}),
    "not utf-8": BODY.replace(b"G", b"\xff"),
    "huge number": '{"choices": ' + "9" * 5_000 + "}",
    "deep": b"[" * 60_000 + b"]" * 60_000,
    "deep and cut off": b'{"a":' * 60_000,
    "deep inside": b'{"choices":[{"message":' + b"[" * 60_000 + b"]" * 60_000 + b"}]}",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_has_not_the_shape_of_an_answer_is_none(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    name: str,
) -> None:
    """1.3 [], "x", {}, invalid JSON, wrong types, invalid UTF-8, 60,000-deep JSON; in stream too."""
    server.replies(whole(200, UNUSABLE[name]))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    if (wire.name, whole_or_stream.streams) == ("ollama_chat", True) and type(failure) is not ResponseError:
        # A line of JSON is a stream's first event there, and this stream then ends too early.
        assert isinstance(failure, IncompleteStreamError)
        return
    assert_unusable(failure, server, waits)
    assert server.open_sockets == 1


ODD: dict[str, list[Any]] = {
    "openai_responses": [
        {"output": None},
        {"output": {"0": {}}},
        {"output": ["x"]},
        {"output": [{"type": "message", "role": "assistant", "content": 7}]},
    ],
    "anthropic_messages": [
        {"content": None},
        {"content": 7},
        {"content": ["x"]},
        {"content": [{"type": "text", "text": 7}]},
    ],
    "ollama_chat": [
        {"message": None},
        {"message": "x", "done": True},
        {"message": ["x"], "done": True},
        {"message": {"role": "assistant", "content": 7}, "done": True},
    ],
}


@pytest.mark.parametrize("name", ODD)
def test_an_answer_of_odd_types_is_none_on_the_other_wires(
    name: str, surface: Surface, server: FakeServer, waits: list[float]
) -> None:
    """1.3 wrong types, in the words of each wire; those of Chat Completions stand above."""
    llm = WIRES[name].llm(server)
    for number, body in enumerate(ODD[name], 1):
        server.replies(whole(200, body))
        failure = failure_of(surface, WholeOrStream("whole"), llm)
        assert_told(failure, ResponseError, attempts=1, retryable=False)
        assert len(server.requests) == number


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

    assert isinstance(failure, IncompleteStreamError | ResponseError)
    assert failure.attempts == len(server.requests)


def test_no_content_is_no_answer(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 empty body, of a 204."""
    server.replies(whole(204))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert isinstance(failure, IncompleteStreamError | ResponseError)


# What is one all the same.

ODD_LABELS: dict[str, Any] = {
    "text/plain": {"Content-Type": "text/plain"},
    "no type": {"Content-Type": ""},
    "unknown charset": {"Content-Type": "application/json; charset=x-klingon"},
    "wrong charset": {"Content-Type": "application/json; charset=latin-1"},
    "octets": {"Content-Type": "application/octet-stream"},
    "identity": {"Content-Encoding": "identity"},
}


@pytest.mark.parametrize("name", ODD_LABELS)
def test_the_body_counts_and_not_its_label(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, name: str
) -> None:
    """1.3 text/plain but valid JSON, charset label unknown; for a stream of events too."""
    server.replies(whole(200, BODY, headers=ODD_LABELS[name]))
    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER

    server.replies(text(ANSWER, headers=ODD_LABELS[name]))
    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER


@pytest.mark.parametrize("bom", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n ", b"\r\n\t"])
def test_a_byte_order_mark_is_passed_over(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, bom: bytes
) -> None:
    """1.3 BOM, and blanks before the JSON."""
    server.replies(whole(200, bom + BODY))

    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER


def test_an_answer_in_single_bytes_is_the_same(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer
) -> None:
    """1.3, 1.4: JSON in place of a stream is read as it is, however it arrives."""
    server.replies(whole(200, b"\xef\xbb\xbf" + BODY, chunked=True).in_pieces(1))

    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER


EMPTY: dict[str, dict[str, Any]] = {
    "null": {"content": None},
    "empty": {"content": ""},
    "missing": {},
    "no calls": {"content": None, "tool_calls": []},
    "null calls": {"content": None, "tool_calls": None},
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_answer_without_text_is_empty_and_nothing_is_invented(
    surface: Surface, server: FakeServer, name: str
) -> None:
    """1.3 content empty, content null without tool calls: the empty text, with its finish reason."""
    server.replies(whole(200, completion({"role": "assistant", **EMPTY[name]}, finish_reason="length")))

    response = surface.generate(server.llm(), "Hi")

    assert (response.content, response.tool_calls, response.finish_reason) == ("", [], "length")


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_stream_without_text_is_empty_and_nothing_is_invented(
    surface: Surface, server: FakeServer, reason: str
) -> None:
    """1.3 content empty, streamed."""
    server.replies(reply({"role": "assistant", "content": None}, finish_reason=reason))

    with surface.open_stream(server.llm(), "Hi") as stream:
        stream.rest()
        assert (stream.response.content, stream.response.finish_reason) == ("", reason)


@pytest.mark.parametrize("reason", ["eos_token_reached", "error_limit", "STOP"])
def test_an_unknown_finish_reason_is_other_and_its_word_is_kept(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, reason: str
) -> None:
    """1.3 unknown finish_reason."""
    server.replies(text(ANSWER, finish_reason=reason))

    response = whole_or_stream.ask(surface, server.llm(), "Hi")

    assert (response.content, response.finish_reason) == (ANSWER, "other")
    assert response.raw["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": "5", "completion_tokens": -1}, {}])
def test_usage_that_is_missing_or_odd_is_unknown(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, usage: Any
) -> None:
    """1.3 usage missing/null, wrong types: unknown is None, never 0."""
    events = [*text_chunks(ANSWER, usage=False), {"choices": [], "usage": usage}]
    body = {**completion({"role": "assistant", "content": ANSWER}, usage=False), "usage": usage}
    server.replies(sse(events) if whole_or_stream.streams else whole(200, body))

    response = whole_or_stream.ask(surface, server.llm(), "Hi")

    assert response.content == ANSWER
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (
        None,
        None,
        None,
    )


def test_unknown_fields_are_passed_over_and_kept(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer
) -> None:
    """1.3 unknown fields."""
    message = {"role": "assistant", "content": ANSWER, "aura": [{"x": None}], "audio": None, "refusal": None}
    server.replies(reply(message))

    response = whole_or_stream.ask(surface, server.llm(), "Hi")

    assert (response.content, response.finish_reason) == (ANSWER, "stop")


@pytest.mark.parametrize("half", ["\\ud83c", "\\udf0d", "\\udf0d\\ud83c", "\\uD800x"])
def test_half_a_pair_becomes_a_replacement_character(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, half: str
) -> None:
    """1.3 lone surrogate escape: the text can always be encoded."""
    body = json.dumps(completion({"role": "assistant", "content": "HALF"})).replace("HALF", f"a{half}b")
    events = sse_bytes(text_chunks("HALF")).decode().replace("HALF", f"a{half}b").encode()
    server.replies(sse([events], done=False) if whole_or_stream.streams else whole(200, body))

    response = whole_or_stream.ask(surface, server.llm(), "Hi")

    assert "\ufffd" in response.content
    assert response.content.startswith("a")
    assert response.content.endswith("b")
    response.content.encode()
    json.dumps(response.raw, ensure_ascii=False).encode()


def test_half_a_pair_is_replaced_on_every_wire(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3 lone surrogate escape."""

    def halved(steps: Sequence[Step]) -> Sequence[Step]:
        return [
            replace(step, data=step.data.replace(b"HALVED", b"\\ud83c")) if isinstance(step, Send) else step
            for step in steps
        ]

    server.replies(text("HALVED", piece=6).changed(halved))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert response.content == "\ufffd"
    json.dumps(response.raw, ensure_ascii=False).encode()


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


def test_an_error_of_null_is_none(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer
) -> None:
    """1.3: some servers write `"error": null` into every answer."""
    body = {**completion({"role": "assistant", "content": ANSWER}), "error": None}
    server.replies(whole(200, body))

    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER


# Compressed bodies.


def compressed(data: bytes, bits: int, encoding: str) -> Reply:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    packed = packer.compress(data) + packer.flush()
    return whole(200, packed, headers={"Content-Encoding": encoding})


@pytest.mark.parametrize("size", [1, 10_000], ids=["single bytes", "at once"])
@pytest.mark.parametrize(
    ("bits", "encoding"), [(31, "gzip"), (31, "X-GZip"), (15, "deflate"), (-15, "deflate")]
)
def test_a_compressed_body_is_opened(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    bits: int,
    encoding: str,
    size: int,
) -> None:
    """1.3 gzip ok; deflate with and without its header."""
    server.replies(compressed(BODY, bits, encoding).in_pieces(size))

    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER
    assert server.open_sockets == 1


def test_a_compressed_answer_of_any_wire_is_opened(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3 gzip ok, whole and streamed."""
    server.replies(faults.gzipped(text(ANSWER)))
    assert whole_or_stream.ask(surface, wire.llm(server), "Hi").content == ANSWER


def test_a_gzip_of_several_members_is_opened_whole(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer
) -> None:
    """1.3 gzip ok: RFC 1952 allows one member after the other."""
    members = b"".join(zlib.compress(part, 9, 31) for part in (BODY[:50], BODY[50:]))
    server.replies(whole(200, members, headers={"Content-Encoding": "gzip"}).in_pieces(7))

    assert whole_or_stream.ask(surface, server.llm(), "Hi").content == ANSWER


def test_a_compressed_stream_is_opened_as_it_arrives(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.3 gzip ok, streamed: a chunk comes before the next is sent."""
    server.replies(faults.gzipped(text(ANSWER).cut(0.9, ending="hang")))

    with surface.open_stream(wire.llm(server), "Hi") as stream:
        assert stream.next().content == ANSWER[:4]


@pytest.mark.parametrize("fault", ["garbage", "truncated"])
def test_a_damaged_compression_is_unusable(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.3 gzip garbage / truncated."""
    server.replies(faults.gzipped(whole(200, BODY), fault=fault))

    assert_unusable(failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY)), server, waits)
    server.wait_for(lambda s: s.open_sockets <= 1)


def test_a_compression_that_was_not_asked_for_is_unusable(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 gzip garbage: we ask for gzip and deflate, and get something else."""
    server.replies(whole(200, BODY, headers={"Content-Encoding": "br"}))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert_unusable(failure, server, waits)
    assert "br" in str(failure)
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_bomb_stays_small(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 gzip bomb: 200 KB of 200 MB; no more than the cap of 64 MB is ever held."""
    server.replies(faults.gzip_bomb())
    llm = wire.llm(server, api_key=KEY)
    tracemalloc.start()
    try:
        failure = failure_of(surface, whole_or_stream, llm)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert_unusable(failure, server, waits)
    assert peak < 80 * MEGABYTE
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_body_over_the_cap_is_unusable(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3: 64 MB is the cap of a plain body too."""
    server.replies(faults.endless_body(size=MEGABYTE, pause=0))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=30))

    assert_unusable(failure, server, waits)
    server.wait_for(lambda s: s.open_sockets == 0)
    assert server.bytes_sent < 80 * MEGABYTE


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_the_cap_is_the_callers(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    is_packed: bool,
) -> None:
    """1.3: the cap is configurable, and holds for whole bodies and streams, compressed or not."""
    answer = text("x" * 3_000)
    server.replies(faults.gzipped(answer) if is_packed else answer)

    assert (
        whole_or_stream.ask(surface, wire.llm(server, max_body_bytes=MEGABYTE), "Hi").content == "x" * 3_000
    )
    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_body_bytes=2_000))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert "max_body_bytes" in str(failure)
    server.wait_for(lambda s: s.open_sockets == 1)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), True, "1", None])
def test_a_cap_that_is_none_is_refused_when_the_llm_is_made(server: FakeServer, wrong: Any) -> None:
    """1.3: the cap cannot be taken away by mistake."""
    if wrong is None:
        assert server.llm(max_body_bytes=None).model
        return
    with pytest.raises(ConfigurationError, match="max_body_bytes"):
        server.llm(max_body_bytes=wrong)
