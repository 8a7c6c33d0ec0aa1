"""What a request looks like on the Messages wire, and what is named when it is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import GenerateRequest, Message, OutputSchema, ToolSpec
from tests.codecs.recorded import streamed

CASES = Path(__file__).parent / "anthropic_messages"
HI: list[Message] = [{"role": "user", "content": "hi"}]
ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def body_of(codec: AnthropicMessages | None = None, messages: Any = HI, **fields: Any) -> dict[str, Any]:
    """Encode, and leave out what every request has."""
    body = dict((codec or AnthropicMessages()).encode(GenerateRequest("m", messages, **fields)).body)
    json.dumps(body, allow_nan=False).encode()
    assert body.pop("model") == "m"
    if body["max_tokens"] == AnthropicMessages().max_tokens:
        del body["max_tokens"]
    if messages is HI:
        assert body.pop("messages") == [{"role": "user", "content": [text("hi")]}]
    return body


def turns_of(*messages: Any, **codec: Any) -> list[dict[str, Any]]:
    return body_of(AnthropicMessages(**codec), messages)["messages"]


def warnings_of(codec: AnthropicMessages | None = None, **fields: Any) -> tuple[str, ...]:
    return (codec or AnthropicMessages()).encode(GenerateRequest("m", HI, **fields)).warnings


def recorded(name: str) -> Message:
    """The answer of a recorded stream, as a history holds it."""
    collector = Collector("anthropic", "m")
    for chunk in streamed(AnthropicMessages(), [(CASES / f"{name}.sse").read_bytes()]):
        collector.add(chunk)
    return json.loads(json.dumps(assistant_message(collector.response())))


def blocks_of(name: str) -> list[dict[str, Any]]:
    return json.loads((CASES / f"{name}.json").read_bytes())["content"]


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


def test_the_results_of_a_turn_are_one_message_and_come_first_in_it() -> None:
    calls = [{"id": f"call_{n}", "name": "add", "arguments": {"a": n}} for n in (1, 2)]
    image = {"type": "image", "data": "aGk=", "media_type": "image/png"}

    turns = turns_of(
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "system", "content": "Be brief."},
        {"role": "tool", "content": "one", "tool_call_id": "call_1"},
        {"role": "tool", "content": [image], "tool_call_id": "call_2"},
        {"role": "user", "content": "Go on."},
    )

    assert turns == [
        {"role": "user", "content": [text("1?")]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "add", "input": {"a": 2}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [text("one")]},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                        }
                    ],
                },
                text("Be brief."),
                text("Go on."),
            ],
        },
    ]


def test_an_empty_result_has_no_content() -> None:
    (turn,) = turns_of({"role": "tool", "content": "", "tool_call_id": "call_1"})

    assert turn["content"] == [{"type": "tool_result", "tool_use_id": "call_1"}]


def test_ids_of_other_wires_are_written_in_the_characters_that_the_api_takes() -> None:
    """C7: a call and its result keep the same id, and two ids stay two."""
    ids = ["functions.add:0", "functions.add:1", "fc_é", "toolu_01-A"]
    calls = [{"id": one, "name": "add", "arguments": {}} for one in ids]
    results = [{"role": "tool", "content": "1", "tool_call_id": one} for one in ids]

    asked, answered = turns_of({"role": "assistant", "content": "", "tool_calls": calls}, *results)
    sent = [block["id"] for block in asked["content"]]

    assert sent == ["functions_2e_add_3a_0", "functions_2e_add_3a_1", "fc__e9_", "toolu_01-A"]
    assert [block["tool_use_id"] for block in answered["content"]] == sent


def test_arguments_that_are_no_object_go_back_as_one() -> None:
    call = {"id": "c", "name": "add", "arguments": {}, "arguments_raw": "[1, 2"}

    (turn,) = turns_of({"role": "assistant", "content": "", "tool_calls": [call]})

    assert turn["content"] == [
        {"type": "tool_use", "id": "c", "name": "add", "input": {"arguments": "[1, 2"}}
    ]


# ---- messages ------------------------------------------------------------------------------------


def test_system_messages_at_the_head_are_the_system_prompt() -> None:
    head = [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": [text("Speak "), text("French.")]},
        {"role": "system", "content": ""},
    ]

    assert body_of(None, [*head, *HI]) == {
        "system": "Be brief.\n\nSpeak French.", "messages": [{"role": "user", "content": [text("hi")]}],
    }  # fmt: skip
    assert "system" not in body_of(None, [head[2], *HI])


def test_a_later_system_message_is_the_users_unless_the_model_takes_one() -> None:
    history = [*HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Ça va?"}]
    late = {"role": "system", "content": "Speak French."}

    assert turns_of(*history, late)[2:] == [
        {"role": "user", "content": [text("Ça va?"), text("Speak French.")]}
    ]
    assert turns_of(*history, late, late_system="system")[2:] == [
        {"role": "user", "content": [text("Ça va?")]},
        {"role": "system", "content": [text("Speak French.")]},
    ]


def test_neighbours_of_one_role_are_one_turn_and_nothing_empty_is_sent() -> None:
    assert turns_of(
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": ""},
        {"role": "user", "content": [text(""), text("b")]},
        {"role": "assistant", "content": "c"},
        {"role": "assistant", "content": "d"},
    ) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d")]},
    ]


def test_an_empty_prompt_is_still_a_turn() -> None:
    """B6: whether it makes sense is for the API to say."""
    assert turns_of({"role": "user", "content": ""}) == [{"role": "user", "content": ""}]


def test_images_by_url_and_as_data() -> None:
    url = {"type": "image", "url": "https://example.org/a.png"}
    data = {"type": "image", "data": "aGk=", "media_type": "image/webp"}

    assert turns_of({"role": "user", "content": [url, data, text("What?")]})[0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "aGk="}},
        text("What?"),
    ]


def test_what_is_ours_stays_here() -> None:
    mine = {
        "timestamp": "now",
        "metadata": {"a": 1},
        "name": "x",
        "reasoning": "hm",
        "provider_data": {"o": 1},
    }

    assert turns_of({"role": "assistant", "content": "a", **mine}) == [
        {"role": "assistant", "content": [text("a")]}
    ]


# ---- what goes back as it came ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "thinking",
        "thinking_omitted",
        "redacted_thinking",
        "thinking_and_tool_use",
        "server_tools",
        "pause_turn",
    ],
)
def test_an_answer_goes_back_as_it_came(name: str) -> None:
    assert turns_of(recorded(name)) == [{"role": "assistant", "content": blocks_of(name)}]


def test_a_thought_of_another_wire_is_left_out() -> None:
    """C7."""
    message = recorded("thinking_and_tool_use")
    message["provider_data"] = {"openai_chat": message["provider_data"]["anthropic_messages"]}

    assert [block["type"] for block in turns_of(message)[0]["content"]] == ["text", "tool_use"]


@pytest.mark.parametrize(
    "edit",
    [
        {"content": "Edited."},
        {"tool_calls": []},
        {"tool_calls": [{"id": "c", "name": "add", "arguments": {}}]},
    ],
)
def test_a_message_that_was_edited_says_what_it_says_now(edit: dict[str, Any]) -> None:
    """C2: messages are plain data, and what a codec keeps beside them does not speak over them."""
    message = {**recorded("thinking_and_tool_use"), **edit}
    bare = {key: value for key, value in message.items() if key != "provider_data"}

    assert turns_of(message) == turns_of(bare)


def test_a_call_goes_back_with_the_id_that_the_history_gave_it() -> None:
    message: Any = recorded("thinking_and_tool_use")
    message["tool_calls"][0]["id"] = "call.7"

    *_, call = turns_of(message)[0]["content"]

    assert call["id"] == "call_2e_7"
    assert turns_of(message)[0]["content"][:3] == blocks_of("thinking_and_tool_use")[:3]


def test_a_thought_that_was_cut_off_before_its_signature_is_not_sent() -> None:
    assert turns_of({"role": "user", "content": "a"}, recorded("max_tokens_inside_a_thought"), *HI) == [
        {"role": "user", "content": [text("a"), text("hi")]}
    ]


def test_encoding_changes_nothing_that_it_was_given() -> None:
    history: Any = [
        {"role": "user", "content": [text("a")]},
        recorded("thinking_and_tool_use"),
        {"role": "tool", "content": "1", "tool_call_id": "toolu_01A"},
        {"role": "user", "content": "b"},
    ]
    before = json.dumps(history)

    body_of(None, history)

    assert json.dumps(history) == before


@pytest.mark.parametrize(
    "provider_data",
    [
        {"anthropic_messages": None},
        {"anthropic_messages": {"content": "x"}},
        {"anthropic_messages": {"content": [7]}},
    ],
)
def test_damaged_provider_data_is_as_none(provider_data: Any) -> None:
    assert turns_of({"role": "assistant", "content": "a", "provider_data": provider_data}) == [
        {"role": "assistant", "content": [text("a")]}
    ]


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
