"""What a request looks like on Ollama's wire, and what is named when it is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.errors import UnsupportedFeatureError
from abstractcore.types import GenerateRequest, Message, OutputSchema, ToolSpec

HI: list[Message] = [{"role": "user", "content": "hi"}]


def body_of(messages: list[Message] = HI, **fields: Any) -> dict[str, Any]:
    """Encode, and leave out what every request has."""
    body = dict(OllamaChat().encode(GenerateRequest("m", messages, **fields)).body)
    json.dumps(body, allow_nan=False).encode()
    assert body.pop("model") == "m"
    assert body.pop("stream") is False
    if messages is HI:
        assert body.pop("messages") == [{"role": "user", "content": "hi"}]
    return body


def messages_of(*messages: Any) -> list[dict[str, Any]]:
    return body_of(list(messages))["messages"]


def test_a_bare_request_says_whether_it_wants_a_stream() -> None:
    """The server streams unless it is told not to."""
    wire = OllamaChat().encode(GenerateRequest("m", HI))

    assert wire.path == "/api/chat"
    assert wire.body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False}
    assert wire.warnings == ()
    assert wire.headers == {}
    assert OllamaChat().encode(GenerateRequest("m", HI, stream=True)).body["stream"] is True


def test_sampling_stands_in_the_options() -> None:
    assert body_of(
        temperature=0.0, top_p=0.5, top_k=7, seed=0, stop=("a", "b"),
        max_output_tokens=9, presence_penalty=0.1, frequency_penalty=-0.1,
    ) == {
        "options": {
            "temperature": 0.0, "top_p": 0.5, "top_k": 7, "seed": 0, "stop": ["a", "b"],
            "num_predict": 9, "presence_penalty": 0.1, "frequency_penalty": -0.1,
        }
    }  # fmt: skip


@pytest.mark.parametrize("thinking", [True, False, "low", "medium", "high"])
def test_thinking_is_said_as_it_was_asked(thinking: Any) -> None:
    """B11."""
    assert body_of(thinking=thinking) == {"think": thinking}


def test_a_schema_is_the_format() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 1}}}

    assert body_of(schema=OutputSchema("Page[City]", schema)) == {"format": schema}


TOOL = ToolSpec(
    "add", "Add.", {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}
)
WIRE_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {}}},
    },
}


@pytest.mark.parametrize(
    ("choice", "wanted", "warned"),
    [
        (None, {"tools": [WIRE_TOOL]}, False),
        ("auto", {"tools": [WIRE_TOOL]}, False),
        ("none", {}, False),
        ("required", {"tools": [WIRE_TOOL]}, True),
        ("add", {"tools": [WIRE_TOOL]}, True),
    ],
)
def test_tools_are_offered_and_a_choice_that_cannot_be_made_is_named(
    choice: str | None, wanted: Any, warned: bool
) -> None:
    """B10."""
    wire = OllamaChat().encode(GenerateRequest("m", HI, tools=[TOOL], tool_choice=choice))

    assert body_of(tools=[TOOL], tool_choice=choice) == wanted
    assert wire.warnings == (("tool_choice is not supported by ollama_chat: left out",) if warned else ())


def test_a_tool_choice_without_tools_is_not_worth_a_word() -> None:
    wire = OllamaChat().encode(GenerateRequest("m", HI, tool_choice="required"))

    assert wire.warnings == ()


def test_extra_goes_to_the_wire_unchanged_and_its_options_join_ours() -> None:
    """A5."""
    extra = {"keep_alive": 0, "think": "max", "options": {"num_ctx": 32768, "seed": 2}}

    assert body_of(temperature=0.5, seed=1, thinking=True, extra=extra) == {
        "keep_alive": 0,
        "think": "max",
        "options": {"temperature": 0.5, "seed": 2, "num_ctx": 32768},
    }
    assert body_of(extra=extra)["options"] == extra["options"]
    assert body_of(temperature=0.5, extra={"keep_alive": "5m"}) == {
        "keep_alive": "5m",
        "options": {"temperature": 0.5},
    }
    assert body_of(temperature=0.5, extra={"options": None}) == {"options": None}


CALLS: Any = [
    {"id": "1", "name": "add", "arguments": {"a": "é"}},
    {"id": "2", "name": "now", "arguments": {}, "arguments_raw": '{"a": 1'},
]
WIRE_CALLS = [
    {"id": "1", "function": {"name": "add", "arguments": {"a": "é"}}},
    {"id": "2", "function": {"name": "now", "arguments": {"arguments": '{"a": 1'}}},
]


def test_messages_keep_what_is_theirs_alone() -> None:
    """C2: nothing of ours leaks onto the wire."""
    ours: Any = {"timestamp": "t", "metadata": {"a": 1}, "provider_data": {"x": {}}, "name": "ann"}
    roles = ("system", "user", "assistant")

    assert messages_of(*({"role": role, "content": role[0], **ours} for role in roles)) == [
        {"role": role, "content": role[0]} for role in roles
    ]


def test_a_tool_turn_is_given_back_with_its_thinking_and_the_names_of_its_tools() -> None:
    assert messages_of(
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": CALLS, "reasoning": "hm"},
        {"role": "tool", "content": "r2", "tool_call_id": "2"},
        {"role": "tool", "content": "r1", "tool_call_id": "1", "name": "another"},
        {"role": "assistant", "content": "a", "reasoning": "so"},
    ) == [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "", "tool_calls": WIRE_CALLS, "thinking": "hm"},
        {"role": "tool", "content": "r2", "tool_name": "now", "tool_call_id": "2"},
        {"role": "tool", "content": "r1", "tool_name": "add", "tool_call_id": "1"},
        {"role": "assistant", "content": "a"},
    ]


def test_a_tool_result_whose_call_is_gone_says_what_it_knows() -> None:
    named, unnamed = messages_of(
        {"role": "tool", "content": "r", "tool_call_id": "9", "name": "add"}, {"role": "tool", "content": "r"}
    )

    assert named == {"role": "tool", "content": "r", "tool_name": "add", "tool_call_id": "9"}
    assert unnamed == {"role": "tool", "content": "r"}


def test_images_are_bare_base64_beside_the_text() -> None:
    assert messages_of(
        {
            "role": "user",
            "content": [
                {"type": "image", "data": "QUJD", "media_type": "image/png"},
                {"type": "text", "text": "What?"},
                {"type": "image", "data": "REVG", "media_type": "image/jpeg"},
                {"type": "text", "text": "Why?"},
            ],
        }
    ) == [{"role": "user", "content": "What?\nWhy?", "images": ["QUJD", "REVG"]}]


def test_an_image_by_its_url_is_refused_before_any_request() -> None:
    """Without the image the prompt would mean something else."""
    content: Any = [{"type": "image", "url": "https://x.test/secret.png"}, {"type": "text", "text": "What?"}]

    with pytest.raises(UnsupportedFeatureError, match="download the image") as caught:
        messages_of({"role": "user", "content": content})

    assert "secret" not in str(caught.value)


def test_encoding_changes_nothing_that_it_was_given() -> None:
    extra = {"options": {"num_ctx": 1}}
    messages: list[Message] = [{"role": "assistant", "content": "", "tool_calls": CALLS}]
    before = json.dumps([messages, extra, TOOL.parameters])

    OllamaChat().encode(GenerateRequest("m", messages, tools=[TOOL], extra=extra, temperature=1))

    assert json.dumps([messages, extra, TOOL.parameters]) == before
