"""The keywords of JSON Schema: of which values each speaks, and what it finds wrong with one.

Knows values and keywords. What a `$ref` leads to is the validator's to know.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

MOST_PROBLEMS = 10
_SHOWN_CHARACTERS = 200


class Follows(Protocol):
    """Checks a value by a schema."""

    def problems(self, at: At, schema: Any) -> Iterator[Problem]:
        """Say what is wrong with the value that stands *at* a place."""
        ...

    def target(self, reference: str) -> Any:
        """Give the schema that a `$ref` leads to."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where in the whole."""

    place: tuple[str | int, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.place))}: {self.text}" if self.place else self.text


@dataclass(frozen=True, slots=True)
class At:
    """A value, and the place where it stands in the whole."""

    validator: Follows
    value: Any
    place: tuple[str | int, ...] = ()

    def is_of(self, kinds: tuple[type, ...] | None) -> bool:
        """Whether the value is of one of *kinds*; None stands for all."""
        return kinds is None or (isinstance(self.value, kinds) and not isinstance(self.value, bool))

    def problem(self, text: str) -> Problem:
        """Say that something is wrong with the value itself."""
        return Problem(self.place, text)

    def under(self, schema: Any) -> Iterator[Problem]:
        """Check the same value by another schema."""
        return self.validator.problems(self, schema)

    def follows(self, schema: Any) -> bool:
        """Whether nothing is wrong with the value by another schema."""
        return next(self.under(schema), None) is None

    def inside(self, key: str | int, schema: Any) -> Iterator[Problem]:
        """Check what stands at *key* of the value."""
        return At(self.validator, self.value[key], (*self.place, key)).under(schema)


# ---- any value -------------------------------------------------------------------------------


def _type(at: At, _: Any, said: Any) -> Iterator[Problem]:
    names = [said] if isinstance(said, str) else said
    if not any(TYPES[name](at.value) for name in names):
        yield at.problem(f"expected JSON of type {' or '.join(names)}")


def _enum(at: At, _: Any, said: list[Any]) -> Iterator[Problem]:
    if _key(at.value) not in map(_key, said):
        yield at.problem(f"expected one of {shown(said)}")


def _const(at: At, _: Any, said: Any) -> Iterator[Problem]:
    if _key(at.value) != _key(said):
        yield at.problem(f"expected {shown(said)}")


def _ref(at: At, _: Any, said: str) -> Iterator[Problem]:
    return at.under(at.validator.target(said))


def _all_of(at: At, _: Any, said: list[Any]) -> Iterator[Problem]:
    for schema in said:
        yield from at.under(schema)


def _any_of(at: At, _: Any, said: list[Any]) -> Iterator[Problem]:
    found: list[list[Problem]] = []
    for schema in said:
        problems = list(islice(at.under(schema), MOST_PROBLEMS))
        if not problems:
            return
        found.append(problems)
    # The form that was meant is the one that is wrong only further inside.
    meant = [problems for problems in found if all(each.place != at.place for each in problems)]
    if len(meant) == 1:
        yield from meant[0]
    elif found:
        yield at.problem("fits none of these: " + " | ".join(str(problems[0]) for problems in found))


def _one_of(at: At, schema: Any, said: list[Any]) -> Iterator[Problem]:
    fitting = sum(at.follows(each) for each in said)
    if fitting > 1:
        yield at.problem(f"fits {fitting} forms of which it may fit one")
    elif fitting == 0:
        yield from _any_of(at, schema, said)


def _not(at: At, _: Any, said: Any) -> Iterator[Problem]:
    if at.follows(said):
        yield at.problem("is what it must not be")


def _if(at: At, schema: Any, said: Any) -> Iterator[Problem]:
    return at.under(schema.get("then" if at.follows(said) else "else", True))


# ---- numbers, texts, and how long something is -----------------------------------------------


def _bound(
    compare: Callable[[Any, Any], bool], words: str, draft_4: str | None = None
) -> Callable[[At, Any, Any], Iterator[Problem]]:
    def check(at: At, schema: Any, said: Any) -> Iterator[Problem]:
        limit = schema.get(draft_4) if said is True else said  # the exclusive bounds of draft 4
        size = at.value if at.is_of((int, float)) else len(at.value)
        if type(limit) is not bool and limit is not None and not compare(size, limit):
            yield at.problem(words.format(limit))

    return check


def _multiple_of(at: At, _: Any, said: float) -> Iterator[Problem]:
    if Fraction(str(at.value)) % Fraction(str(said)):  # as they are written: 0.3 is three times 0.1
        yield at.problem(f"is no multiple of {said}")


def _pattern(at: At, _: Any, said: str) -> Iterator[Problem]:
    if not _matches(said, at.value):
        yield at.problem(f"does not match the pattern {said}")


def _matches(pattern: str, text: str) -> bool:
    from pydantic_core import ValidationError

    reader = _reader(pattern)
    try:
        if reader is not None:
            reader.validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _reader(pattern: str) -> Any:
    """Give what reads *pattern*: Rust's engine, which no text can slow down, else Python's, else nothing."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    for engine in ("rust-regex", "python-re"):
        try:
            return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine=engine))
        except SchemaError:
            continue
    return None


# ---- arrays ----------------------------------------------------------------------------------


def _items(at: At, schema: Any, said: Any) -> Iterator[Problem]:
    if isinstance(said, list):  # as prefixItems, until draft 2019-09
        yield from _prefix_items(at, schema, said)
        yield from _rest(at, len(said), schema.get("additionalItems", True))
    else:
        yield from _rest(at, len(schema.get("prefixItems", ())), said)


def _prefix_items(at: At, _: Any, said: list[Any]) -> Iterator[Problem]:
    for index, schema in enumerate(said[: len(at.value)]):
        yield from at.inside(index, schema)


def _rest(at: At, begin: int, schema: Any) -> Iterator[Problem]:
    for index in range(begin, len(at.value)):
        yield from at.inside(index, schema)


def _contains(at: At, schema: Any, said: Any) -> Iterator[Problem]:
    count = sum(next(at.inside(index, said), None) is None for index in range(len(at.value)))
    if count < schema.get("minContains", 1):
        yield at.problem(f"has too few items of the form that {schema.get('minContains', 1)} must have")
    if count > schema.get("maxContains", count):
        yield at.problem(f"has too many items of the form that {schema['maxContains']} may have")


def _unique_items(at: At, _: Any, said: bool) -> Iterator[Problem]:
    if said and len(set(map(_key, at.value))) < len(at.value):
        yield at.problem("has the same item twice")


# ---- objects ---------------------------------------------------------------------------------


def _required(at: At, _: Any, said: list[str]) -> Iterator[Problem]:
    for name in said:
        if name not in at.value:
            yield Problem((*at.place, name), "is required")


def _properties(at: At, _: Any, said: dict[str, Any]) -> Iterator[Problem]:
    for name, schema in said.items():
        if name in at.value:
            yield from at.inside(name, schema)


def _pattern_properties(at: At, _: Any, said: dict[str, Any]) -> Iterator[Problem]:
    for pattern, schema in said.items():
        for name in at.value:
            if _matches(pattern, name):
                yield from at.inside(name, schema)


def _additional_properties(at: At, schema: Any, said: Any) -> Iterator[Problem]:
    known, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
    for name in at.value:
        if name not in known and not any(_matches(pattern, name) for pattern in patterns):
            if said is False:
                yield Problem((*at.place, name), "is no property here")
            else:
                yield from at.inside(name, said)


def _property_names(at: At, _: Any, said: Any) -> Iterator[Problem]:
    for name in at.value:
        for found in At(at.validator, name).under(said):
            yield Problem((*at.place, name), f"as a name: {found.text}")


def _dependent(at: At, _: Any, said: dict[str, Any]) -> Iterator[Problem]:
    for name, needed in said.items():
        if name in at.value:
            yield from _required(at, None, needed) if isinstance(needed, list) else at.under(needed)


# ---- what values are -------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    """Whether this is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    """Whether this is a whole number, as 1.0 is too."""
    return is_number(value) and (isinstance(value, int) or value.is_integer())


def _key(value: Any) -> Any:
    """Give what is equal for equal JSON: 1 is 1.0 and not true."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(_key, value))
    if isinstance(value, dict):
        return ("object", frozenset((name, _key(each)) for name, each in value.items()))
    return value


def shown(value: Any) -> str:
    """Write a part of a schema as JSON, and no more than the beginning of a long one."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": is_integer,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_NUMBER, _STRING, _ARRAY, _OBJECT = (int, float), (str,), (list,), (dict,)
# Of which values a keyword speaks (None: of all), and how it is checked.
CHECKS: dict[str, tuple[tuple[type, ...] | None, Callable[[At, Any, Any], Iterable[Problem]]]] = {
    "type": (None, _type),
    "enum": (None, _enum),
    "const": (None, _const),
    "$ref": (None, _ref),
    "allOf": (None, _all_of),
    "anyOf": (None, _any_of),
    "oneOf": (None, _one_of),
    "not": (None, _not),
    "if": (None, _if),
    "minimum": (_NUMBER, _bound(operator.ge, "is less than {}")),
    "maximum": (_NUMBER, _bound(operator.le, "is more than {}")),
    "exclusiveMinimum": (_NUMBER, _bound(operator.gt, "is not more than {}", "minimum")),
    "exclusiveMaximum": (_NUMBER, _bound(operator.lt, "is not less than {}", "maximum")),
    "multipleOf": (_NUMBER, _multiple_of),
    "minLength": (_STRING, _bound(operator.ge, "has fewer than {} characters")),
    "maxLength": (_STRING, _bound(operator.le, "has more than {} characters")),
    "pattern": (_STRING, _pattern),
    "minItems": (_ARRAY, _bound(operator.ge, "has fewer than {} items")),
    "maxItems": (_ARRAY, _bound(operator.le, "has more than {} items")),
    "uniqueItems": (_ARRAY, _unique_items),
    "prefixItems": (_ARRAY, _prefix_items),
    "items": (_ARRAY, _items),
    "contains": (_ARRAY, _contains),
    "minProperties": (_OBJECT, _bound(operator.ge, "has fewer than {} properties")),
    "maxProperties": (_OBJECT, _bound(operator.le, "has more than {} properties")),
    "required": (_OBJECT, _required),
    "properties": (_OBJECT, _properties),
    "patternProperties": (_OBJECT, _pattern_properties),
    "additionalProperties": (_OBJECT, _additional_properties),
    "propertyNames": (_OBJECT, _property_names),
    "dependentRequired": (_OBJECT, _dependent),
    "dependentSchemas": (_OBJECT, _dependent),
    "dependencies": (_OBJECT, _dependent),
}
