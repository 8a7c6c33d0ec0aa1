"""Whatever JSON a client sends, it is a question or a refusal that says what is wrong: never a crash."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstractcore.errors import ConfigurationError
from abstractcore.generation.messages import build_messages
from abstractcore.serve.dialects.base import Asked, Dialect
from abstractcore.serve.dialects.chat_completions import CHAT_COMPLETIONS
from abstractcore.serve.dialects.embeddings import read as read_embeddings
from abstractcore.serve.dialects.messages import MESSAGES
from abstractcore.serve.dialects.responses import RESPONSES
from abstractcore.serve.endpoints import question
from abstractcore.testing import ScriptedLLM

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
IMAGE = "data:image/png;base64,AAAA"
FULL: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "chat_completions": (CHAT_COMPLETIONS, {
        "model": "m", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0.5, "n": 1,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "alice", "content": [
                {"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": IMAGE}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "user", "content": "Why?"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "F.", "parameters": SCHEMA}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        "reasoning_effort": "low", "stop": ["END"], "max_completion_tokens": 5, "user": "u",
    }),
    "responses": (RESPONSES, {
        "model": "m", "stream": False, "instructions": "Be brief.", "max_output_tokens": 5, "top_p": 0.5,
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": IMAGE}]},
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}],
             "encrypted_content": "xyz"},
            {"type": "message", "role": "assistant", "id": "m", "content": [
                {"type": "output_text", "text": "Wait.", "annotations": []}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "1"}]},
            {"role": "assistant", "content": "So."},
            {"role": "user", "content": "Why?"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"}, "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}, "metadata": {"a": "b"},
    }),
    "messages": (MESSAGES, {
        "model": "m", "max_tokens": 5, "stream": True, "top_k": 3, "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "url", "url": "https://images.example/a.png"}},
                {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "Wait."},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "1"}]},
                {"type": "text", "text": "Why?"}]},
        ],
        "tools": [{"name": "f", "description": "F.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "tool", "name": "f"}, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"},
    }),
}  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
LLM = ScriptedLLM([])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value, each as the keys that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, inner in items for place in places(inner, (*path, key))]


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Give a copy in which *value* stands at *path*."""
    changed = inner = copy.deepcopy(body)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def asked_of(dialect: Dialect, body: Any) -> Asked | None:
    """Read a request as far as the model; None for one that is refused."""
    try:
        asked = dialect.read(body)
        ask = question(LLM, asked)
        build_messages(ask.prompt, ask.messages, ask.system_prompt, ask.media)
    except ConfigurationError:
        return None
    return asked


@pytest.mark.parametrize("name", FULL)
def test_a_request_with_all_that_there_is_is_read(name: str) -> None:
    dialect, body = FULL[name]

    asked = asked_of(dialect, body)

    assert asked is not None
    assert asked.schema is not None
    assert len(asked.tools) == 1
    assert asked.tool_choice == "f"
    assert {"text", "image"} <= {
        part["type"].removesuffix("_url")
        for message in asked.messages
        if isinstance(message["content"], list)
        for part in message["content"]
    }


@pytest.mark.parametrize("name", FULL)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_field_that_holds_anything_is_read_or_refused(name: str, data: Any) -> None:
    dialect, body = FULL[name]
    place = data.draw(st.sampled_from(places(body)))

    asked_of(dialect, put(body, place, data.draw(ANY)))


@pytest.mark.parametrize("name", FULL)
@settings(max_examples=25, deadline=None)
@given(body=st.dictionaries(st.text(max_size=8), ANY))
def test_any_object_is_read_or_refused(name: str, body: Any) -> None:
    asked_of(FULL[name][0], {"model": "m", "messages": body.get("messages"), "input": "x", **body})


@settings(max_examples=50, deadline=None)
@given(value=ANY)
def test_any_texts_to_embed_are_read_or_refused(value: Any) -> None:
    try:
        asked = read_embeddings({"model": "m", "input": value})
    except ConfigurationError:
        return
    assert json.dumps(asked.texts)
