"""Whether a JSON value follows a JSON Schema: draft 2020-12, and drafts 4 to 7 where they say it otherwise.

Reads every keyword that says which values are valid, but `unevaluatedProperties`, `unevaluatedItems`
and `$dynamicRef`; those, `format` and whatever it does not know are passed over, as the specification
has it. Opens no address: a `$ref` leads to a place in the schema itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote

from abstractcore.generation.schema_checks import (
    CHECKS,
    MOST_PROBLEMS,
    TYPES,
    At,
    Problem,
    is_integer,
    is_number,
    shown,
)

_CHARACTERS = 1_000


class Validator:
    """A schema that has been looked through. Raises ValueError for what is no JSON Schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = dict(schema)
        self._named: dict[str, Any] = {"": self._root}
        self._targets: dict[str, Any] = {}
        self._look_through(self._root)
        try:
            self.problem(None)
        except RecursionError:
            raise ValueError("a $ref leads to itself") from None

    def problem(self, value: Any) -> str | None:
        """Say in a few words what is wrong with *value*, and where; None when it follows the schema."""
        found = islice(self.problems(At(self, value), self._root), MOST_PROBLEMS)
        text = "; ".join(map(str, found))
        return (text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…") or None

    def problems(self, at: At, schema: Any) -> Iterator[Problem]:
        """Check the value that stands *at* a place."""
        if schema is False:
            yield at.problem("nothing may stand here")
        elif schema is not True:
            for keyword in schema:
                if keyword in CHECKS and at.is_of(CHECKS[keyword][0]):
                    yield from CHECKS[keyword][1](at, schema, schema[keyword])

    def target(self, reference: str) -> Any:
        """Give the schema that a `$ref` leads to."""
        return self._targets[reference]

    def _look_through(self, root: dict[str, Any]) -> None:
        """See that each keyword says what it can say, and find what every `$ref` leads to."""
        seen: set[int] = set()
        new: dict[str, Any] = {"": root}
        while new:
            self._targets.update(new)
            references = self._references(list(new.values()), seen)
            new = {each: self._resolved(each) for each in references if each not in self._targets}

    def _references(self, parts: list[Any], seen: set[int]) -> list[str]:
        """Give each `$ref` in *parts* and in all that they hold, once every name in them is known."""
        references: list[str] = []
        while parts:
            part = parts.pop()
            if isinstance(part, dict) and id(part) not in seen:
                seen.add(id(part))
                _check_shapes(part)
                self._take_names(part)
                references += [part["$ref"]] if "$ref" in part else []
                parts += _parts(part)
        return references

    def _take_names(self, schema: dict[str, Any]) -> None:
        for name in (schema.get("$id"), schema.get("id")):  # `id` in draft 4; else it may be anything
            if isinstance(name, str):
                self._named.setdefault(name.removesuffix("#"), schema)
        if isinstance(schema.get("$anchor"), str):
            self._named.setdefault("#" + schema["$anchor"], schema)

    def _resolved(self, reference: str) -> Any:
        base, _, pointer = reference.partition("#")
        found: Any = self._named.get(reference.removesuffix("#"), self._named.get(base))
        if reference.removesuffix("#") in self._named:
            return found
        if found is None or not pointer.startswith("/"):
            raise ValueError(f"the $ref {reference!r} leads to nothing in this schema")
        for step in pointer[1:].split("/"):
            found = _child(found, unquote(step).replace("~1", "/").replace("~0", "~"))
        if not _is_schema(found):
            raise ValueError(f"the $ref {reference!r} leads to no schema")
        return found


def _child(parent: Any, step: str) -> Any:
    if isinstance(parent, list):
        return parent[int(step)] if step.isdecimal() and int(step) < len(parent) else None
    return parent.get(step) if isinstance(parent, dict) else None


# ---- what a schema is -------------------------------------------------------------------------


def _parts(schema: dict[str, Any]) -> Iterator[Any]:
    """Give the schemas inside *schema*."""
    for keyword, said in schema.items():
        shape = _SHAPES.get(keyword)
        if shape in (_schemas, _schema_or_schemas) and isinstance(said, list):
            yield from said
        elif shape in (_map, _map_of_needs):
            yield from (each for each in said.values() if not isinstance(each, list))
        elif shape in (_is_schema, _schema_or_schemas):
            yield said


def _check_shapes(schema: dict[str, Any]) -> None:
    for keyword, said in schema.items():
        if keyword in _SHAPES and not _SHAPES[keyword](said):
            raise ValueError(f"{keyword!r} cannot be {shown(said)}")


def _is_schema(said: Any) -> bool:
    return isinstance(said, (dict, bool))


def _schemas(said: Any) -> bool:
    return isinstance(said, list) and all(map(_is_schema, said))


def _schema_or_schemas(said: Any) -> bool:
    return _is_schema(said) or _schemas(said)


def _map(said: Any) -> bool:
    return isinstance(said, dict) and all(map(_is_schema, said.values()))


def _texts(said: Any) -> bool:
    return isinstance(said, list) and all(isinstance(each, str) for each in said)


def _map_of_needs(said: Any) -> bool:
    return isinstance(said, dict) and all(_is_schema(each) or _texts(each) for each in said.values())


def _is_type(said: Any) -> bool:
    return said in TYPES if isinstance(said, str) else _texts(said) and all(each in TYPES for each in said)


def _is_count(said: Any) -> bool:
    return is_integer(said) and said >= 0


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": lambda said: isinstance(said, list),
    "$ref": lambda said: isinstance(said, str),
    "pattern": lambda said: isinstance(said, str),
    "required": _texts,
    "uniqueItems": lambda said: isinstance(said, bool),
    "multipleOf": lambda said: is_number(said) and said > 0,
    **dict.fromkeys(("minimum", "maximum"), is_number),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), lambda said: isinstance(said, (int, float))),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minContains", "maxContains", "minProperties", "maxProperties"), _is_count),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _schemas),
    **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames"), _is_schema),
    **dict.fromkeys(("additionalItems", "additionalProperties"), _is_schema),
    "items": _schema_or_schemas,
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions"), _map),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), _map_of_needs),
}
