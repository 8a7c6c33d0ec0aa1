"""200 and odd, but an answer all the same: FAULTS 1.3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .per_wire import Meaningless, rows

ANSWER = "Grüße, 世界 🌍."


CALLS_ARE_PARTS = Meaningless("calls are parts like the texts, and have no list of their own")


def item(*parts: Any) -> list[dict[str, Any]]:
    return [{"id": "msg_1", "type": "message", "role": "assistant", "content": list(parts)}]


EMPTY: dict[str, dict[str, Any]] = {
    "null": {
        "openai_chat": {"role": "assistant", "content": None},
        "openai_responses": item({"type": "output_text", "text": None}),
        "anthropic_messages": [{"type": "text", "text": None}],
        "ollama_chat": {"role": "assistant", "content": None},
    },
    "empty": {
        "openai_chat": {"role": "assistant", "content": ""},
        "openai_responses": item({"type": "output_text", "text": ""}),
        "anthropic_messages": [{"type": "text", "text": ""}],
        "ollama_chat": {"role": "assistant", "content": ""},
    },
    "missing": {
        "openai_chat": {"role": "assistant"},
        "openai_responses": item({"type": "output_text"}),
        "anthropic_messages": [{"type": "text"}],
        "ollama_chat": {"role": "assistant"},
    },
    "no part": {
        "openai_chat": {"role": "assistant", "content": []},
        "openai_responses": item(),
        "anthropic_messages": [],
        "ollama_chat": Meaningless("a content is a text, and has no parts"),
    },
    "no calls": {
        "openai_chat": {"role": "assistant", "content": None, "tool_calls": []},
        "openai_responses": [],
        "anthropic_messages": CALLS_ARE_PARTS,
        "ollama_chat": {"role": "assistant", "content": "", "tool_calls": []},
    },
    "null calls": {
        "openai_chat": {"role": "assistant", "content": None, "tool_calls": None},
        "openai_responses": CALLS_ARE_PARTS,
        "anthropic_messages": CALLS_ARE_PARTS,
        "ollama_chat": {"role": "assistant", "content": "", "tool_calls": None},
    },
}


@pytest.mark.parametrize("reason", ["stop", "length"])
@rows(EMPTY, "said")
def test_an_answer_without_text_is_empty_and_nothing_is_invented(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, said: Any, reason: str
) -> None:
    """1.3 content empty, content null without tool calls: the empty text, with its finish reason."""
    server.replies(wire.dialect.reply(said, finish_reason=reason))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert (response.content, response.tool_calls, response.finish_reason) == ("", [], reason)


@pytest.mark.parametrize("reason", ["eos_token_reached", "error_limit", "STOP"])
def test_an_unknown_finish_reason_is_other_and_its_word_is_kept(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, reason: str
) -> None:
    """1.3 unknown finish_reason."""
    server.replies(text(ANSWER, finish_reason=reason))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert (response.content, response.finish_reason) == (ANSWER, "other")
    assert wire.raw_finish_reason(response.raw) == reason


USAGES: dict[str, Callable[[Wire], Any]] = {
    "missing": lambda wire: False,
    "null": lambda wire: None,
    "a list": lambda wire: [],
    "a text": lambda wire: "many",
    "an empty object": lambda wire: {},
    "odd counts": lambda wire: dict(zip(wire.counts, ("5", -1), strict=True)),
    "counts of null": lambda wire: dict.fromkeys(wire.counts),
    "fractions": lambda wire: dict.fromkeys(wire.counts, 1.5),
}


@pytest.mark.parametrize("name", USAGES)
def test_usage_that_is_missing_or_odd_is_unknown(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, name: str
) -> None:
    """1.3 usage missing/null, wrong types: unknown is None, never 0."""
    server.replies(wire.dialect.text(ANSWER, usage=USAGES[name](wire)))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert response.content == ANSWER
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (None, None, None)


def in_each_json(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Change the JSON of a body, or that of each event of a stream."""

    def in_line(line: bytes) -> bytes:
        field, brace, rest = line.partition(b"{")
        if not brace:
            return line
        return field + json.dumps(change(json.loads(brace + rest)), ensure_ascii=False).encode()

    return lambda body: b"\n".join(in_line(line) for line in body.split(b"\n"))


def with_unknown_fields(value: Any) -> Any:
    """Add to every object, however deep, a field that no vendor has."""
    if isinstance(value, list):
        return [with_unknown_fields(each) for each in value]
    if not isinstance(value, dict):
        return value
    known = {name: with_unknown_fields(each) for name, each in value.items()}
    return {"aura": [{"x": None}], **known, "audio": None, "moods": {"type": "error"}}


def test_unknown_fields_are_passed_over(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3 unknown fields, in every object of the answer."""
    server.replies(text(ANSWER).rewritten(in_each_json(with_unknown_fields)))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert (response.content, response.finish_reason) == (ANSWER, "stop")
    assert response.usage.output_tokens == 7
    assert "aura" in response.raw


def test_unknown_fields_of_a_call_are_passed_over(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3 unknown fields, beside a call and its arguments' text."""
    asked = wire.dialect.calls([("look", {})])
    server.replies(asked.rewritten(in_each_json(lambda event: {**event, "aura": [{"x": None}]})))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert [(call.name, call.arguments) for call in response.tool_calls] == [("look", {})]
    assert response.finish_reason == "tool_calls"


@pytest.mark.parametrize("half", ["\\ud83c", "\\udf0d", "\\udf0d\\ud83c", "\\uD800x"])
def test_half_a_pair_becomes_a_replacement_character(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, half: str
) -> None:
    """1.3 lone surrogate escape: the text can always be encoded."""
    halved = f"a{half}b".encode()
    server.replies(text("HALF").rewritten(lambda body: body.replace(b"HALF", halved)))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert "\ufffd" in response.content
    assert response.content.startswith("a")
    assert response.content.endswith("b")
    response.content.encode()
    json.dumps(response.raw, ensure_ascii=False).encode()


def test_half_a_pair_that_is_all_of_a_text_is_replaced(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3 lone surrogate escape, which a stream holds back for its other half."""
    server.replies(text("HALF").rewritten(lambda body: body.replace(b"HALF", b"\\ud83c")))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert response.content == "\ufffd"
    json.dumps(response.raw, ensure_ascii=False).encode()


def test_an_error_of_null_is_none(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.3: some servers write `"error": null` into every answer and every event."""
    server.replies(text(ANSWER).rewritten(in_each_json(lambda event: {**event, "error": None})))

    response = whole_or_stream.ask(surface, wire.llm(server), "Hi")

    assert (response.content, response.finish_reason) == (ANSWER, "stop")
