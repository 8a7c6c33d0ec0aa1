"""Structured output: the JSON Schema of a type, and its value out of the model's words.

A type is anything that pydantic reads: a model, a dataclass, a TypedDict, `list[Model]`, an
Enum. A plain dict is taken as a JSON Schema itself; an answer to it is checked for being JSON
of the right top type, no further.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from abstractcore.errors import ConfigurationError, StructuredOutputError
from abstractcore.tools import hints, strict_json
from abstractcore.types import OutputSchema

_MAX_LAST_TEXT = 2_000
_WRAPPED = "value"


def output_schema(response_model: Any) -> OutputSchema:
    """Write the schema that the answer must follow.

    Providers want an object at the root, so that another type is asked for as the one
    property `value` of an object; `parse_output` takes it out again. Raises
    ConfigurationError for what is no type and no schema.
    """
    schema = _schema(response_model)
    name = response_model.__name__ if isinstance(response_model, type) else "answer"
    return OutputSchema(
        _wire_name(schema.get("title") or name), schema if _is_object(schema) else _wrapped(schema)
    )


def parse_output(response_model: Any, text: str) -> Any:
    """Read the model's answer as a *response_model*.

    The answer is JSON, bare or in a Markdown fence; words around it are passed over only
    when there is a fence. Raises StructuredOutputError with a short *last_text* and a
    *validation_error* that can be given back to the model.
    """
    value, problem = _read_json(text)
    if problem is None:
        value, problem = _validate(response_model, value)
    if problem is not None:
        raise StructuredOutputError(
            f"The answer does not follow the schema: {problem}",
            last_text=_shown(text),
            validation_error=problem,
        )
    return value


# ---- the schema ------------------------------------------------------------------------------


def _schema(response_model: Any) -> dict[str, Any]:
    if not isinstance(response_model, Mapping):
        return hints.json_schema(_adapter(response_model))
    try:
        return strict_json.plain(response_model)
    except ValueError as failure:
        raise ConfigurationError(f"response_model: the JSON Schema is not JSON: {failure}.") from failure


def _adapter(response_model: Any) -> Any:
    # A function has an adapter too, which would call it; a text is a name that nobody can look up.
    if response_model is None or isinstance(response_model, str) or hasattr(response_model, "__code__"):
        raise ConfigurationError(
            f"response_model is a type or a JSON Schema, not {type(response_model).__name__}."
        )
    return hints.adapter(response_model)


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    inner = {key: value for key, value in schema.items() if key not in ("$defs", "definitions", "$schema")}
    hoisted = {key: value for key, value in schema.items() if key in ("$defs", "definitions")}
    return {
        "type": "object",
        "properties": {_WRAPPED: inner},
        "required": [_WRAPPED],
        "additionalProperties": False,
        **hoisted,
    }


def _wire_name(name: Any) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", str(name))[:64] or "answer"


# ---- the answer ------------------------------------------------------------------------------


def _read_json(text: str) -> tuple[Any, str | None]:
    """Give the first candidate that is JSON, or what is wrong with the most likely one."""
    problem = None
    for candidate in _candidates(text.strip().removeprefix("\ufeff")):
        try:
            return strict_json.loads(candidate), None
        except ValueError as failure:
            problem = f"not JSON: {failure}"
    return None, problem


def _candidates(text: str) -> Iterator[str]:
    yield text
    _, fence, rest = text.partition("```")
    if fence:
        body = re.sub(r"\A[a-zA-Z0-9]*[ \t]*\r?\n?", "", rest)
        yield body.partition("```")[0]
        yield body.rpartition("```")[0] or body  # a string inside the JSON may hold a fence itself


def _validate(response_model: Any, value: Any) -> tuple[Any, str | None]:
    """Validate *value*, and first what stands in it as the one property of a wrapping object."""
    validate = _check_top_type if isinstance(response_model, Mapping) else _validate_type
    wrapped = isinstance(value, dict) and cast("dict[str, Any]", value).keys() == {_WRAPPED}
    if not wrapped or _is_object(_schema(response_model)):
        return validate(response_model, value)
    inner, inner_problem = validate(response_model, value[_WRAPPED])
    if inner_problem is None:
        return inner, None
    bare, problem = validate(response_model, value)
    return bare, problem and inner_problem


def _validate_type(response_model: Any, value: Any) -> tuple[Any, str | None]:
    # As JSON, since there strict types still take a date or an Enum from its text.
    adapter = _adapter(response_model)
    try:
        return adapter.validate_json(json.dumps(value)), None
    except Exception as failure:  # noqa: BLE001  a user's validator may raise anything; the caller raises
        return None, hints.describe(failure)


def _check_top_type(schema: Mapping[str, Any], value: Any) -> tuple[Any, str | None]:
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if not names or any(isinstance(value, _TYPES.get(name, object)) and _fits(value, name) for name in names):
        return value, None
    return None, f"expected JSON of type {' or '.join(map(str, names))}"


def _fits(value: Any, name: str) -> bool:
    return name == "boolean" or not isinstance(value, bool)


def _shown(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _MAX_LAST_TEXT else text[:_MAX_LAST_TEXT] + "…"


_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
