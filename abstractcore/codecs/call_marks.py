"""How models write tool calls in their text: a row for each family's marks, and what stands between them.

Knows what is between two marks, whole. Knows no stream: `text_marks` finds the marks.

Each reader gives the calls in a block, and raises ValueError when it holds anything else: text that
only looks like calls stays text.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from abstractcore.codecs.json_text import as_array, as_object, clean, is_array, is_object, parse_at
from abstractcore.codecs.tool_call_parts import read_arguments
from abstractcore.types import ToolCall

Tools = Mapping[str, Mapping[str, Any]]
"""The tools that were offered: the JSON Schema of each one's arguments, by its name."""


@dataclass(frozen=True, slots=True)
class CallMark:
    """The marks round a block of calls. Without an *end* it lasts to the end of the answer.

    *inner* are marks inside, which are special tokens of the model as the outer ones are. A *stray* mark
    right after the block belongs to it.
    """

    begin: str
    end: str | None
    read: Callable[[str, Tools], list[ToolCall]]
    inner: tuple[str, ...] = ()
    stray: str = ""


# ---- JSON: Hermes, Qwen, Llama, Mistral ----


def json_calls(text: str, *, needs_arguments: bool = False) -> list[ToolCall]:
    """Read calls as JSON: one, several with a separator, or a list; under `tool_calls`, as some are told to.

    With *needs_arguments* an object is a call only if it has an object of arguments.
    """
    values: list[Any] = []
    at = 0
    while (at := _skip(text, at)) < len(text):
        value, at = parse_at(text, at)
        value = value.get("tool_calls", value) if is_object(value) else value
        values += value if is_array(value) else [value]
    return _some([_json_call(value, needs_arguments=needs_arguments) for value in values])


_SEPARATORS = re.compile(r"[\s,;]*")


def _skip(text: str, at: int) -> int:
    match = _SEPARATORS.match(text, at)
    return match.end() if match else at


def _some(calls: list[ToolCall]) -> list[ToolCall]:
    if not calls:
        raise ValueError("no call")
    return calls


def _json_call(value: Any, *, needs_arguments: bool) -> ToolCall:
    value = as_object(value)
    # {"type": "function", "function": {…}} as in OpenAI's messages, or with the name alone.
    function = value.get("function")
    value = function if is_object(function) else {"name": function, **value}
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters"))
    if not isinstance(name, str) or (needs_arguments and not is_object(arguments)):
        raise ValueError("not a call")
    if is_object(arguments):
        return ToolCall("", name, arguments)
    if isinstance(arguments, str):
        return ToolCall("", name, *read_arguments(arguments))
    return ToolCall("", name, {}, None if arguments is None else str(arguments))


def _json(text: str, tools: Tools) -> list[ToolCall]:
    return json_calls(text)


_HEADER = re.compile(
    r"\s*(?:\[TOOL_CALLS\]\s*)?([\w.-]+)\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\]\s*)?(?=\{)"
)


def _mistral(text: str, tools: Tools) -> list[ToolCall]:
    """Read a list of JSON, or from the eleventh tokenizer on `name[ARGS]{…}`, mark and all again for each."""
    return json_calls(text) if text.lstrip()[:1] in ("[", "{") else _headed(_HEADER, text)


def _headed(header: re.Pattern[str], text: str) -> list[ToolCall]:
    """Read calls whose name stands before their arguments' JSON."""
    calls: list[ToolCall] = []
    at = 0
    while match := header.match(text, at):
        arguments, at = parse_at(text, match.end())
        calls.append(ToolCall("", match[1], as_object(arguments)))
    if text[at:].strip():
        raise ValueError("more than calls")
    return _some(calls)


# ---- almost JSON: Gemma ----

_GEMMA_HEADER = re.compile(r'[\s,]*"call":\s*"([\w.-]+)"\s*(?=\{)')
_GEMMA_WORD = re.compile(r'"[^"]*"|[^\s{}\[\],:"][^{}\[\],:"]*')
_SCALAR = re.compile(r"true|false|null|-?\d+(\.\d+)?([eE][+-]?\d+)?")


def _gemma(quote: str) -> Callable[[str, Tools], list[ToolCall]]:
    """Read `call:name{key:value}`: JSON, but for keys without quotes and strings between *quote*."""

    def written(match: re.Match[str]) -> str:
        word = match[0].strip()
        is_key = match.string[match.end() : match.end() + 1] == ":"
        is_json = word.startswith('"') or (_SCALAR.fullmatch(word) and not is_key)
        return word if is_json else json.dumps(word)

    def read(text: str, tools: Tools) -> list[ToolCall]:
        pieces = text.split(quote)
        if len(pieces) % 2 == 0:
            raise ValueError("a string has no end")
        pieces[::2] = [_GEMMA_WORD.sub(written, piece) for piece in pieces[::2]]
        pieces[1::2] = [json.dumps(piece) for piece in pieces[1::2]]
        return _headed(_GEMMA_HEADER, "".join(pieces))

    return read


# ---- XML: Qwen 3 Coder, Qwen 3.5 ----

_FUNCTION, _END_FUNCTION = "<function=", "</function>"
_PARAMETER, _END_PARAMETER = "<parameter=", "</parameter>"
_XML_NAME = re.compile(r"\s*([^\s<>]+)\s*>")


def _json_or_xml(text: str, tools: Tools) -> list[ToolCall]:
    if not text.lstrip().startswith(_FUNCTION):
        return json_calls(text)
    before, *functions = text.split(_FUNCTION)
    if before.strip():
        raise ValueError("more than calls")
    return [_xml_call(function, tools) for function in functions]


def _xml(text: str, tools: Tools) -> list[ToolCall]:
    return [_xml_call(text, tools)]


def _xml_call(text: str, tools: Tools) -> ToolCall:
    """Read what follows `<function=`: its name, then its parameters."""
    head, *parameters = text.strip().removesuffix(_END_FUNCTION).split(_PARAMETER)
    name, rest = _xml_name(head)
    properties = as_object(as_object(tools.get(name)).get("properties"))
    arguments: dict[str, Any] = {}
    for parameter in parameters:
        key, value = _xml_name(parameter)
        value, is_found, after = value.partition(_END_PARAMETER)
        rest += after if is_found else "?"
        arguments[key] = _typed(value.removeprefix("\n").removesuffix("\n"), properties.get(key))
    if rest.strip():
        raise ValueError("more than parameters")
    return ToolCall("", name, arguments)


def _xml_name(text: str) -> tuple[str, str]:
    match = _XML_NAME.match(text)
    if match is None:
        raise ValueError("no name")
    return match[1], text[match.end() :]


def _typed(text: str, schema: Any) -> Any:
    """Give a value that was written without quotes: text, unless its schema says otherwise."""
    kinds = _kinds(schema)
    if "null" in kinds and text.strip().lower() == "null":
        return None
    if "string" in kinds or not kinds:
        return text
    written = text.strip()
    written = written.lower() if written in ("True", "False") else written
    try:
        value, end = parse_at(written, 0)
    except (ValueError, RecursionError):
        return text
    is_odd = (
        value is None or isinstance(value, str) or (isinstance(value, float) and not math.isfinite(value))
    )
    return text if is_odd or end < len(written) else value


def _kinds(schema: Any) -> set[str]:
    schema = as_object(schema)
    kind = schema.get("type")
    kinds = {kind} if isinstance(kind, str) else {one for one in as_array(kind) if isinstance(one, str)}
    for choice in (*as_array(schema.get("anyOf")), *as_array(schema.get("oneOf"))):
        kinds |= _kinds(choice)
    return kinds


# ---- Python: Gemma 2 and 3, LFM 2 ----

_PYTHON_NAMES = {"true": True, "false": False, "null": None}
# A backslash before anything else is itself to Python too, but Python warns of it.
_STRAY_BACKSLASH = re.compile(r"(\\[\\'\"abfnrtvxuUN0-7\n])|\\")


def _python(text: str, tools: Tools) -> list[ToolCall]:
    """Read `name(key=value)`, a list of them, or one on each line; it may be printed."""
    try:
        tree = ast.parse(_STRAY_BACKSLASH.sub(lambda match: match[1] or r"\\", text.strip()))
    except (SyntaxError, MemoryError) as failure:
        raise ValueError("not Python") from failure
    nodes: list[ast.expr] = []
    for statement in tree.body:
        if not isinstance(statement, ast.Expr):
            raise ValueError("not a call")
        nodes += statement.value.elts if isinstance(statement.value, ast.List) else [statement.value]
    return _some([_python_call(node, tools) for node in nodes])


def _python_call(node: ast.expr, tools: Tools) -> ToolCall:
    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    name = ast.unparse(node.func)
    if name == "print" and name not in tools and len(node.args) == 1:
        return _python_call(node.args[0], tools)
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        raise ValueError("not a name")
    keys = list(as_object(as_object(tools.get(name)).get("properties")))
    if len(node.args) > len(keys):
        raise ValueError("an argument has no name")
    arguments = dict(zip(keys, map(_literal, node.args), strict=False))
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError("an argument has no name")
        arguments[keyword.arg] = _literal(keyword.value)
    return ToolCall("", name, clean(arguments))


def _literal(node: ast.expr) -> Any:
    """Give what JSON can say of a Python literal; JSON's own names are read too."""
    if isinstance(node, ast.Name) and node.id in _PYTHON_NAMES:
        return _PYTHON_NAMES[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _literal(key) for key in node.keys]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a key is no string")
        return dict(zip(cast("list[str]", keys), map(_literal, node.values), strict=True))
    try:
        value: Any = ast.literal_eval(node)
    except TypeError as failure:  # a set of lists
        raise ValueError("not JSON") from failure
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a number")
    if not isinstance(value, str | int | float | None):
        raise ValueError("not JSON")
    return value


CALL_MARKS = (
    CallMark("<tool_call>", "</tool_call>", _json_or_xml),  # Hermes, Qwen
    # Qwen 3 Coder, when it forgets the mark before, but not the one after.
    CallMark(_FUNCTION, _END_FUNCTION, _xml, stray="</tool_call>"),
    CallMark("<|python_tag|>", None, _json),  # Llama 3
    CallMark("[TOOL_CALLS]", None, _mistral, ("[ARGS]", "[CALL_ID]")),
    CallMark("<start_function_call>", "<end_function_call>", _gemma("<escape>"), ("<escape>",)),
    CallMark("<|tool_call>", "<tool_call|>", _gemma('<|"|>'), ('<|"|>',)),  # Gemma 4
    CallMark("<|tool_call_start|>", "<|tool_call_end|>", _python),  # LFM 2
    CallMark("```tool_code", "```", _python),  # Gemma 2 and 3
)
"""No mark is the beginning of another, or stands inside it."""
