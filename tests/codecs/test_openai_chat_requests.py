"""What a request looks like on the Chat Completions wire, and what is named when it is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.types import GenerateRequest, Message, OutputSchema, ToolSpec

HI: list[Message] = [{"role": "user", "content": "hi"}]


def body_of(codec: OpenAIChat | None = None, messages: list[Message] = HI, **fields: Any) -> dict[str, Any]:
    """Encode, and leave out what every request has."""
    body = dict((codec or OpenAIChat()).encode(GenerateRequest("m", messages, **fields)).body)
    json.dumps(body, allow_nan=False).encode()
    assert body.pop("model") == "m"
    if messages is HI:
        assert body.pop("messages")[-1:] == [{"role": "user", "content": "hi"}]
    return body


def message_of(message: Message, **codec: Any) -> dict[str, Any]:
    return body_of(OpenAIChat(**codec), [message])["messages"][0]


def warnings_of(codec: OpenAIChat, **fields: Any) -> tuple[str, ...]:
    return codec.encode(GenerateRequest("m", HI, **fields)).warnings


def test_a_bare_request_sends_only_what_was_given() -> None:
    wire = OpenAIChat().encode(GenerateRequest("m", HI))

    assert wire.path == "/chat/completions"
    assert wire.body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert wire.warnings == ()
    assert wire.headers == {}


def test_a_stream_asks_for_its_usage_where_the_server_takes_that() -> None:
    assert body_of(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}
    assert body_of(OpenAIChat(stream_usage=False), stream=True) == {"stream": True}


def test_sampling_has_the_wires_names() -> None:
    given = {
        "temperature": 0.0, "top_p": 0.5, "top_k": 7, "seed": 0, "stop": ("a", "b"),
        "max_output_tokens": 9, "presence_penalty": 0.1, "frequency_penalty": -0.1,
    }  # fmt: skip

    assert body_of(**given) == {
        "temperature": 0.0, "top_p": 0.5, "top_k": 7, "seed": 0, "stop": ["a", "b"],
        "max_tokens": 9, "presence_penalty": 0.1, "frequency_penalty": -0.1,
    }  # fmt: skip
    assert body_of(
        OpenAIChat(max_tokens_field="max_completion_tokens", seed_field="random_seed", top_k=False), **given
    ) == {
        "temperature": 0.0, "top_p": 0.5, "random_seed": 0, "stop": ["a", "b"],
        "max_completion_tokens": 9, "presence_penalty": 0.1, "frequency_penalty": -0.1,
    }  # fmt: skip


def test_what_the_wire_lacks_is_left_out_and_named() -> None:
    """B10."""
    codec = OpenAIChat(seed_field=None, top_k=False, penalties=False, schema_mode=None)
    given = {
        "seed": 1, "top_k": 2, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        "schema": OutputSchema("A", {}), "thinking": True,
    }  # fmt: skip

    assert body_of(codec, **given) == {}
    assert warnings_of(codec, **given) == (
        "top_k is not supported by openai_chat: left out",
        "seed is not supported by openai_chat: left out",
        "presence_penalty is not supported by openai_chat: left out",
        "frequency_penalty is not supported by openai_chat: left out",
        "schema is not supported by openai_chat: left out",
        "thinking is not supported by openai_chat: left out",
    )


@pytest.mark.parametrize(
    ("style", "thinking", "wanted"),
    [
        ("reasoning_effort", True, {"reasoning_effort": "medium"}),
        ("reasoning_effort", False, {"reasoning_effort": "none"}),
        ("reasoning_effort", "high", {"reasoning_effort": "high"}),
        ("reasoning", True, {"reasoning": {"enabled": True}}),
        ("reasoning", False, {"reasoning": {"effort": "none"}}),
        ("reasoning", "low", {"reasoning": {"effort": "low"}}),
        ("thinking_type", True, {"thinking": {"type": "enabled"}}),
        ("thinking_type", False, {"thinking": {"type": "disabled"}}),
        ("thinking_type", "high", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("chat_template_kwargs", True, {"chat_template_kwargs": {"enable_thinking": True}}),
        ("chat_template_kwargs", False, {"chat_template_kwargs": {"enable_thinking": False}}),
        (
            "chat_template_kwargs",
            "low",
            {
                "chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "low"},
                "reasoning_effort": "low",
            },
        ),
        ("reasoning_effort", None, {}),
        (None, None, {}),
    ],
)
def test_thinking_is_said_in_the_servers_way(style: Any, thinking: Any, wanted: dict[str, Any]) -> None:
    assert body_of(OpenAIChat(thinking=style), thinking=thinking) == wanted
    assert warnings_of(OpenAIChat(thinking=style), thinking=thinking) == ()


TOOL = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
WIRE_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_tools_are_offered(choice: str | None, wanted: Any) -> None:
    body = body_of(tools=[TOOL], tool_choice=choice)

    assert body["tools"] == [WIRE_TOOL]
    assert body.get("tool_choice") == wanted


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert body_of(tool_choice="auto") == {}


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}


def test_a_schema_is_the_response_format() -> None:
    schema = OutputSchema("Page[City]", SCHEMA)

    assert body_of(schema=schema) == {
        "response_format": {"type": "json_schema", "json_schema": {"name": "Page_City", "schema": SCHEMA}}
    }
    assert body_of(OpenAIChat(schema_mode="structured_outputs"), schema=schema) == {
        "structured_outputs": {"json": schema.schema}
    }
    assert body_of(OpenAIChat(schema_mode="json_object"), schema=schema) == {
        "response_format": {"type": "json_object"}
    }


def test_a_schema_is_strict_where_it_can_be() -> None:
    codec = OpenAIChat(strict_schema=True)
    open_schema = {"type": "object", "additionalProperties": {"type": "integer"}}

    strict = body_of(codec, schema=OutputSchema("A", SCHEMA))["response_format"]["json_schema"]
    as_given = body_of(codec, schema=OutputSchema("A", open_schema))["response_format"]["json_schema"]

    assert strict == {
        "name": "A",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"a": {"type": "integer"}},
            "required": ["a"],
            "additionalProperties": False,
        },
    }
    assert as_given == {"name": "A", "schema": open_schema}


def test_extra_goes_to_the_wire_unchanged_and_wins() -> None:
    extra = {"temperature": 1, "vendor_field": {"a": [1]}, "stream_options": None}

    assert body_of(temperature=0.5, stream=True, extra=extra) == {"stream": True, **extra}


def test_messages_keep_what_is_theirs_alone() -> None:
    """C2: nothing of ours leaks onto the wire."""
    ours: Any = {"timestamp": "t", "metadata": {"a": 1}, "reasoning": "hm", "provider_data": {"x": {}}}

    assert message_of({"role": "system", "content": "s", **ours}) == {"role": "system", "content": "s"}
    assert message_of({"role": "user", "content": "u", "name": "ann", **ours}) == {
        "role": "user",
        "content": "u",
        "name": "ann",
    }
    assert message_of({"role": "assistant", "content": "a", **ours}) == {"role": "assistant", "content": "a"}
    assert message_of({"role": "tool", "content": "r", "tool_call_id": "1", "name": "add", **ours}) == {
        "role": "tool",
        "content": "r",
        "tool_call_id": "1",
    }


def test_images_are_sent_by_url_or_as_data() -> None:
    content: Any = [
        {"type": "text", "text": "What?"},
        {"type": "image", "url": "https://x.test/a.png"},
        {"type": "image", "data": "QUJD", "media_type": "image/jpeg"},
    ]

    assert message_of({"role": "user", "content": content})["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QUJD"}},
    ]


CALLS: Any = [
    {"id": "1", "name": "add", "arguments": {"a": "é"}},
    {"id": "2", "name": "add", "arguments": {}, "arguments_raw": '{"a": 1'},
]


def test_a_message_that_only_calls_tools_has_null_content() -> None:
    assert message_of({"role": "assistant", "content": "", "tool_calls": CALLS}) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": "é"}'}},
            {"id": "2", "type": "function", "function": {"name": "add", "arguments": '{"a": 1'}},
        ],
    }
    assert message_of({"role": "assistant", "content": "I add.", "tool_calls": CALLS})["content"] == "I add."


def test_a_server_that_parses_past_arguments_gets_json() -> None:
    wire = message_of({"role": "assistant", "content": "", "tool_calls": CALLS}, raw_arguments=False)

    assert wire["tool_calls"][0]["function"]["arguments"] == '{"a": "é"}'
    assert json.loads(wire["tool_calls"][1]["function"]["arguments"]) == {"arguments": '{"a": 1'}


def test_reasoning_goes_back_only_where_the_server_demands_it() -> None:
    """DeepSeek wants it with tool turns, empty or not."""
    deepseek = {"reasoning_back": "reasoning_content"}

    called = message_of(
        {"role": "assistant", "content": "", "tool_calls": CALLS, "reasoning": "hm"}, **deepseek
    )
    silent = message_of({"role": "assistant", "content": "", "tool_calls": CALLS}, **deepseek)
    answered = message_of({"role": "assistant", "content": "a", "reasoning": "hm"}, **deepseek)

    assert called["reasoning_content"] == "hm"
    assert silent["reasoning_content"] == ""
    assert "reasoning_content" not in answered


def test_reasoning_details_go_back_unmodified_through_the_codec_they_came_from() -> None:
    details = [{"type": "reasoning.encrypted", "data": "x", "odd": None}]
    message: Message = {
        "role": "assistant",
        "content": "a",
        "provider_data": {"openai_chat": {"reasoning_details": details}, "other": {"reasoning_details": [1]}},
    }

    assert message_of(message, reasoning_details=True)["reasoning_details"] == details
    assert "reasoning_details" not in message_of(message)
    assert "reasoning_details" not in message_of(message, reasoning_details=True, name="another")


def test_encoding_changes_nothing_that_it_was_given() -> None:
    extra = {"a": 1}
    messages: list[Message] = [{"role": "assistant", "content": "", "tool_calls": CALLS}]
    before = json.dumps([messages, extra, SCHEMA])

    OpenAIChat(strict_schema=True).encode(
        GenerateRequest("m", messages, extra=extra, schema=OutputSchema("A", SCHEMA), temperature=1)
    )

    assert json.dumps([messages, extra, SCHEMA]) == before
