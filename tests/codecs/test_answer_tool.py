"""The schema as a tool: what is offered, what is chosen, and where the schema stays words."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore.codecs.answer_tool import ANSWER_TOOL, with_answer_tool
from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.tool_call_parts import ToolCallParts
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.codecs.anthropic_asking import ADD, CITY, body_of, warnings_of

BY_TOOL = AnthropicMessages(schema_mode="tool")
SCHEMA = OutputSchema("City", CITY)
HI: list[Any] = [{"role": "user", "content": "hi"}]


def request(schema: Any = CITY, **fields: Any) -> GenerateRequest:
    return GenerateRequest("m", HI, schema=OutputSchema("City", schema), **fields)


def test_the_schema_is_the_one_tool_and_is_forced_once() -> None:
    body = body_of(BY_TOOL, schema=SCHEMA)

    (offered,) = body["tools"]
    assert (offered["name"], offered["input_schema"]) == (ANSWER_TOOL, CITY)
    assert body["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}
    assert body.keys() == {"tools", "tool_choice"}
    assert warnings_of(BY_TOOL, schema=SCHEMA) == ()


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, {"type": "any"}),
        ("auto", {"type": "any"}),
        ("none", {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}),
    ],
)
def test_beside_the_callers_tools_one_of_them_is_called(choice: str | None, wanted: Any) -> None:
    body = body_of(BY_TOOL, schema=SCHEMA, tools=(ADD,), tool_choice=choice)

    assert [tool["name"] for tool in body["tools"]] == ["add", ANSWER_TOOL]
    assert body["tool_choice"] == wanted


def test_on_the_chat_wire_it_is_a_function() -> None:
    codec = OpenAIChat(schema_mode="tool")
    alone = codec.encode(request()).body
    beside = codec.encode(request(tools=(ADD,))).body

    assert alone["tools"][0]["function"]["parameters"] == CITY
    assert alone["tool_choice"] == {"type": "function", "function": {"name": ANSWER_TOOL}}
    assert [tool["function"]["name"] for tool in beside["tools"]] == ["add", ANSWER_TOOL]
    assert beside["tool_choice"] == "required"
    assert "response_format" not in alone
    assert alone["messages"] == HI


# What makes a forced call impossible, or not ours to force.
IN_THE_WAY: dict[str, dict[str, Any]] = {
    "the model is to think": {"thinking": True},
    "thinking in extra": {"extra": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
    "tools in extra": {"extra": {"tools": []}},
    "a choice in extra": {"extra": {"tool_choice": {"type": "auto"}}},
    "the caller forces any tool": {"tools": (ADD,), "tool_choice": "required"},
    "the caller forces a tool": {"tools": (ADD,), "tool_choice": "add"},
    "the name is taken": {"tools": (ToolSpec(ANSWER_TOOL, "", {"type": "object", "properties": {}}),)},
}


@pytest.mark.parametrize("name", list(IN_THE_WAY))
def test_where_it_cannot_be_forced_the_schema_is_described(name: str) -> None:
    fields = IN_THE_WAY[name]
    described = AnthropicMessages(schema_mode="prompt", thinking="budget")
    by_tool = AnthropicMessages(schema_mode="tool", thinking="budget")

    wire = by_tool.encode(request(**fields))

    assert wire == described.encode(request(**fields))
    assert "JSON Schema" in wire.body["system"]
    assert "described to the model" in wire.warnings[-1]


def test_thinking_that_is_switched_off_is_not_in_the_way() -> None:
    body = body_of(BY_TOOL, schema=SCHEMA, thinking=False)

    assert body["tool_choice"]["name"] == ANSWER_TOOL
    assert body["thinking"] == {"type": "disabled"}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


SCHEMAS: dict[str, tuple[Any, bool]] = {
    "an open object": ({"type": "object", "additionalProperties": {"type": "integer"}}, True),
    "a property called items": ({"type": "object", "properties": {"items": {"type": "array"}}}, True),
    "one that holds itself": (
        {"type": "object", "properties": {"next": {"$ref": "#"}}, "$defs": {"a": CITY}},
        True,
    ),
    "a choice at the root": ({"type": "object", "anyOf": [CITY]}, False),
    "a key of other characters": ({"type": "object", "properties": {"Straße 1": {}}}, False),
    "such a key further in": (
        {"type": "object", "$defs": {"a": {"properties": {"ö": {}}}}, "properties": {}},
        False,
    ),
    "a tuple of an older draft": ({"type": "object", "properties": {"a": {"items": [{}, {}]}}}, False),
    "a bound of draft 4": ({"type": "object", "properties": {"a": {"exclusiveMinimum": True}}}, False),
    "one too deep": (nested(5_000), False),
}


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_only_a_schema_that_a_tool_may_have_becomes_one(name: str) -> None:
    schema, is_for_a_tool = SCHEMAS[name]

    assert (with_answer_tool(request(schema)) is not None) is is_for_a_tool


def test_without_a_schema_nothing_is_added() -> None:
    assert body_of(BY_TOOL, tools=(ADD,)) == body_of(AnthropicMessages(), tools=(ADD,))


def test_a_text_that_comes_as_an_object_is_given_once() -> None:
    """Some servers send the arguments as an object, and the call's end in an event of its own."""
    parts = ToolCallParts("answer")

    parts.add([{"index": 0, "function": {"name": "answer", "arguments": {"é": 1}}}])

    assert parts.new_text() == '{"é": 1}'
    parts.add([{"index": 0, "function": {"arguments": ""}}])
    assert parts.new_text() == ""
    assert (parts.calls(), parts.has_text) == ([], True)
