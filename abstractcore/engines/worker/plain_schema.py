"""Tells JSON Schemas that any grammar compiler takes from those that it may refuse.

Errs on the side of doubt: a schema that is not plain may still be a good one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_SCALARS = (str, int, float, bool, type(None))


def is_plain(text: str) -> bool:
    """Whether the schema in *text* has only types, properties, items, choices, and references to itself."""
    try:
        schema: Any = json.loads(text)
        definitions = schema.get("$defs", {}) if isinstance(schema, dict) else None
        return isinstance(definitions, dict) and _is_plain(
            schema, {f"#/$defs/{name}" for name in definitions}
        )
    except (ValueError, TypeError, RecursionError):
        return False


def _is_plain(schema: Any, references: set[str]) -> bool:
    if not isinstance(schema, dict) or not all(key in _KEYWORDS for key in schema):
        return False
    if not all(_KEYWORDS[key](value, references) for key, value in schema.items()):
        return False
    return set(schema.get("required", ())) <= set(schema.get("properties", ()))


def _anything(value: Any, references: set[str]) -> bool:
    return True


def _type(value: Any, references: set[str]) -> bool:
    return value in _TYPES


def _schemas(value: Any, references: set[str]) -> bool:
    return (
        isinstance(value, dict) and bool(value) and all(_is_plain(one, references) for one in value.values())
    )


def _choices(value: Any, references: set[str]) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_plain(one, references) for one in value)


def _schema_or_bool(value: Any, references: set[str]) -> bool:
    return isinstance(value, bool) or _is_plain(value, references)


def _names(value: Any, references: set[str]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _scalars(value: Any, references: set[str]) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, _SCALARS) for one in value)


def _scalar(value: Any, references: set[str]) -> bool:
    return isinstance(value, _SCALARS)


def _reference(value: Any, references: set[str]) -> bool:
    return isinstance(value, str) and value in references


_KEYWORDS: Mapping[str, Callable[[Any, set[str]], bool]] = {
    "type": _type,
    "title": _anything,
    "description": _anything,
    "default": _anything,
    "properties": _schemas,
    "required": _names,
    "additionalProperties": _schema_or_bool,
    "items": _is_plain,
    "anyOf": _choices,
    "enum": _scalars,
    "const": _scalar,
    "$ref": _reference,
    "$defs": _schemas,
}
