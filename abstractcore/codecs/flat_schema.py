"""A tool's JSON Schema without references, for servers that read only a few keywords of it.

Ollama reads the parameters into fixed fields and drops the rest: of a property it keeps `type`,
`anyOf`, `items`, `description`, `enum`, `properties` and `required`, so that a `$ref`, a `oneOf` and
a `const` would leave nothing for the model to go by.
https://github.com/ollama/ollama/blob/main/api/types.go, `ToolProperty`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abstractcore.codecs.json_text import as_object, is_array, is_object

_DEFINITIONS = ("$defs", "definitions")
_MAPS = ("properties", "patternProperties")
_SCHEMAS = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "not", "additionalProperties"})
_MAX_REFERENCES = 1_000


def flat(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Give *schema* with each definition in the places that name it.

    A definition that holds itself is an open object where it comes round again.
    """
    try:
        return _Flattening(schema).root()
    except RecursionError:  # nobody can write it as JSON either
        return dict(schema)


class _Flattening:
    """The writing of one schema; so many references at most, since definitions can double at each step."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._definitions = {
            f"#/{place}/{name}": definition
            for place in _DEFINITIONS
            for name, definition in as_object(schema.get(place)).items()
        }
        self._references_left = _MAX_REFERENCES

    def root(self) -> dict[str, Any]:
        return self._flat({k: v for k, v in self._schema.items() if k not in _DEFINITIONS}, ())

    def _flat(self, schema: Any, inside: tuple[str, ...]) -> Any:
        if is_array(schema):
            return [self._flat(item, inside) for item in schema]
        if not is_object(schema):
            return schema
        reference = schema.get("$ref")
        if isinstance(reference, str) and is_object(self._definitions.get(reference)):
            return self._resolved(schema, reference, inside)
        return _renamed({name: self._inner(name, value, inside) for name, value in schema.items()})

    def _resolved(self, schema: dict[str, Any], reference: str, inside: tuple[str, ...]) -> Any:
        notes = {name: value for name, value in schema.items() if name != "$ref"}
        self._references_left -= 1
        if reference in inside or self._references_left < 0:
            return {"type": "object", **notes}
        return self._flat({**self._definitions[reference], **notes}, (*inside, reference))

    def _inner(self, name: str, value: Any, inside: tuple[str, ...]) -> Any:
        if name in _MAPS and is_object(value):
            return {key: self._flat(each, inside) for key, each in value.items()}
        return self._flat(value, inside) if name in _SCHEMAS else value


def _renamed(schema: dict[str, Any]) -> dict[str, Any]:
    """Say `oneOf` and `const` by the keywords that are read."""
    if "oneOf" in schema and "anyOf" not in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if "const" in schema and "enum" not in schema:
        schema["enum"] = [schema.pop("const")]
    return schema
