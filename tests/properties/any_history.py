"""Histories that a user may build: every kind of message, any text, calls with and without results."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import Message
from tests.codecs.recorded import expected, streamed
from tests.properties.recordings import CODECS, codec_of, streams

ODD = (
    "",
    " ",
    "\n",
    "\x00",
    "\u2028",
    "\ufeff",
    "é世👋",
    "<think>",
    '{"a": 1}',
    "data: [DONE]",
    "\u202eabc",
    "a" * 300,
)

texts = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,12}", fullmatch=True)
ids = st.sampled_from(["", "call_1", "call_2", "toolu_01", "a b/ü", "x" * 90]) | texts
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_values, max_size=3)
_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
images = st.sampled_from([
    {"type": "image", "data": _PNG, "media_type": "image/png"},
    {"type": "image", "data": "aGk=", "media_type": "image/jpeg"},
])  # fmt: skip
linked_images = st.sampled_from([
    {"type": "image", "url": "https://example.org/a.png"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}},
])  # fmt: skip


def _parts(images: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.builds(lambda text: {"type": "text", "text": text}, texts) | images, max_size=3)


def _recorded() -> list[Message]:
    """The answers of the recorded streams that vendors sent whole, as histories hold them."""
    found: list[Message] = []
    for path in (path for wire in CODECS for path in streams(wire)):
        if "error" in expected(path) or path.stem in _BEYOND:
            continue
        collector = Collector(path.parent.name, "m")
        for chunk in streamed(codec_of(path), [path.read_bytes()]):
            collector.add(chunk)
        found.append(assistant_message(collector.response()))
    return found


# What other servers send, and what no vendor sends yet, goes back to where it came from, and its types
# are not in the vendor's package.
_BEYOND = {
    "ids_that_change", "no_output_index", "null_deltas", "tools_without_call_ids", "unknown_block",
}  # fmt: skip


RECORDED = _recorded()
assert OpenAIResponses().name in {name for message in RECORDED for name in message.get("provider_data", {})}


@st.composite
def turns(draw: st.DrawFn, images: st.SearchStrategy[Any] = images) -> list[dict[str, Any]]:
    """One message, or one with tool calls and the results of most of them."""
    parts = _parts(images)
    match draw(st.sampled_from(["user", "user", "assistant", "calls", "recorded", "system", "lost result"])):
        case "user":
            message = {"role": "user", "content": draw(texts | parts)}
            return [message | draw(st.sampled_from([{}, {"name": "ann"}, {"metadata": {"a": [1]}}]))]
        case "assistant":
            return [
                {"role": "assistant", "content": draw(texts)}
                | draw(st.sampled_from([{}, {"reasoning": "Hm."}]))
            ]
        case "system":
            return [{"role": "system", "content": draw(texts)}]
        case "lost result":
            return [{"role": "tool", "tool_call_id": draw(ids.filter(bool)), "content": draw(texts)}]
        case "recorded":
            answer: Any = draw(st.sampled_from(RECORDED))
        case _:
            calls = draw(
                st.lists(st.builds(_call, ids, names, objects, st.booleans()), min_size=1, max_size=3)
            )
            answer = {"role": "assistant", "content": draw(texts), "tool_calls": calls}
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(texts | parts)}
        for call in answer.get("tool_calls", ())
        if draw(st.integers(0, 5))
    ]
    return [answer, *(draw(st.permutations(results)) if results else ())]


def _call(call_id: str, name: str, arguments: dict[str, Any], has_words: bool) -> dict[str, Any]:
    words = {"arguments": {}, "arguments_raw": "{no json"} if has_words else {"arguments": arguments}
    return {"id": call_id, "name": name, **words}


def histories(images: st.SearchStrategy[Any] = images) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Any conversation."""
    return st.lists(turns(images), max_size=5).map(
        lambda all_turns: [one for turn in all_turns for one in turn]
    )
