"""How each family of models writes tool calls: read the same wherever the text is cut."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.codecs.call_marks import CALL_MARKS
from abstractcore.codecs.text_marks import MARKS, TextMarks, _cannot_begin

from .test_text_marks import Found, call, cuts, read, says, thinks

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "exact": {"type": "boolean"},
        "limit": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "where": {"type": "object"},
        "unit": {"type": ["string", "null"]},
        "any": {},
    },
}
SCHEMAS = {"f": {"type": "object", "properties": {}}, "weather": WEATHER}
PARIS = call("weather", {"city": "Paris"})
PARIS_JSON = '{"name": "weather", "parameters": {"city": "Paris"}}'
ARGUMENTS = '{"name": "weather", "arguments": {"city": "Paris"}}'


def xml(**parameters: str) -> str:
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in parameters.items())
    return f"<function=weather>\n{inside}</function>"


CASES: dict[str, tuple[str, Found]] = {
    # Llama 3
    "Llama: a tag": (f"<|python_tag|>{PARIS_JSON}", [PARIS]),
    "Llama: text, then a tag": (f"I look.\n<|python_tag|>{PARIS_JSON}", [says("I look."), PARIS]),
    "Llama: two, with a semicolon": (
        f"<|python_tag|>{PARIS_JSON}; {PARIS_JSON}", [PARIS, call("weather", {"city": "Paris"}, 2)],
    ),
    "Llama: bare": (PARIS_JSON, [PARIS]),
    "Llama: bare, two": (f"{PARIS_JSON};{PARIS_JSON}", [PARIS, call("weather", {"city": "Paris"}, 2)]),
    "Llama: with a type": (
        '{"type": "function", "name": "weather", "parameters": {"city": "Paris"}}', [PARIS],
    ),
    "Llama: the name as the function": (
        '{"type": "function", "function": "weather", "parameters": {"city": "Paris"}}', [PARIS],
    ),
    "OpenAI's own shape": ('{"type": "function", "function": ' + ARGUMENTS + "}", [PARIS]),
    "Llama: its search is Python": (
        '<|python_tag|>brave_search.call(query="x")', [says('<|python_tag|>brave_search.call(query="x")')],
    ),
    # Mistral
    "Mistral: a list": (f"[TOOL_CALLS][{ARGUMENTS}]", [PARIS]),
    "Mistral: a space and an id": (
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Paris"}, "id": "abc"}]', [PARIS],
    ),
    "Mistral: two in a list": (
        f"[TOOL_CALLS][{ARGUMENTS}, {ARGUMENTS}]", [PARIS, call("weather", {"city": "Paris"}, 2)],
    ),
    "Mistral: a name": ('[TOOL_CALLS]weather[ARGS]{"city": "Paris"}', [PARIS]),
    "Mistral: an id": ('[TOOL_CALLS]weather[CALL_ID]a1b2c3[ARGS]{"city": "Paris"}', [PARIS]),
    "Mistral: no mark before the arguments": ('[TOOL_CALLS]weather{"city": "Paris"}', [PARIS]),
    "Mistral: two": (
        '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]f[ARGS]{}', [PARIS, call("f", {}, 2)],
    ),
    "Mistral: a mark in a string": (
        '[TOOL_CALLS]weather[ARGS]{"city": "[TOOL_CALLS]f[ARGS]{}"}',
        [call("weather", {"city": "[TOOL_CALLS]f[ARGS]{}"})],
    ),
    "Mistral: text before": ('I look.[TOOL_CALLS]f[ARGS]{}', [says("I look."), call("f")]),
    "Mistral: half a call": ('[TOOL_CALLS]f[ARGS]{"a"', [says('[TOOL_CALLS]f[ARGS]{"a"')]),
    "Mistral: words": ("[TOOL_CALLS] is a mark.", [says("[TOOL_CALLS] is a mark.")]),
    # Gemma
    "Gemma 4": ('<|tool_call>call:weather{city:<|"|>Paris<|"|>}<tool_call|>', [PARIS]),
    "Gemma 4: every kind": (
        '<|tool_call>call:weather{city:<|"|>a "b", {c}: d<|"|>,days:3,exact:true,limit:null,'
        'tags:[<|"|>x<|"|>,<|"|>y<|"|>],where:{lat:-1.5e3,<|"|>a key<|"|>:{}}}<tool_call|>',
        [call("weather", {
            "city": 'a "b", {c}: d', "days": 3, "exact": True, "limit": None, "tags": ["x", "y"],
            "where": {"lat": -1500.0, "a key": {}},
        })],
    ),
    "Gemma 4: two": (
        '<|tool_call>call:f{}<tool_call|><|tool_call>call:f{}<tool_call|>', [call(), call(number=2)],
    ),
    "Gemma 4: two in one": ("<|tool_call>call:f{}call:f{}<tool_call|>", [call(), call(number=2)]),
    "Gemma 4: no end": ("<|tool_call>call:f{}", [call()]),
    "FunctionGemma": (
        "<start_function_call>call:weather{city:<escape>Paris<escape>,days:3}<end_function_call>",
        [call("weather", {"city": "Paris", "days": 3})],
    ),
    "FunctionGemma: no quotes": (
        "<start_function_call>call:weather{city:Paris la Ville}<end_function_call>",
        [call("weather", {"city": "Paris la Ville"})],
    ),
    "Gemma: half a string": (
        "<start_function_call>call:f{a:<escape>b}<end_function_call>",
        [says("<start_function_call>call:f{a:<escape>b}<end_function_call>")],
    ),
    "Gemma 3: Python": ('```tool_code\nweather(city="Paris")\n```', [PARIS]),
    "Gemma 3: printed": ("```tool_code\nprint(weather(city='Paris'))\n```", [PARIS]),
    "Gemma 3: by place": (
        '```tool_code\nweather("Paris", 3)\n```', [call("weather", {"city": "Paris", "days": 3})],
    ),
    "Gemma 3: two lines": (
        '```tool_code\nweather(city="Paris")\nf()\n```', [PARIS, call("f", {}, 2)],
    ),
    "Gemma 3: text before": ('I look.\n```tool_code\nf()\n```', [says("I look."), call()]),
    "Gemma 3: JSON": (f"```json\n{PARIS_JSON}\n```", [PARIS]),
    "Gemma 3: a program": ("```tool_code\nx = f()\n```", [says("```tool_code\nx = f()\n```")]),
    "Gemma 3: no Python": ("```tool_code\nf(\n```", [says("```tool_code\nf(\n```")]),
    "four backticks": ("````tool_code\nf()\n````", [says("`"), call(), says("`")]),
    # LFM 2
    "LFM 2": (
        '<|tool_call_start|>[weather(city="Paris"), f()]<|tool_call_end|>', [PARIS, call("f", {}, 2)],
    ),
    "LFM 2: every kind": (
        "<|tool_call_start|>[weather(city='a\\\\d \\d', days=-3, exact=true, limit=None, tags=['x', \"y\"], "
        "where={'lat': 1.5, 'in': (1, null)})]<|tool_call_end|>",
        [call("weather", {
            "city": "a\\d \\d", "days": -3, "exact": True, "limit": None, "tags": ["x", "y"],
            "where": {"lat": 1.5, "in": [1, None]},
        })],
    ),
    # Qwen 3 Coder, Qwen 3.5
    "Qwen 3 Coder": (f"<tool_call>\n{xml(city='Paris')}\n</tool_call>", [PARIS]),
    "Qwen 3 Coder: every kind": (
        "<tool_call>\n" + xml(
            city="123", days="3", exact="True", limit="null", tags='["x"]', where='{"lat": 1}', unit="null",
            any="7",
        ) + "\n</tool_call>",
        [call("weather", {
            "city": "123", "days": 3, "exact": True, "limit": None, "tags": ["x"], "where": {"lat": 1},
            "unit": None, "any": "7",
        })],
    ),
    "Qwen 3 Coder: what is not of its type stays text": (
        f"<tool_call>{xml(days='three', exact='[', limit='NaN')}</tool_call>",
        [call("weather", {"days": "three", "exact": "[", "limit": "NaN"})],
    ),
    "Qwen 3 Coder: lines": (
        f"<tool_call>\n{xml(city=chr(10) + ' a' + chr(10) + 'b <c> ' + chr(10))}\n</tool_call>",
        [call("weather", {"city": "\n a\nb <c> \n"})],
    ),
    "Qwen 3 Coder: no arguments": ("<tool_call>\n<function=f>\n</function>\n</tool_call>", [call()]),
    "Qwen 3 Coder: two": (
        f"<tool_call>{xml(city='Paris')}</tool_call>\n<tool_call>\n<function=f></function>\n</tool_call>",
        [PARIS, call("f", {}, 2)],
    ),
    "Qwen 3 Coder: without the mark": (f"I look.\n{xml(city='Paris')}\n", [says("I look."), PARIS]),
    "Qwen 3 Coder: with the mark after": (
        f"{xml(city='Paris')}\n</tool_call>\nYes.", [PARIS, says("\nYes.")],
    ),
    "Qwen 3 Coder: without it": (f"{xml(city='Paris')}\n</tool_x> b", [PARIS, says("\n</tool_x> b")]),
    "Qwen 3 Coder: two without the mark": (
        f"{xml(city='Paris')}\n</tool_call>\n<function=f></function>", [PARIS, call("f", {}, 2)],
    ),
    "Qwen 3 Coder: half a parameter": (
        "<tool_call><function=f><parameter=a>b</function></tool_call>",
        [says("<tool_call><function=f><parameter=a>b</function></tool_call>")],
    ),
    "Qwen 3 Coder: more than parameters": (
        "<function=f>a</function>", [says("<function=f>a</function>")],
    ),
    # What only looks like one
    "links and code": (
        "See [T](a) and `x` and ``y`` [TOOL_] <fun> <|t> ```python\nf()\n```",
        [says("See [T](a) and `x` and ``y`` [TOOL_] <fun> <|t> ```python\nf()\n```")],
    ),
    "a list of words": ("[TOOL, [x]]", [says("[TOOL, [x]]")]),
    "data": ('[{"name": "Ann"}, {"name": "Bob"}]', [says('[{"name": "Ann"}, {"name": "Bob"}]')]),
    "a call and data": (f'{PARIS_JSON}; {{"a": 1}}', [says(f'{PARIS_JSON}; {{"a": 1}}')]),
    "in a thought": (
        f"<think>[TOOL_CALLS][{ARGUMENTS}]</think>x", [thinks(f"[TOOL_CALLS][{ARGUMENTS}]"), says("x")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), CASES.values(), ids=CASES.keys())
def test_each_familys_calls_are_read_wherever_they_are_cut(text: str, wanted: Found) -> None:
    for pieces in cuts(text):
        assert read(pieces, plain_json=True, schemas=SCHEMAS) == wanted, pieces


@pytest.mark.parametrize("text", [text for text, _ in CASES.values()], ids=CASES.keys())
def test_without_tools_nothing_is_a_call(text: str) -> None:
    """CONTRACT E5: text is no call unless tools were offered."""
    for pieces in cuts(text):
        assert "".join(said for _, said in read(pieces, tools=False, think=False)) == text


@pytest.mark.parametrize("row", CALL_MARKS, ids=lambda row: row.begin)
def test_the_marks_of_every_row_are_kept_by_tokenizers(row: Any) -> None:
    assert {row.begin, *row.inner} <= MARKS
    assert row.end is None or row.end in MARKS


@pytest.mark.parametrize("row", CALL_MARKS, ids=lambda row: row.begin)
def test_a_mark_is_no_part_of_another(row: Any) -> None:
    """Else the first that is found would depend on where the text is cut."""
    assert not [one.begin for one in CALL_MARKS if one is not row and row.begin in one.begin]
    assert not _cannot_begin(f"x{row.begin[0]}x")


def test_calls_of_rows_with_an_end_are_given_at_it() -> None:
    marks = TextMarks(think=False, tools=True, schemas=SCHEMAS)

    assert [chunk.phase for chunk in marks.feed("<|tool_call>call:f{}<tool_call|>")] == ["tool_calling"]


@pytest.mark.parametrize("text", ["a [", "a [TOOL_CALL", "a ``", "a <|", "a <function"])
def test_what_may_become_a_mark_is_held_back(text: str) -> None:
    marks = TextMarks(think=False, tools=True)

    assert [chunk.content for chunk in marks.feed(text)] == ["a"]
    assert "".join(chunk.content for chunk in marks.feed("!")) == text[1:] + "!"


ODD_PYTHON = [
    "f(**{})", "f(*[])", "f(a={1: 2})", "f(a={[1]})", "f(a=b'x')", "f(a=1j)", "f(a=1e999)", "f(a=x)", "f(1)",
    "[]", "", "(lambda: 0)()", "f()()", "f(a=g())", "import os",
    "f(a=" + "[" * 300 + "]" * 300 + ")", "f(\0)",
    "-" * 100_000 + "1", "f(a=" + "9" * 5_000 + ")", "f(a={**{}})", "f(a=...)",
]  # fmt: skip


@pytest.mark.parametrize("code", ODD_PYTHON, ids=lambda code: code[:20])
def test_python_that_is_no_call_is_text(code: str) -> None:
    text = f"```tool_code\n{code}\n```"

    assert read([text]) == [says(text)]


def test_half_of_a_surrogate_pair_never_leaves_a_reader() -> None:
    for text in [
        '<|python_tag|>{"name": "f", "parameters": {"a": "\\ud800"}}',
        '[TOOL_CALLS]f[ARGS]{"a": "\\ud800"}',
        '<|tool_call_start|>[f(a="\\ud800")]<|tool_call_end|>',
    ]:
        assert read([text]) == [call("f", {"a": "\ufffd"})]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"\w{1,5}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)


def as_json(arguments: dict[str, Any]) -> str:
    return f'<|python_tag|>{{"name": "f", "parameters": {json.dumps(arguments)}}}'


def as_mistral(arguments: dict[str, Any]) -> str:
    return f"[TOOL_CALLS]f[ARGS]{json.dumps(arguments, ensure_ascii=False)}"


def as_python(arguments: dict[str, Any]) -> str:
    keywords = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"<|tool_call_start|>[f({keywords})]<|tool_call_end|>"


def as_gemma(arguments: dict[str, Any]) -> str:
    return f"<|tool_call>call:f{gemma(arguments)}<tool_call|>"


def gemma(value: Any) -> str:
    if isinstance(value, str):
        return f'<|"|>{value}<|"|>'
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{gemma(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(gemma, value)) + "]"
    return json.dumps(value)


@pytest.mark.parametrize("write", [as_json, as_mistral, as_python, as_gemma])
@given(arguments=st.dictionaries(KEYS, VALUES, max_size=3), size=st.integers(1, 9))
def test_any_arguments_come_back(write: Any, arguments: dict[str, Any], size: int) -> None:
    try:
        text = write(arguments)
        compile(f"f({', '.join(f'{key}=0' for key in arguments)})", "", "eval")
    except SyntaxError:  # a keyword of Python is no name of an argument there
        return
    pieces = [text[at : at + size] for at in range(0, len(text), size)]

    assert read(pieces) == [call("f", arguments)]


BLOCKS = [text for text, _ in CASES.values()]
PIECES = st.sampled_from([
    *MARKS, *BLOCKS, "[", "`", "``", "<", "<|", "{", "}", '{"name": "f", "parameters": {}}', "call:f{}",
    "f()", "f[ARGS]{}", "f>",
    "<parameter=a>", "</parameter>", "```json", " ", "\n", ";", ",", "x", "世", " " * 300,
])  # fmt: skip


@given(
    st.lists(PIECES | st.text(max_size=5), max_size=8).map("".join),
    st.lists(st.integers(0, 400), max_size=10),
    st.booleans(),
    st.booleans(),
)
def test_any_cutting_gives_the_same_whole(
    text: str, places: list[int], opened: bool, plain_json: bool
) -> None:
    options = {"opened": opened, "plain_json": plain_json, "schemas": SCHEMAS}
    places = sorted(min(place, len(text)) for place in places)
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    wanted = read([text], **options)

    assert read(pieces, **options) == wanted
    assert read(list(text), **options) == wanted


@given(st.lists(PIECES | st.text(max_size=5), max_size=8).map("".join))
def test_no_text_is_lost_where_nothing_is_a_call(text: str) -> None:
    found = read([text], think=False)

    if all(phase == "generating" for phase, _ in found):
        assert "".join(said for _, said in found) == text


LONG = 300_000
REPEATED = [
    "[",
    "`",
    "[TOOL_CALLS]",
    "<function=",
    "<parameter=a>",
    "```",
    "<|tool_call>",
    '"',
    "\\",
    "call:f{",
]


@pytest.mark.parametrize(
    "before", ["", "<tool_call><function=f>", "```tool_code", "<|tool_call>", "[TOOL_CALLS]"]
)
@pytest.mark.parametrize("text", REPEATED)
def test_long_text_takes_linear_time(before: str, text: str) -> None:
    marks = TextMarks(think=False, tools=True, plain_json=True, schemas=SCHEMAS)
    text = (before + text * (LONG // len(text)))[:LONG]
    began = time.process_time()

    for at in range(0, len(text), 7):
        marks.feed(text[at : at + 7])
    marks.feed("</tool_call><tool_call|>```")
    marks.end()

    assert time.process_time() - began < 3
