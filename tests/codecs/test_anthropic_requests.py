"""What a request looks like on the Messages wire, and what is named when it is left out.

Its messages: `test_anthropic_requests_turns.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.codecs.anthropic_asking import ADD, CITY, HI, body_of, text, warnings_of


def test_a_bare_request_sends_only_what_was_given_and_what_the_wire_demands() -> None:
    wire = AnthropicMessages().encode(GenerateRequest("m", HI))

    assert wire.path == "/v1/messages"
    assert wire.body == {
        "model": "m", "max_tokens": 16_384, "messages": [{"role": "user", "content": [text("hi")]}],
    }  # fmt: skip
    assert wire.headers == {"anthropic-version": "2026-10-21"}
    assert wire.warnings == ()
    assert wire.stream is None


def test_a_server_may_have_another_path_and_version() -> None:
    wire = AnthropicMessages(path="/messages", version="2023-06-01").encode(GenerateRequest("m", HI))

    assert wire.path == "/messages"
    assert wire.headers == {"anthropic-version": "2023-06-01"}


def test_sampling_has_the_wires_names() -> None:
    given = {"temperature": 0.0, "top_p": 0.5, "top_k": 7, "stop": ("a", " b"), "max_output_tokens": 9}

    assert body_of(**given) == {
        "temperature": 0.0, "top_p": 0.5, "top_k": 7, "stop_sequences": ["a", " b"], "max_tokens": 9,
    }  # fmt: skip
    assert warnings_of(**given) == ()


def test_what_the_wire_lacks_is_left_out_and_named() -> None:
    """B10."""
    given = {
        "seed": 0, "presence_penalty": 0.1, "frequency_penalty": 0.0,
        "stop": ("\n\n", "END"), "thinking": True,
    }  # fmt: skip

    assert body_of(AnthropicMessages(thinking=None), **given) == {"stop_sequences": ["END"]}
    assert warnings_of(AnthropicMessages(thinking=None), **given) == (
        "seed is not supported by anthropic_messages: left out",
        "a stop of white space is not supported by anthropic_messages: left out",
        "presence_penalty is not supported by anthropic_messages: left out",
        "frequency_penalty is not supported by anthropic_messages: left out",
        "thinking is not supported by anthropic_messages: left out",
    )
    assert body_of(stop=("\n",)) == {}


@pytest.mark.parametrize(
    ("fields", "is_streamed"),
    [
        ({"max_output_tokens": 21_333}, False),
        ({"max_output_tokens": 21_334}, True),
        ({"extra": {"max_tokens": 64_000}}, True),
        ({"max_output_tokens": 64_000, "extra": {"max_tokens": 100}}, False),
    ],
)
def test_an_answer_that_may_be_long_is_streamed_though_the_caller_wants_it_whole(
    fields: dict[str, Any], is_streamed: bool
) -> None:
    wire = AnthropicMessages().encode(GenerateRequest("m", HI, **fields))

    assert wire.body.get("stream", False) is is_streamed
    assert wire.stream is (True if is_streamed else None)


def test_a_stream_is_asked_for() -> None:
    assert body_of(stream=True) == {"stream": True}


def test_extra_reaches_the_wire_unchanged() -> None:
    cached = {"cache_control": {"type": "ephemeral", "ttl": "1h"}, "service_tier": "auto", "max_tokens": 0}

    assert body_of(extra=cached) == cached


# ---- tools ---------------------------------------------------------------------------------------


def test_tools_and_the_choice_among_them() -> None:
    silent = ToolSpec("now", "", {"type": "object", "properties": {}})

    assert body_of(tools=(ADD, silent)) == {
        "tools": [
            {"name": "add", "description": "Add two numbers.", "input_schema": ADD.parameters},
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ]
    }
    assert body_of(tool_choice="required") == {}


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("add", {"type": "tool", "name": "add"}),
    ],
)
def test_a_tool_choice(choice: str, wire: dict[str, Any]) -> None:
    assert body_of(tools=[ADD], tool_choice=choice)["tool_choice"] == wire


# ---- thinking ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thinking", "wire"),
    [
        (None, {}),
        (False, {"thinking": {"type": "disabled"}}),
        (True, {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (
            "low",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
    ],
)
def test_thinking_is_adaptive(thinking: Any, wire: dict[str, Any]) -> None:
    assert body_of(thinking=thinking) == wire


@pytest.mark.parametrize(
    ("thinking", "room", "budget"),
    [
        ("low", None, 2_048),
        ("medium", None, 8_192),
        (True, None, 8_192),
        ("high", None, 12_288),
        ("high", 64_000, 16_384),
        ("low", 2_000, 1_500),
        ("high", 1_025, 1_024),
    ],
)
def test_a_budget_leaves_room_for_the_answer(thinking: Any, room: int | None, budget: int) -> None:
    body = body_of(AnthropicMessages(thinking="budget"), thinking=thinking, max_output_tokens=room)

    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}


def test_an_answer_too_short_to_think_says_so() -> None:
    codec = AnthropicMessages(thinking="budget")

    assert body_of(codec, thinking="low", max_output_tokens=1_024) == {"max_tokens": 1_024}
    assert warnings_of(codec, thinking="low", max_output_tokens=1_024) == (
        "thinking is not supported by anthropic_messages: left out",
    )
    assert body_of(codec, thinking=False) == {"thinking": {"type": "disabled"}}


# ---- structured output ---------------------------------------------------------------------------


def test_a_schema_is_enforced() -> None:
    body = body_of(schema=OutputSchema("City", CITY), thinking="high")

    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": {**CITY, "additionalProperties": False}},
        "effort": "high",
    }


def test_a_callers_effort_keeps_the_schema() -> None:
    extra = {"output_config": {"effort": "max"}}
    body = body_of(schema=OutputSchema("City", CITY), extra=extra)

    assert body["output_config"]["effort"] == "max"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body_of(extra=extra) == extra


@pytest.mark.parametrize(
    ("codec", "schema"),
    [
        (AnthropicMessages(), {"type": "object", "additionalProperties": {"type": "integer"}}),
        (AnthropicMessages(schema_mode="prompt"), CITY),
    ],
)
def test_a_schema_that_cannot_be_enforced_is_described(codec: AnthropicMessages, schema: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    body = body_of(codec, messages, schema=OutputSchema("Counts", schema))

    first, described = body["system"].split("\n\n")
    assert first == "Be brief."
    assert json.loads(described.splitlines()[1]) == schema
    assert "output_config" not in body
    assert warnings_of(codec, schema=OutputSchema("Counts", schema)) == (
        "schema cannot be enforced by anthropic_messages: described to the model",
    )
