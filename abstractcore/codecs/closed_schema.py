"""JSON Schema as Anthropic's structured outputs take it.

They want every object closed, know few constraints and no recursion; optional properties are fine:
https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from abstractcore.codecs.json_text import as_object, is_array, is_object

_KEPT = frozenset({"type", "description", "$ref", "required"})
# They say nothing about which answers are valid.
_NOTES = frozenset({
    "title", "examples", "deprecated", "readOnly", "writeOnly", "discriminator", "$schema", "$id", "$comment",
})  # fmt: skip
_DEFINITIONS = ("$defs", "definitions")
_MAPS = ("properties", *_DEFINITIONS)
_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf"}
_FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
# What cannot be enforced, and can be said in the description: the answer is validated in any case.
_TOLD = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "pattern", "format", "minItems", "maxItems", "uniqueItems", "default",
})  # fmt: skip


class _CannotBeClosedError(Exception):
    pass


def closed(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the form of *schema* that can be enforced, or None when it has none."""
    try:
        found = _closed(dict(schema))
        list(TopologicalSorter(_references(found)).static_order())
    except (_CannotBeClosedError, CycleError, RecursionError):
        return None
    return found


def _closed(schema: Any) -> dict[str, Any]:
    if not is_object(schema) or not (schema.keys() & {"type", "anyOf", "oneOf", "$ref", "enum", "const"}):
        raise _CannotBeClosedError  # an empty schema allows anything
    found: dict[str, Any] = {}
    told: list[str] = []
    for name, value in schema.items():
        if name in _MAPS and is_object(value):
            found[name] = {key: _closed(item) for key, item in value.items()}
        elif name in _LISTS and is_array(value):
            found[_LISTS[name]] = [_closed(item) for item in value]
        elif name == "items":
            found[name] = _closed(value)
        elif name in _KEPT or _is_enforced(name, value):
            found[name] = value
        elif name in _TOLD:
            told.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
        elif name not in _NOTES and (name, value) != ("additionalProperties", False):
            raise _CannotBeClosedError
    return _finished(found, told)


def _is_enforced(name: str, value: Any) -> bool:
    if name == "enum":
        return is_array(value) and not any(is_object(item) or is_array(item) for item in value)
    if name == "const":
        return not (is_object(value) or is_array(value))
    return (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1))


def _finished(schema: dict[str, Any], told: list[str]) -> dict[str, Any]:
    if told:
        words = "{" + ", ".join(told) + "}"
        schema["description"] = "\n\n".join(filter(None, (schema.get("description"), words)))
    if "description" in schema and "$ref" in schema:  # nothing stands beside a $ref
        schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
    kinds: list[Any] = schema["type"] if is_array(schema.get("type")) else [schema.get("type")]
    if "object" not in kinds:
        return schema
    if "properties" not in schema:
        raise _CannotBeClosedError  # a dict of any keys; closed, it could only be empty
    return {**schema, "additionalProperties": False}


def _references(schema: dict[str, Any]) -> dict[str, set[str]]:
    """Give which definition refers to which."""
    root = {name: value for name, value in schema.items() if name not in _DEFINITIONS}
    found = {"#": set(_named(root))}
    for group in _DEFINITIONS:
        for name, definition in as_object(schema.get(group)).items():
            found[f"#/{group}/{name}"] = set(_named(definition))
    return found


def _named(schema: Any) -> Iterator[str]:
    if is_array(schema):
        for item in schema:
            yield from _named(item)
    elif is_object(schema):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for item in schema.values():
            yield from _named(item)
