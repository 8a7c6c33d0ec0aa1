"""Marks in streamed text become thinking and tool calls, wherever the text is cut."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abstractcore.codecs.text_marks import TextMarks
from abstractcore.types import StreamChunk, ToolCall, Usage

Found = list[tuple[str, Any]]


def folded(chunks: list[StreamChunk]) -> Found:
    """Join neighbours of one phase: what a reader of the whole stream sees."""
    found: Found = []
    for chunk in chunks:
        if chunk.tool_call is not None:
            found.append(("call", chunk.tool_call.as_dict()))
        elif found and found[-1][0] == chunk.phase:
            found[-1] = (chunk.phase, found[-1][1] + chunk.content)
        else:
            found.append((chunk.phase, chunk.content))
    return found


def read(pieces: list[str], **options: Any) -> Found:
    marks = TextMarks(**{"think": True, "tools": True} | options)
    return folded([*[chunk for piece in pieces for chunk in marks.feed(piece)], *marks.end()])


def cuts(text: str) -> list[list[str]]:
    in_two = [[text[:at], text[at:]] for at in range(len(text) + 1)]
    return [*in_two, *[[text[at : at + size] for at in range(0, len(text), size)] for size in (1, 2, 3)]]


def call(name: str = "f", arguments: dict[str, Any] | None = None, number: int = 1) -> tuple[str, Any]:
    return "call", {"id": f"call_{number}", "name": name, "arguments": arguments or {}}


def says(text: str) -> tuple[str, str]:
    return "generating", text


def thinks(text: str) -> tuple[str, str]:
    return "thinking", text


F = '{"name": "f", "arguments": {}}'
CASES: dict[str, tuple[str, dict[str, Any], Found]] = {
    "plain text": ("Hello there.", {}, [says("Hello there.")]),
    "nothing": ("", {}, []),
    "only white space": (" \n", {}, [says(" \n")]),
    "white space round text stays": (" \n a b \n", {}, [says(" \n a b \n")]),
    "a think block": ("<think>\nHmm. Yes.\n</think>\n\nFour.", {}, [thinks("Hmm. Yes."), says("Four.")]),
    "white space before it": ("\n <think>Hmm</think>Four", {}, [thinks("Hmm"), says("Four")]),
    "an empty block": ("<think>\n\n</think>\n\nFour", {}, [says("Four")]),
    "nothing but a block": ("<think>Hmm</think>", {}, [thinks("Hmm")]),
    "a block that never ends": ("<think>Hmm</thin", {}, [thinks("Hmm</thin")]),
    "a block that never begins": ("<think", {}, [says("<think")]),
    "almost a mark": ("<thinking>Hmm</thinking>", {}, [says("<thinking>Hmm</thinking>")]),
    "a mark in the middle is text": ("Use <think>x</think>.", {}, [says("Use <think>x</think>.")]),
    "a second block is text": ("<think>a</think>b<think>c", {}, [thinks("a"), says("b<think>c")]),
    "marks in a thought": (
        f"<think>a<tool_call>{F}</tool_call></think>b",
        {}, [thinks(f"a<tool_call>{F}</tool_call>"), says("b")],
    ),
    "not asked for": ("<think>a</think>b", {"think": False}, [says("<think>a</think>b")]),
    "far from the beginning": (" " * 300 + "<think>a</think>", {}, [says(" " * 300 + "<think>a</think>")]),
    "opened by the prompt": ("Hmm.\n</think>\nFour", {"opened": True}, [thinks("Hmm."), says("Four")]),
    "opened twice": ("\n<think>\nHmm</think>Four", {"opened": True}, [thinks("Hmm"), says("Four")]),
    "opened and never closed": ("Hmm <", {"opened": True}, [thinks("Hmm <")]),
    "a tool call": (f"<tool_call>\n{F}\n</tool_call>", {}, [call()]),
    "text, then a call": (f"I look.\n<tool_call>{F}</tool_call>\n", {}, [says("I look."), call()]),
    "text, a call, text": (f"A.\n<tool_call>{F}</tool_call>\nB.", {}, [says("A."), call(), says("\n\nB.")]),
    "two calls": (f"<tool_call>{F}</tool_call>\n<tool_call>{F}</tool_call>", {}, [call(), call(number=2)]),
    "a thought, then a call": (f"<think>a</think>\n<tool_call>{F}</tool_call>", {}, [thinks("a"), call()]),
    "its arguments": (
        '<tool_call>{"name":"g","arguments":{"a":{"b":[1]}}}</tool_call>',
        {}, [call("g", {"a": {"b": [1]}})],
    ),
    "arguments as a string": (
        '<tool_call>{"name":"g","arguments":"{\\"a\\":1}"}</tool_call>',
        {}, [call("g", {"a": 1})],
    ),
    "parameters, as Llama says": (
        '<tool_call>{"name":"g","parameters":{"a":1}}</tool_call>',
        {}, [call("g", {"a": 1})],
    ),
    "no arguments": ('<tool_call>{"name":"g"}</tool_call>', {}, [call("g")]),
    "a call that ends with the answer": (f"<tool_call>\n{F}", {}, [call()]),
    "half a call": ('Hm <tool_call>{"name": "f"', {}, [says('Hm <tool_call>{"name": "f"')]),
    "a call of no name": ("a <tool_call>{}</tool_call> b", {}, [says("a <tool_call>{}</tool_call> b")]),
    "words for a call": ("<tool_call>later</tool_call>", {}, [says("<tool_call>later</tool_call>")]),
    "no tools were offered": (
        f"<tool_call>{F}</tool_call>",
        {"tools": False}, [says(f"<tool_call>{F}</tool_call>")],
    ),
    "less than and spaces": ("a < b  <t> <tool_cal l> \n c<", {}, [says("a < b  <t> <tool_cal l> \n c<")]),
    "plain JSON is text": (F, {}, [says(F)]),
    "plain JSON": (f"\n{F}\n", {"plain_json": True}, [call()]),
    "fenced JSON": (f"```json\n{F}\n```", {"plain_json": True}, [call()]),
    "a list of calls": (f"[{F}, {F}]", {"plain_json": True}, [call(), call(number=2)]),
    "JSON after a thought": (f"<think>a</think>\n{F}", {"plain_json": True}, [thinks("a"), call()]),
    "JSON that is no call": ('{"name": "Ann"}', {"plain_json": True}, [says('{"name": "Ann"}')]),
    "JSON that breaks off": ('{"name": "f", ', {"plain_json": True}, [says('{"name": "f", ')]),
    "another fence": ("```js\nx\n```", {"plain_json": True}, [says("```js\nx\n```")]),
    "no JSON at all": ("Hello", {"plain_json": True}, [says("Hello")]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "options", "wanted"), CASES.values(), ids=CASES.keys())
def test_marks_are_read_wherever_the_text_is_cut(text: str, options: dict[str, Any], wanted: Found) -> None:
    for pieces in cuts(text):
        assert read(pieces, **options) == wanted, pieces


PIECES = st.sampled_from([
    "<think>", "</think>", "<tool_call>", "</tool_call>", F, '{"name": "f", "arguments": {"a": 1', "}",
    "<", "</", "```json", " ", "\n", "x", "Hello ", "世",
])  # fmt: skip


@given(
    st.lists(PIECES | st.text(max_size=5)).map("".join),
    st.lists(st.integers(0, 100), max_size=10),
    st.fixed_dictionaries(
        {"think": st.booleans(), "tools": st.booleans(), "opened": st.booleans(), "plain_json": st.booleans()}
    ),
)
@example("<think>\n<think>\n a", [], {"opened": True})
def test_any_cutting_gives_the_same_whole(text: str, places: list[int], options: dict[str, bool]) -> None:
    places = sorted(min(place, len(text)) for place in places)
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    wanted = read([text], **options)

    assert read(pieces, **options) == wanted
    assert read(list(text), **options) == wanted


@given(st.text())
def test_text_without_marks_is_given_as_it_is(text: str) -> None:
    text = text.replace("<", "").replace("{", "").replace("[", "").replace("`", "")
    assert read(list(text), plain_json=True) == ([says(text)] if text else [])


def test_text_is_not_held_back() -> None:
    marks = TextMarks(think=True, tools=True)

    assert folded(marks.feed("Hello")) == [says("Hello")]
    assert folded(marks.feed(" <b> and")) == [says(" <b> and")]
    assert folded(marks.feed(" 1 <")) == [says(" 1")]
    assert folded(marks.feed(" 2")) == [says(" < 2")]


def test_a_call_is_given_by_the_piece_that_ends_it() -> None:
    marks = TextMarks(think=True, tools=True)

    assert marks.feed(f"<tool_call>{F}</tool_call") == []
    assert folded(marks.feed(">")) == [call()]


def test_a_call_that_is_not_json_goes_to_the_loop_with_the_models_words() -> None:
    """Arguments that are not JSON are told to the model, not executed."""
    [(_, found)] = read(['<tool_call>{"name": "f", "arguments": {"a": }}</tool_call>'])

    assert found["name"] == "f"
    assert found["arguments"] == {}
    assert found["arguments_raw"] == '{"name": "f", "arguments": {"a": }}'


def test_a_call_nested_too_deeply_is_text() -> None:
    text = "<tool_call>" + "[" * 60_000 + "</tool_call>"

    assert read([text]) == [says(text)]


def test_a_stream_of_chunks_goes_through() -> None:
    native = ToolCall("id", "g")
    usage = Usage(1, 2)
    chunks = [
        StreamChunk("thinking", "t"),
        StreamChunk("generating", "<tool_"),
        StreamChunk("generating", f"call>{F}</tool_call>\n"),
        StreamChunk("tool_calling", tool_call=native),
        StreamChunk("done", finish_reason="stop", usage=usage, metadata={"model": "m"}),
    ]

    *given, done = TextMarks(think=True, tools=True).through(chunks)

    assert folded(given) == [thinks("t"), call(), ("call", native.as_dict())]
    assert done == StreamChunk("done", finish_reason="tool_calls", usage=usage, metadata={"model": "m"})


def test_an_answer_that_called_nothing_keeps_its_finish_reason() -> None:
    chunks = [StreamChunk("generating", "<thi"), StreamChunk("done", finish_reason="length")]

    assert list(TextMarks(think=True, tools=True).through(chunks)) == chunks


LONG = 300_000


@pytest.mark.parametrize("text", ["x", " ", "<", "<think>", "<tool_call>", "\n", "</think", "[", "`"])
@pytest.mark.parametrize("opened", [True, False])
def test_long_text_takes_linear_time(text: str, opened: bool) -> None:
    marks = TextMarks(think=True, tools=True, opened=opened, plain_json=True)
    began = time.process_time()

    for letter in (text * (LONG // len(text)))[:LONG]:
        marks.feed(letter)
    marks.end()

    assert time.process_time() - began < 3


def test_json_of_calls_round_trips() -> None:
    arguments = {"text": "a</b> <tool_cal \u2028 é", "n": [None, True, 1.5]}
    text = f"<tool_call>{json.dumps({'name': 'f', 'arguments': arguments}, ensure_ascii=False)}</tool_call>"

    assert read(list(text)) == [call("f", arguments)]
