"""Structured output: the JSON Schema of a type, and its value out of the model's words.

A type is anything that pydantic reads: a model, a dataclass, a TypedDict, `list[Model]`, an
Enum. A plain dict is taken as a JSON Schema itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from abstractcore.errors import ConfigurationError, StructuredOutputError
from abstractcore.tools import hints, strict_json
from abstractcore.types import OutputSchema

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from abstractcore.generation.json_schema import Validator

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
        plain = strict_json.plain(response_model)
    except ValueError as failure:
        raise ConfigurationError(f"response_model: the JSON Schema is not JSON: {failure}.") from failure
    _validator(plain)
    return plain


def _validator(schema: dict[str, Any]) -> Validator:
    from abstractcore.generation.json_schema import Validator

    try:
        return Validator(schema)
    except ValueError as failure:
        raise ConfigurationError(f"response_model: this is no JSON Schema: {failure}.") from failure


def _adapter(response_model: Any) -> TypeAdapter[Any]:
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
    if isinstance(response_model, Mapping):
        validate = partial(_check, _validator(strict_json.plain(response_model)))
    else:
        validate = partial(_validate_type, _adapter(response_model))
    wrapped = isinstance(value, dict) and cast("dict[str, Any]", value).keys() == {_WRAPPED}
    if not wrapped or _is_object(_schema(response_model)):
        return validate(value)
    inner, inner_problem = validate(value[_WRAPPED])
    if inner_problem is None:
        return inner, None
    bare, problem = validate(value)
    return bare, problem and inner_problem


def _validate_type(adapter: TypeAdapter[Any], value: Any) -> tuple[Any, str | None]:
    # As JSON, since there strict types still take a date or an Enum from its text.
    try:
        return adapter.validate_json(json.dumps(value)), None
    except Exception as failure:  # noqa: BLE001  a user's validator may raise anything; the caller raises
        return None, hints.describe(failure)


def _check(validator: Validator, value: Any) -> tuple[Any, str | None]:
    try:
        return value, validator.problem(value)
    except RecursionError:
        return None, "it is nested too deeply"


def _shown(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _MAX_LAST_TEXT else text[:_MAX_LAST_TEXT] + "…"
