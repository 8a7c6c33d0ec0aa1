"""What a conversation looks like on the Messages wire, and what of an answer goes back as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.codecs.anthropic_asking import HI, blocks_of, body_of, recorded, text, turns_of


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
