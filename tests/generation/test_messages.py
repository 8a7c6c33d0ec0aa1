"""What a caller passes becomes clean messages, or an error that never quotes it."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.errors import ConfigurationError
from abstractcore.generation.messages import (
    build_messages,
    check_retries,
    check_sampling,
    check_timeout,
    clean_messages,
)
from abstractcore.types import ToolCall

LONE = "\ud800"


def openai_call(call_id: Any, name: str = "add", arguments: Any = '{"a": 1}') -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_prompt_is_sent_also_when_the_history_ends_with_it():
    """B6."""
    history = [{"role": "user", "content": "hi"}]

    built = build_messages("hi", history, None, None)

    assert built == [{"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}]
    assert history == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("text", ["", "\x00", "\u202eabc", "👩\u200d👩", " \n ", "\ufeff"])
def test_odd_but_sendable_text_stays_exactly_as_it_is(text):
    built = build_messages(text, [{"role": "user", "content": text}], text, None)

    assert [message["content"] for message in built] == [text, text, text]


def test_the_system_prompt_goes_first_and_the_historys_own_stays_after_it():
    built = build_messages("q", [{"role": "developer", "content": "old"}], "new", None)

    assert [(message["role"], message["content"]) for message in built] == [
        ("system", "new"),
        ("system", "old"),
        ("user", "q"),
    ]


@pytest.mark.parametrize("messages", [None, []])
def test_nothing_to_send_is_an_error(messages):
    with pytest.raises(ConfigurationError, match="prompt or messages"):
        build_messages(None, messages, "system", None)


def test_a_chat_completions_history_is_understood():
    url = "https://example.com/cat.png"
    built = build_messages(
        None,
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
                    {"type": "image_url", "image_url": "data:image/png;base64,iVBOR"},
                ],
            },
            {"role": "assistant", "content": None, "refusal": None, "tool_calls": [openai_call("c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
            {"role": "assistant", "content": "two", "reasoning_content": "1+1", "tool_calls": None},
        ],
        None,
        None,
    )

    assert built == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "url": url},
                {"type": "image", "data": "iVBOR", "media_type": "image/png"},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "add", "arguments": {"a": 1}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
        {"role": "assistant", "content": "two", "reasoning": "1+1"},
    ]


def test_a_message_of_ours_keeps_all_its_fields():
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "a"}, {"type": "image", "url": "https://x/y.png"}],
        "tool_calls": [{"id": "1", "name": "f", "arguments": {}, "arguments_raw": "[broken"}],
        "reasoning": "because",
        "name": "bob",
        "timestamp": "2026-01-01T00:00:00Z",
        "metadata": {"k": [1, 2.5, None, True]},
        "provider_data": {"anthropic_messages": {"signature": "…"}},
    }

    assert clean_messages([message]) == [message]


def test_the_copy_shares_nothing_that_can_change():
    message = {"role": "user", "content": "x", "metadata": {"k": []}}

    cleaned = clean_messages([message])
    cleaned[0]["metadata"]["k"].append(1)

    assert message["metadata"] == {"k": []}


@pytest.mark.parametrize(
    ("given_arguments", "arguments", "raw"),
    [
        ("", {}, None),
        ('{"a": "é"}', {"a": "é"}, None),
        ({"a": 1}, {"a": 1}, None),
        (None, {}, None),
        ("[1]", {}, "[1]"),
        ("{a:", {}, "{a:"),
        ('{"a": NaN}', {}, '{"a": NaN}'),
        ('{"a": 1e999}', {}, '{"a": 1e999}'),
        ('{"a": "\\ud800"}', {}, '{"a": "\\ud800"}'),
        ("[" * 100_000, {}, "[" * 100_000),
    ],
)
def test_tool_arguments_become_a_dict_or_stay_as_their_words(given_arguments, arguments, raw):
    """FAULTS 1.6."""
    history = [{"role": "assistant", "content": None, "tool_calls": [openai_call("1", "f", given_arguments)]}]

    call = clean_messages(history)[0]["tool_calls"][0]

    assert call["arguments"] == arguments
    assert call.get("arguments_raw") == raw


def test_tool_calls_of_a_response_can_be_put_into_the_history():
    history = [{"role": "assistant", "content": "", "tool_calls": [ToolCall("7", "f", {"x": 1})]}]

    assert clean_messages(history)[0]["tool_calls"] == [{"id": "7", "name": "f", "arguments": {"x": 1}}]


def ids(history: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (message["tool_call_id"],)
        if message["role"] == "tool"
        else tuple(call["id"] for call in message["tool_calls"])
        for message in clean_messages(history)
    ]


def calls(*call_ids: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [openai_call(call_id) for call_id in call_ids],
    }


def result(call_id: Any) -> dict[str, Any]:
    return {"role": "tool", "content": "r", "tool_call_id": call_id}


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([calls("a", "b"), result("b"), result("a")], [("a", "b"), ("b",), ("a",)]),
        ([calls("a"), result("a"), calls("a"), result("a")], [("a",), ("a",), ("call_1",), ("call_1",)]),
        ([calls("a"), calls("a"), result("a")], [("a",), ("call_1",), ("call_1",)]),
        ([calls("a", "a"), result("a"), result("a")], [("a", "call_1"), ("a",), ("call_1",)]),
        ([calls(None, None), result(None), result(None)], [("call_0", "call_1"), ("call_0",), ("call_1",)]),
        ([calls(None), result("x")], [("call_0",), ("call_0",)]),
        ([calls("x"), result("")], [("x",), ("x",)]),
        ([calls("call_1", None, None)], [("call_1", "call_2", "call_3")]),
    ],
)
def test_each_tool_call_gets_an_id_of_its_own_and_its_result_the_same(history, expected):
    """FAULTS 1.6."""
    assert ids(history) == expected


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("secret", r"messages\[0\]: expected a dict"),
        ({"content": "secret"}, r"messages\[0\]: the role"),
        ({"role": "secret", "content": "secret"}, r"messages\[0\]: the role"),
        ({"role": ["secret"], "content": "secret"}, r"messages\[0\]: the role"),
        ({"role": "user", "content": None, "name": "secret"}, r"messages\[0\]\.content"),
        ({"role": "user", "content": 5, "name": "secret"}, r"messages\[0\]\.content"),
        ({"role": "user", "content": ["secret"]}, r"messages\[0\]\.content\[0\]"),
        ({"role": "user", "content": [{"type": "secret"}]}, r"messages\[0\]\.content\[0\]"),
        ({"role": "user", "content": [{"type": {}}]}, r"messages\[0\]\.content\[0\]"),
        ({"role": "user", "content": [{"type": "text", "text": 1}]}, r"content\[0\]\.text"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/etc/secret"}}]},
            r"content\[0\]: an image's URL",
        ),
        ({"role": "user", "content": [{"type": "image"}]}, r"content\[0\]: an image part"),
        ({"role": "user", "content": "secret" + LONE}, r"content: character 6 is a lone surrogate"),
        ({"role": "user", "content": "x", "tool_calls": [openai_call("1")]}, "role user has no tool_calls"),
        ({"role": "assistant", "content": "", "tool_calls": {"secret": 1}}, "tool_calls: expected a list"),
        ({"role": "assistant", "content": "", "tool_calls": ["secret"]}, r"tool_calls\[0\]: expected a dict"),
        ({"role": "assistant", "content": "", "tool_calls": [openai_call(5)]}, r"tool_calls\[0\]\.id"),
        (
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [openai_call("1", "f", {"a": "secret" + LONE})],
            },
            r"tool_calls\[0\]\.arguments",
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": [openai_call("1", "f", "secret" + LONE)]},
            r"tool_calls\[0\]\.arguments",
        ),
        ({"role": "tool", "content": "secret"}, r"messages\[0\]: a tool result needs"),
        ({"role": "user", "content": "x", "metadata": {"secret": object()}}, "metadata: an object of type"),
        ({"role": "user", "content": "x", "metadata": {"secret": math.nan}}, "metadata"),
        ({"role": "user", "content": "x", "metadata": ["secret"]}, "metadata: expected a dict"),
        ({"role": "user", "content": "x", "timestamp": 5}, "timestamp: expected text"),
    ],
)
def test_a_wrong_message_is_named_by_its_place_and_never_quoted(message, where):
    """FAULTS 1.7, B9."""
    with pytest.raises(ConfigurationError, match=where) as caught:
        build_messages("prompt", [message], None, None)

    failure: BaseException | None = caught.value
    while failure is not None:
        assert "secret" not in str(failure)
        assert not isinstance(failure, UnicodeError)  # which holds the whole text
        failure = failure.__context__


@pytest.mark.parametrize(
    "arguments",
    [
        (5, None, None),
        (["x"], None, None),
        ("x", "history", None),
        ("x", {"role": "user"}, None),
        ("x", None, 5),
        (LONE, None, None),
        ("x", None, LONE),
    ],
)
def test_a_wrong_prompt_system_prompt_or_history_is_refused(arguments):
    with pytest.raises(ConfigurationError):
        build_messages(*arguments, None)


def test_nesting_without_end_is_refused():
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]

    with pytest.raises(ConfigurationError, match="nested too deeply"):
        clean_messages([{"role": "user", "content": "", "metadata": {"deep": deep}}])


def test_ten_megabytes_are_cheap():
    """FAULTS 1.7."""
    for prompt in ("x" * 10_000_000, "é" * 5_000_000, "x" * 9_999_999 + LONE):
        started = time.process_time()
        try:
            build_messages(prompt, None, None, None)
        except ConfigurationError:
            assert prompt.endswith(LONE)
        assert time.process_time() - started < 1


def test_images_stand_with_the_prompt():
    url = "https://example.com/cat.png"

    assert build_messages("what?", None, None, [url]) == [
        {"role": "user", "content": [{"type": "image", "url": url}, {"type": "text", "text": "what?"}]}
    ]


def test_without_a_prompt_images_join_the_users_last_message():
    url = "https://example.com/cat.png"
    history = [{"role": "user", "content": "what?"}]

    assert build_messages(None, history, None, url) == build_messages("what?", None, None, url)
    assert history == [{"role": "user", "content": "what?"}]
    with pytest.raises(ConfigurationError, match="media"):
        build_messages(None, [{"role": "assistant", "content": "hm"}], None, url)


# ---- any history -----------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, json_values, max_size=3)
tool_calls = st.lists(
    st.builds(openai_call, st.sampled_from([None, "", "a", "b", "call_1"]), texts, texts | objects),
    max_size=3,
)
parts = st.builds(lambda text: {"type": "text", "text": text}, texts)
histories = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "developer"]), "content": texts | st.lists(parts)},
        optional={"metadata": objects, "name": texts, "unknown": json_values},
    )
    | st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | texts},
        optional={"tool_calls": tool_calls, "reasoning": texts, "provider_data": objects},
    )
    | st.fixed_dictionaries(
        {"role": st.just("tool"), "content": texts, "tool_call_id": st.sampled_from(["a", "b", "call_1"])}
    ),
    max_size=6,
)


@given(prompt=st.none() | texts, history=histories, system_prompt=st.none() | texts)
def test_any_history_stays_unchanged_and_gives_strict_json_with_unique_ids(prompt, history, system_prompt):
    before = copy.deepcopy(history)
    if prompt is None and not history:
        return

    built = build_messages(prompt, history, system_prompt, None)

    assert history == before
    json.dumps(built, allow_nan=False, ensure_ascii=False).encode()
    call_ids = [call["id"] for message in built for call in message.get("tool_calls", ())]
    assert len(call_ids) == len(set(call_ids))
    assert all(call_ids)
    assert clean_messages(built) == built
    assert len(built) == len(history) + (prompt is not None) + (system_prompt is not None)


@given(history=st.lists(objects | st.dictionaries(st.sampled_from(["role", "content"]), json_values)))
def test_any_json_is_a_history_or_a_configuration_error(history):
    with contextlib.suppress(ConfigurationError):
        clean_messages(history)


# ---- numbers ---------------------------------------------------------------------------------


def test_what_is_given_comes_back_clean_and_the_rest_is_left_out():
    assert check_sampling(
        temperature=0, top_p=1, top_k=0, seed=-1, stop="END", max_output_tokens=10**15, presence_penalty=-2
    ) == {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "seed": -1,
        "stop": ("END",),
        "max_output_tokens": 10**15,
        "presence_penalty": -2.0,
    }
    assert check_sampling(stop=[]) == check_sampling() == {}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [math.nan, math.inf, -0.1, True, "0.5", 10**400, -(10**400), [1]]),
        ("top_p", [0, 1.01, -1, math.nan, False, "1"]),
        ("top_k", [-1, 1.5, True, "3"]),
        ("seed", [1.0, "x", True, 2**63, 10**5000]),
        ("max_output_tokens", [0, -1, 1.0, math.inf, True, "10"]),
        ("presence_penalty", [math.nan, -math.inf, "0"]),
        ("frequency_penalty", [math.nan, math.inf, True]),
        ("stop", [5, b"x", [5], {"a": 1}, [""], "", [LONE]]),
    ],
)
def test_a_value_that_no_provider_could_mean_is_refused(name, values):
    """FAULTS 1.7."""
    for value in values:
        with pytest.raises(ConfigurationError, match=name):
            check_sampling(**{name: value})


@pytest.mark.parametrize("seconds", [0, -1, math.nan, -math.inf, True, "5"])
def test_a_timeout_is_above_zero(seconds):
    with pytest.raises(ConfigurationError, match="timeout"):
        check_timeout(seconds)


def test_a_timeout_is_a_float_of_at_most_a_year():
    assert check_timeout(None) is None
    assert check_timeout(5) == 5.0
    assert check_timeout(math.inf) == check_timeout(1e308) == 365 * 86400


def test_retries_are_counted_from_zero():
    assert check_retries(0) == 0
    for retries in (-1, 1.5, True, "2", math.nan):
        with pytest.raises(ConfigurationError, match="max_retries"):
            check_retries(retries)
