"""FAULTS 1.3: 200, but wrong, or odd and an answer all the same."""

from __future__ import annotations

import json
import zlib
from typing import Any

from abstractcore.errors import (
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

from .per_wire import Meaningless
from .table import Answers, Fails, Play, Row

ANSWER = "Grüße, 世界 🌍."
GIVEN = Answers(ANSWER)
#: A 200 that cannot be used was billed all the same: it is not asked for again.
UNUSABLE = Fails(ResponseError, connection=None)
#: As the first line of a stream it may be one that ended too early, which is worth asking for again.
NO_END = Fails((ResponseError, IncompleteStreamError), attempts=(1, 3), retryable=None, connection=None)


def bodies(*told: Any) -> dict[str, Play]:
    return {repr(body): whole(200, body) for body in told}


PAGES: dict[str, Play] = {
    "portal": faults.html(),
    "as json": faults.html(content_type="application/json"),
    "as a stream": faults.html(content_type="text/event-stream"),
    "after blank lines": whole(200, b"\xef\xbb\xbf\r\n  <html>Sign in</html>"),
    "xml": whole(200, "<?xml version='1.0'?><Error/>"),
    "in pieces": faults.html().in_pieces(1),
}
NO_OBJECT: dict[str, Play] = {
    "list": whole(200, "[]"),
    "string": whole(200, '"x"'),
    "object": whole(200, "{}"),
    "another object": whole(200, {"hello": "world"}),
    "cut off": at_once(text(ANSWER)).rewritten(lambda body: body[:-9]),
    "two values": whole(200, "{} {}"),
    "not utf-8": at_once(text(ANSWER)).rewritten(lambda body: body.replace(b"G", b"\xff")),
    "huge number": whole(200, '{"usage": ' + "9" * 5_000 + "}"),
    "deep": faults.deep_json(),
    "deep and cut off": whole(200, b'{"a":' * 60_000),
}

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


def shapes() -> dict[str, Play]:
    """Each as the body of a 200, in the words of each wire."""
    return {
        name: {
            wire: said if isinstance(said, Meaningless) else whole(200, said) for wire, said in words.items()
        }
        for name, words in SHAPES.items()
    }


def inside(told: Any) -> Reply:
    return whole(200, {"error": told}, headers={"X-Request-Id": "req_1"})


def an_error(kind: Any, code: str | None, *, retried: bool = True) -> Fails:
    return Fails(
        kind,
        3 if retried else 1,
        retryable=retried,
        connection=None,
        fields={"code": code, "request_id": "req_1"},
    )


def packed(bits: int, encoding: str, *, members: int = 1) -> Reply:
    """A whole answer, compressed in so many parts one after the other."""

    def pack(body: bytes) -> bytes:
        size = -(-len(body) // members)
        return b"".join(
            zlib.compress(body[start : start + size], 9, bits) for start in range(0, len(body), size)
        )

    return at_once(text(ANSWER, headers={"Content-Encoding": encoding})).rewritten(pack)


LABELS: dict[str, dict[str, str]] = {
    "text/plain": {"Content-Type": "text/plain"},
    "no type": {"Content-Type": ""},
    "unknown charset": {"Content-Type": "application/json; charset=x-klingon"},
    "wrong charset": {"Content-Type": "application/json; charset=latin-1"},
    "octets": {"Content-Type": "application/octet-stream"},
    "identity": {"Content-Encoding": "identity"},
}
LABELLED: dict[str, Play] = {
    **{name: text(ANSWER, headers=headers) for name, headers in LABELS.items()},
    **{f"{name}, at once": at_once(text(ANSWER, headers=headers)) for name, headers in LABELS.items()},
}
MARKED = {"BOM": b"\xef\xbb\xbf", "BOM and blanks": b"\xef\xbb\xbf\n ", "blanks": b"\r\n\t"}
PIECES = {"plain, 1 byte": (1, False), "chunked, 1 byte": (1, True), "chunked, 2 bytes": (2, True)}


def before(mark: bytes, *, chunked: bool = False) -> Reply:
    return at_once(text(ANSWER)).rewritten(lambda body: mark + body, chunked=chunked)


def pretty(size: int) -> Reply:
    return (
        at_once(text(ANSWER))
        .rewritten(lambda body: json.dumps(json.loads(body), indent=2).encode())
        .in_pieces(size)
    )


PACKINGS = {
    "gzip": (31, "gzip"),
    "X-GZip": (31, "X-GZip"),
    "zlib": (15, "deflate"),
    "deflate": (-15, "deflate"),
}

WRONG = (
    Row(
        "1.3",
        "a web page, of a gateway or a captive portal",
        Fails(ResponseError, connection=None, says=("page",)),
        PAGES,
    ),
    Row("1.3", "not one JSON object", UNUSABLE, NO_OBJECT, lines=NO_END),
    Row("1.3", "not the shape of an answer", UNUSABLE, shapes(), lines=NO_END),
    Row(
        "1.3",
        "an empty body, or no JSON at all",
        UNUSABLE,
        bodies(b"", b"  \n", b"null", b"true", b"7", b"so sorry", b"\xff\xfe"),
        stream=NO_END,
    ),
    Row("1.3", "a 204", NO_END, {"204": whole(204)}),
    Row(
        "1.3",
        '`{"error": ...}`: the provider failed',
        an_error(ServerError, "server_error"),
        {"word": inside({"message": "busy", "code": "server_error"})},
    ),
    Row(
        "1.3",
        "the same with a code that nobody knows, or none",
        Fails(ServerError, 3, retryable=True, connection=None, fields={"code": ("odd_code", None)}),
        {"odd": inside({"message": "odd", "code": "odd_code"}), "text": inside("it broke")},
    ),
    Row(
        "1.3",
        "the same: too many requests",
        an_error(RateLimitError, "429"),
        {"429": inside({"message": "slow down", "code": 429})},
    ),
    Row(
        "1.3",
        "the same: overloaded",
        an_error(OverloadedError, "overloaded_error"),
        {"type": inside({"message": "x", "type": "overloaded_error"})},
    ),
    Row(
        "1.3",
        "the same: the prompt is too long",
        an_error(ContextLengthError, "context_length_exceeded", retried=False),
        {"code": inside({"message": "x", "code": "context_length_exceeded"})},
    ),
)

COMPRESSED = (
    Row(
        "1.3",
        "gzip or deflate",
        GIVEN,
        {
            **{name: packed(*packing) for name, packing in PACKINGS.items()},
            **{f"{name}, byte by byte": packed(*packing).in_pieces(1) for name, packing in PACKINGS.items()},
            "three members": packed(31, "gzip", members=3).in_pieces(7),
            "flushed": faults.gzipped(text(ANSWER)),
        },
    ),
    Row(
        "1.3",
        "gzip that is damaged or cut off",
        UNUSABLE,
        {
            "garbage": faults.gzipped(at_once(text(ANSWER)), fault="garbage"),
            "truncated": faults.gzipped(at_once(text(ANSWER)), fault="truncated"),
        },
    ),
    Row(
        "1.3",
        "a compression that was not asked for",
        Fails(ResponseError, says=("br",)),
        {"brotli": text(ANSWER, headers={"Content-Encoding": "br"})},
    ),
    Row(
        "1.3",
        "more than 64 MB, as they are or out of gzip",
        elsewhere=("tests/faults/test_body_compressed.py",),
        page="`ResponseError`, with no more than the limit held in memory; `max_body_bytes=` moves it",
    ),
)

ODD = (
    Row("1.3", "a wrong or unknown content type or charset", GIVEN, LABELLED),
    Row(
        "1.3",
        "a byte-order mark, blanks, single bytes",
        GIVEN,
        {
            **{name: before(mark) for name, mark in MARKED.items()},
            **{
                name: before(b"\xef\xbb\xbf", chunked=chunked).in_pieces(size)
                for name, (size, chunked) in PIECES.items()
            },
        },
    ),
    Row(
        "1.3",
        "JSON over several lines, in place of a stream too",
        GIVEN,
        {"at once": pretty(10_000), "byte by byte": pretty(1)},
    ),
    Row(
        "1.3",
        "an unknown finish reason",
        Answers(ANSWER, fields={"finish_reason": "other"}),
        {
            reason: text(ANSWER, finish_reason=reason)
            for reason in ("eos_token_reached", "error_limit", "STOP")
        },
        page='the answer, with `finish_reason` "other" and its word in `raw`',
    ),
    Row(
        "1.3",
        "no text, half a surrogate pair, unknown fields, odd usage",
        elsewhere=("tests/faults/test_body_accepted.py",),
        page="the answer as it is: empty text is empty, half a pair is U+FFFD, an unknown count is None",
    ),
    Row(
        "1.3",
        "any bytes at all",
        elsewhere=("tests/properties/test_any_answer.py",),
        page="an answer, or one of these errors",
    ),
)

ROWS: tuple[Row, ...] = (*WRONG, *COMPRESSED, *ODD)
