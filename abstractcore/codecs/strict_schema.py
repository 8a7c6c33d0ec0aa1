"""JSON Schema as OpenAI's strict mode takes it.

Strict mode wants every object closed and every property required, and knows only some keywords:
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from abstractcore.codecs.json_text import as_object, is_array, is_object

_KEPT = frozenset({
    "type", "description", "enum", "const", "$ref", "required",
    "pattern", "format", "minItems", "maxItems",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
})  # fmt: skip
# They say nothing about which answers are valid.
_NOTES = frozenset({
    "title", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator",
    "$schema", "$id", "$comment",
})  # fmt: skip
_MAPS = ("properties", "$defs", "definitions")
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf"}
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


class _CannotBeStrictError(Exception):
    pass


def strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the strict form of *schema*, or None when it has none: then it is better sent as it is."""
    try:
        found = _strict(_with_its_root(schema))
    except (_CannotBeStrictError, RecursionError):
        return None
    return found if found.get("type") == "object" and "anyOf" not in found else None


def _with_its_root(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Put the definition that a schema begins with in its place: pydantic refers to a recursive model's."""
    definitions = as_object(schema.get("$defs"))
    root = definitions.get(str(schema.get("$ref")).removeprefix("#/$defs/"))
    return {**root, "$defs": definitions} if is_object(root) else dict(schema)


def _strict(schema: Any) -> dict[str, Any]:
    if not is_object(schema) or not (schema.keys() & {"type", "anyOf", "oneOf", "$ref", "enum", "const"}):
        raise _CannotBeStrictError  # an empty schema allows anything
    if "$ref" in schema:
        return _reference(schema)
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _MAPS and is_object(value):
            found[name] = {key: _strict(item) for key, item in value.items()}
        elif name in _LISTS and is_array(value):
            found[_LISTS[name]] = [_strict(item) for item in value]
        elif name == "items":
            found[name] = _strict(value)
        elif name in _KEPT:
            found[name] = value
        elif name not in _NOTES and (name, value) != ("additionalProperties", False):
            raise _CannotBeStrictError
    return _closed(found)


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Close an object and require all of it; an object that is open on purpose cannot be strict."""
    kinds: list[Any] = schema["type"] if is_array(schema.get("type")) else [schema.get("type")]
    if ("array" in kinds and "items" not in schema) or schema.get("format", "date") not in _FORMATS:
        raise _CannotBeStrictError
    if "object" not in kinds:
        return schema
    if "properties" not in schema:
        raise _CannotBeStrictError
    properties = cast("dict[str, Any]", schema["properties"])
    return {**schema, "required": list(properties), "additionalProperties": False}


def _reference(schema: dict[str, Any]) -> dict[str, Any]:
    """Strict mode takes nothing beside a $ref, so that its description goes round it."""
    if not schema.keys() <= _NOTES | {"$ref", "description"}:
        raise _CannotBeStrictError
    reference = {"$ref": schema["$ref"]}
    if "description" not in schema:
        return reference
    return {"anyOf": [reference], "description": schema["description"]}
