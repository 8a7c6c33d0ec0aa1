"""Bodies that no vendor would send: arbitrary bytes, damaged recordings, and recordings of other shapes.

Bytes at random rarely get past the first brace, so most cases begin with a recorded answer: its bytes
are cut, doubled and overwritten, or one value anywhere in its JSON becomes another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.properties.recordings import answers

_TOKENS = (
    b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"data: ", b"data:", b"event: ", b"[DONE]", b"{", b"}", b"[", b"]",
    b'"', b"\\", b"\\ud83d", b"\\u0000", b"\xff", b"\xe4\xb8", b"\xef\xbb\xbf", b"\x00", b"<think>",
    b"</think>", b"<tool_call>", b"</tool_call>", b"null", b"NaN", b"1e999", b"-0", b"9" * 400, b"[" * 3_000,
    b"<html>", b"\xc2\x85", b"\xe2\x80\xa8", b": ping\n\n", b'{"error":', b'"error":"x",', b"true", b'""',
)  # fmt: skip
_WORDS = (
    "stop", "length", "tool_calls", "tool_use", "text", "error", "thinking", "reasoning", "function",
    "completed", "message_stop", "content_block_start", "response.completed", "response.output_item.done",
    "function_call", "text_delta", "input_json_delta", "\ud83d", "\udc4b", "\x00", "<think>", "{", "{}", "[]",
    '{"a": 1}', "call_1",
)  # fmt: skip
_KEYS = (
    "error", "content", "message", "delta", "choices", "tool_calls", "index", "id", "usage", "type", "text",
    "finish_reason", "arguments", "function", "input", "output", "done", "response", "item", "stop_reason",
)  # fmt: skip

numbers = st.sampled_from(
    [0, -1, 1, 2**63, 10**400, -0.0, 1e308, float("nan"), float("inf"), 0.5, True, False]
)
scalars = st.none() | numbers | st.sampled_from(_WORDS) | st.text(max_size=6)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
deep = st.sampled_from([10, 900, 20_000]).map(lambda levels: b"[" * levels + b"]" * levels)


@st.composite
def damaged(draw: st.DrawFn, wire: str, streamed: bool) -> bytes:
    """A recorded answer whose bytes are cut out, doubled, overwritten or put in between."""
    data = draw(st.sampled_from(answers(wire, streamed=streamed)))
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 40)))
        middle = draw(st.sampled_from(_TOKENS) | st.binary(max_size=8) | st.just(data[begin:end] * 2))
        data = data[:begin] + middle + data[end if draw(st.booleans()) else begin :]
    return data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 9)) == 0 else data


@st.composite
def reshaped(draw: st.DrawFn, wire: str, streamed: bool) -> bytes:
    """A recorded answer in which some values, anywhere in its JSON, are others, or gone, or twice there."""
    pieces = list(draw(st.sampled_from(_in_pieces(wire, streamed))))
    texts = [index for index, (is_json, _) in enumerate(pieces) if is_json]
    for _ in range(draw(st.integers(1, 2))):
        index = draw(st.sampled_from(texts))
        pieces[index] = (True, _with_another_value(draw, pieces[index][1]))
    data = b"".join(piece.encode("utf-8", "surrogatepass") for _, piece in pieces)
    return data if draw(st.integers(0, 19)) else data + draw(deep)


def _with_another_value(draw: st.DrawFn, text: str) -> str:
    try:
        root = [json.loads(text)]
    except ValueError:  # another change of the same value
        return text
    places = list(_places(root))
    holder, key = places[draw(st.integers(0, len(places) - 1))]
    match draw(st.integers(0, 7)):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list) and holder is not root:
            holder.insert(key, holder[key])
        case 2 if isinstance(holder, dict):
            holder[draw(st.sampled_from(_KEYS))] = draw(values)
        case _:
            holder[key] = draw(values)
    return json.dumps(root[0], ensure_ascii=draw(st.booleans()))


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value: what holds it, and its key or index there."""
    for key in holder if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])


@cache
def _in_pieces(wire: str, streamed: bool) -> list[list[tuple[bool, str]]]:
    """Each recorded answer as JSON texts and what stands between them."""
    found = [_cut(data.decode("utf-8", "replace")) for data in answers(wire, streamed=streamed)]
    return [pieces for pieces in found if any(is_json for is_json, _ in pieces)]


def _cut(text: str) -> list[tuple[bool, str]]:
    if _is_json(text):
        return [(True, text)]
    pieces = re.split(r"(\r\n|\r|\n|data: ?)", text)
    return [(_is_json(piece), piece) for piece in pieces]


def _is_json(text: str) -> bool:
    try:
        return bool(json.loads(text))
    except (ValueError, RecursionError):
        return False


@st.composite
def bodies(draw: st.DrawFn, wire: str) -> tuple[bytes, bool]:
    """Any bytes at all as an answer of *wire*, and whether a stream is asked for: mostly where it is one."""
    streamed, asked = draw(st.booleans()), draw(st.integers(0, 7))
    tokens = st.lists(st.sampled_from(_TOKENS) | st.binary(max_size=4), max_size=30).map(b"".join)
    recorded = [reshaped(wire, streamed)] * 4 + [damaged(wire, streamed)] * 2
    data = draw(st.one_of(*recorded, st.binary(max_size=200), tokens, deep))
    return data, streamed if asked else not streamed
