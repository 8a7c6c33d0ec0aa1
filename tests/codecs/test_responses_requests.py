"""What a request looks like on the Responses wire, and what is named when it is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import GenerateRequest, Message, OutputSchema, ToolSpec
from tests.codecs.recorded import streamed
from tests.fakes import openai_responses as fake

HI: list[Message] = [{"role": "user", "content": "hi"}]
WIRE_HI = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
ENCRYPTED = ["reasoning.encrypted_content"]


def body_of(
    codec: OpenAIResponses | None = None, messages: list[Message] = HI, **fields: Any
) -> dict[str, Any]:
    """Encode, and leave out what every request has."""
    body = dict((codec or OpenAIResponses()).encode(GenerateRequest("m", messages, **fields)).body)
    json.dumps(body, allow_nan=False).encode()
    assert body.pop("model") == "m"
    if messages is HI:
        assert body.pop("input") == WIRE_HI
    if not fields.get("extra"):
        assert body.pop("store") is False
        assert body.pop("include", ENCRYPTED) == ENCRYPTED
    return body


def items_of(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    return body_of(None, list(messages), **fields)["input"]


def warnings_of(codec: OpenAIResponses | None = None, **fields: Any) -> tuple[str, ...]:
    return (codec or OpenAIResponses()).encode(GenerateRequest("m", HI, **fields)).warnings


def test_a_bare_request_stores_nothing_and_asks_for_reasoning_that_can_be_sent_back() -> None:
    wire = OpenAIResponses().encode(GenerateRequest("m", HI))

    assert wire.path == "/responses"
    assert wire.body == {"model": "m", "input": WIRE_HI, "store": False, "include": ENCRYPTED}
    assert (wire.warnings, wire.headers, wire.stream) == ((), {}, None)


def test_a_stream_is_asked_for() -> None:
    assert body_of(stream=True) == {"stream": True}


def test_what_is_stored_need_not_be_sent_back() -> None:
    assert body_of(extra={"store": True}) == {"store": True}


def test_a_model_that_does_not_reason_is_not_asked_for_reasoning() -> None:
    codec = OpenAIResponses(encrypted_reasoning=False, thinking=False)

    assert "include" not in codec.encode(GenerateRequest("m", HI, thinking=True)).body
    assert body_of(codec, thinking=True) == {}
    assert warnings_of(codec, thinking=True) == ("thinking is not supported by openai_responses: left out",)


def test_sampling_has_the_wires_names_and_what_it_lacks_is_named() -> None:
    """B10."""
    given = {
        "temperature": 0.0, "top_p": 0.5, "top_k": 7, "seed": 0, "stop": ("a",),
        "max_output_tokens": 9, "presence_penalty": 0.0, "frequency_penalty": -0.1,
    }  # fmt: skip

    assert body_of(**given) == {"temperature": 0.0, "top_p": 0.5, "max_output_tokens": 9}
    assert warnings_of(**given) == tuple(
        f"{field} is not supported by openai_responses: left out"
        for field in ("top_k", "seed", "stop", "presence_penalty", "frequency_penalty")
    )


@pytest.mark.parametrize(
    ("thinking", "wanted"),
    [
        (None, {}),
        (True, {"reasoning": {"effort": "medium", "summary": "auto"}}),
        (False, {"reasoning": {"effort": "none"}}),
        ("low", {"reasoning": {"effort": "low", "summary": "auto"}}),
        ("high", {"reasoning": {"effort": "high", "summary": "auto"}}),
    ],
)
def test_thinking_is_an_effort_and_its_summary(thinking: Any, wanted: dict[str, Any]) -> None:
    assert body_of(thinking=thinking) == wanted
    assert warnings_of(thinking=thinking) == ()


def test_a_summary_can_be_done_without() -> None:
    """OpenAI gives summaries to verified organizations only."""
    assert body_of(OpenAIResponses(summary=None), thinking=True) == {"reasoning": {"effort": "medium"}}


TOOL = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer"}}})
WIRE_TOOL = {
    "type": "function",
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "strict": False,
}


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "name": "add"}),
    ],
)
def test_tools_are_offered(choice: str | None, wanted: Any) -> None:
    body = body_of(tools=[TOOL], tool_choice=choice)

    assert body["tools"] == [WIRE_TOOL]
    assert body.get("tool_choice") == wanted


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert body_of(tool_choice="auto") == {}


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}
STRICT_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN_SCHEMA = {"type": "object", "additionalProperties": {"type": "integer"}}


@pytest.mark.parametrize(
    ("codec", "schema", "wanted"),
    [
        (OpenAIResponses(), SCHEMA, {"schema": STRICT_SCHEMA, "strict": True}),
        (OpenAIResponses(), OPEN_SCHEMA, {"schema": OPEN_SCHEMA}),
        (OpenAIResponses(strict_schema=False), SCHEMA, {"schema": SCHEMA}),
    ],
)
def test_a_schema_is_the_format_of_the_text(codec: Any, schema: Any, wanted: dict[str, Any]) -> None:
    body = body_of(codec, schema=OutputSchema("Page[City]", schema))

    assert body == {"text": {"format": {"type": "json_schema", "name": "Page_City", **wanted}}}


def test_extra_goes_to_the_wire_unchanged_and_wins() -> None:
    extra = {"temperature": 1, "vendor_field": {"a": [1]}, "include": None, "store": None}

    assert body_of(temperature=0.5, extra=extra) == extra


def test_what_extra_shares_with_us_stands_beside_ours() -> None:
    """Built-in tools, a verbosity and more to include are asked for by a caller who keeps our part."""
    search, wanted = {"type": "web_search"}, ["web_search_call.action.sources", *ENCRYPTED]
    extra = {
        "tools": [search], "include": wanted, "text": {"verbosity": "low"},
        "reasoning": {"summary": "concise"},
    }  # fmt: skip

    body = body_of(tools=[TOOL], schema=OutputSchema("A", OPEN_SCHEMA), thinking="high", extra=extra)

    assert body["tools"] == [WIRE_TOOL, search]
    assert body["include"] == wanted
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "A", "schema": OPEN_SCHEMA}, "verbosity": "low",
    }  # fmt: skip
    assert body["reasoning"] == {"effort": "high", "summary": "concise"}
    assert body_of(extra={"include": wanted[:1]})["include"] == [*ENCRYPTED, wanted[0]]


# ---- the history ---------------------------------------------------------------------------------


def test_system_texts_at_the_head_are_the_instructions_and_a_later_one_keeps_its_place() -> None:
    body = body_of(
        None,
        [
            {"role": "system", "content": "Be brief."},
            {"role": "system", "content": "Be kind."},
            *HI,
            {"role": "system", "content": "Now in French."},
        ],
    )

    assert body["instructions"] == "Be brief.\n\nBe kind."
    assert body["input"] == [
        *WIRE_HI,
        {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Now in French."}],
        },
    ]


def test_messages_keep_what_is_theirs_alone() -> None:
    """C2: nothing of ours leaks onto the wire."""
    ours: Any = {"timestamp": "t", "metadata": {"a": 1}, "reasoning": "hm", "provider_data": {"x": {}}}

    assert items_of(
        {"role": "user", "content": "u", "name": "ann", **ours},
        {"role": "assistant", "content": "a", **ours},
        {"role": "tool", "content": "r", "tool_call_id": "1", "name": "add", **ours},
    ) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "u"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call_output", "call_id": "1", "output": "r"},
    ]


IMAGES: Any = [
    {"type": "text", "text": "What?"},
    {"type": "image", "url": "https://x.test/a.png"},
    {"type": "image", "data": "QUJD", "media_type": "image/jpeg"},
]
WIRE_IMAGES = [
    {"type": "input_text", "text": "What?"},
    {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
    {"type": "input_image", "image_url": "data:image/jpeg;base64,QUJD", "detail": "auto"},
]


def test_images_are_sent_by_url_or_as_data_also_by_a_tool() -> None:
    assert items_of({"role": "user", "content": IMAGES})[0]["content"] == WIRE_IMAGES
    assert items_of({"role": "tool", "content": IMAGES, "tool_call_id": "1"}) == [
        {"type": "function_call_output", "call_id": "1", "output": WIRE_IMAGES}
    ]


CALLS: Any = [
    {"id": "1", "name": "add", "arguments": {"a": "é"}},
    {"id": "2", "name": "add", "arguments": {}, "arguments_raw": '{"a": 1'},
]
WIRE_CALLS = [
    {"type": "function_call", "call_id": "1", "name": "add", "arguments": '{"a": "é"}'},
    {"type": "function_call", "call_id": "2", "name": "add", "arguments": '{"a": 1'},
]


def test_a_turn_of_calls_is_an_item_each_after_its_text() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I add."}]}

    assert items_of({"role": "assistant", "content": "", "tool_calls": CALLS}) == WIRE_CALLS
    assert items_of({"role": "assistant", "content": "I add.", "tool_calls": CALLS}) == [said, *WIRE_CALLS]


def test_an_id_that_the_api_finds_too_long_is_made_short_in_both_places() -> None:
    """C7: other wires write longer ones than 64 characters."""
    ids = ["x" * 64, "x" * 65, "x" * 66]
    calls: Any = [{"id": name, "name": "add", "arguments": {}} for name in ids]
    results: list[Any] = [{"role": "tool", "content": "1", "tool_call_id": name} for name in ids]

    items = items_of({"role": "assistant", "content": "", "tool_calls": calls}, *results)

    sent = [item["call_id"] for item in items]
    assert sent[:3] == sent[3:]
    assert sent[0] == ids[0]
    assert len(set(sent)) == 3
    assert all(len(name) <= 64 for name in sent)


# ---- what goes back as it came -------------------------------------------------------------------


def answer_of(items: list[dict[str, Any]], **options: Any) -> Message:
    """What a history holds of an answer with these output items."""
    collector = Collector("openai", "m")
    for chunk in streamed(OpenAIResponses(), map(fake.event_bytes, fake.events(items, **options))):
        collector.add(chunk)
    return json.loads(json.dumps(assistant_message(collector.response())))


THOUGHT = {**fake.reasoning_item("Hm."), "status": None, "odd": [1]}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}


@pytest.mark.parametrize(
    "items",
    [
        [THOUGHT, *fake.text_items("Hi.")],
        [THOUGHT, *fake.tool_calls([("add", {"a": 1}), ("add", {"a": 2})])],
        [THOUGHT, *fake.text_items("I look."), {**THOUGHT, "id": "rs_2"}, *fake.tool_calls([("add", "")])],
        [THOUGHT, *fake.tool_calls([("add", "not json")])],
        [SEARCH, *fake.text_items("Sunny.")],
        [{**fake.text_items("I look.")[0], "phase": "commentary"}, *fake.tool_calls([("add", {})])],
    ],
)
def test_an_answer_with_reasoning_goes_back_item_for_item(items: list[dict[str, Any]]) -> None:
    """C7: unmodified, and each thought before what belongs to it."""
    assert items_of(answer_of(items)) == items


def test_an_answer_without_it_is_written_anew() -> None:
    message = answer_of([*fake.text_items("I add."), *fake.tool_calls([("add", {"a": 1})])])

    assert "provider_data" not in message
    assert items_of(message) == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I add."}]},
        {"type": "function_call", "call_id": "call_0", "name": "add", "arguments": '{"a": 1}'},
    ]


def test_a_call_goes_back_under_the_id_that_the_history_gave_it() -> None:
    """Two calls of one id are told apart, and their results belong to the new ids."""
    one, two = fake.tool_calls([("add", {"a": 1}), ("add", {"a": 2})])
    message = answer_of([THOUGHT, one, {**two, "call_id": "call_0"}])

    ids = [call["id"] for call in message.get("tool_calls", [])]
    assert len(set(ids)) == 2
    assert [item.get("call_id") for item in items_of(message)] == [None, *ids]


@pytest.mark.parametrize(
    "changed",
    [
        {"content": "Something else."},
        {"tool_calls": [{"id": "call_0", "name": "add", "arguments": {"a": 2}}]},
        {"tool_calls": []},
    ],
)
def test_an_answer_that_was_edited_is_written_anew(changed: Any) -> None:
    message = answer_of([THOUGHT, *fake.text_items("I add."), *fake.tool_calls([("add", {"a": 1})])])

    items = items_of({**message, **changed})

    assert "reasoning" not in [item["type"] for item in items]
    assert len(items) == 1 + len({**message, **changed}["tool_calls"])


def test_reasoning_that_only_its_id_stands_for_goes_back_where_it_is_stored() -> None:
    """Without the thought the API would not take its message's id either."""
    items = [fake.reasoning_item("Hm.", None), *fake.text_items("Hi.")]
    message = answer_of(items)

    assert items_of(message, extra={"store": True}) == items
    assert items_of(message) == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]}
    ]


def test_reasoning_that_an_open_model_gave_as_text_goes_back() -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": []}
    items = [{**thought, "content": [{"type": "reasoning_text", "text": "Hm."}]}, *fake.text_items("Hi.")]

    assert items_of(answer_of(items)) == items


def test_a_thought_that_nothing_follows_is_left_out() -> None:
    """An answer that was cut off while it thought; the API wants the item that belongs to a thought."""
    assert items_of(answer_of([THOUGHT], finish_reason="length")) == []


def test_what_another_wire_keeps_is_left_out() -> None:
    message: Message = {
        "role": "assistant",
        "content": "a",
        "reasoning": "hm",
        "provider_data": {"anthropic_messages": {"content": [{"type": "thinking"}]}},
    }

    assert items_of(message) == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}
    ]


@pytest.mark.parametrize("odd", [None, [], "x", {"output": None}, {"output": ["x"]}, {"output": "x"}])
def test_provider_data_that_a_user_has_spoiled_is_left_out(odd: Any) -> None:
    message: Any = {"role": "assistant", "content": "a", "provider_data": {"openai_responses": odd}}

    assert [item["type"] for item in items_of(message)] == ["message"]


def test_encoding_changes_nothing_that_it_was_given() -> None:
    extra = {"include": ["x"], "text": {"verbosity": "low"}, "tools": [{"type": "web_search"}]}
    one, two = fake.tool_calls([("add", {"a": 1}), ("add", {"a": 2})])
    messages = [answer_of([THOUGHT, one, {**two, "call_id": "call_0"}])]
    before = json.dumps([messages, extra, SCHEMA])

    OpenAIResponses().encode(
        GenerateRequest("m", messages, tools=[TOOL], extra=extra, schema=OutputSchema("A", SCHEMA))
    )

    assert json.dumps([messages, extra, SCHEMA]) == before
