"""A schema without references says what it said with them, as far as a tree can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abstractcore.codecs.flat_schema import flat

CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def of(schema: Any, **definitions: Any) -> Any:
    return flat({"type": "object", "properties": {"a": schema}, "$defs": definitions})["properties"]["a"]


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"$ref": "#/$defs/City"}, CITY),
        ({"$ref": "#/$defs/City", "description": "Where."}, {**CITY, "description": "Where."}),
        ({"type": "array", "items": {"$ref": "#/$defs/City"}}, {"type": "array", "items": CITY}),
        (
            {"anyOf": [{"$ref": "#/$defs/City"}, {"type": "null"}], "default": None},
            {"anyOf": [CITY, {"type": "null"}], "default": None},
        ),
        ({"oneOf": [{"$ref": "#/$defs/City"}, {"const": 1}]}, {"anyOf": [CITY, {"enum": [1]}]}),
        ({"$ref": "#/$defs/Trip"}, {"type": "object", "properties": {"to": CITY, "const": {"type": "null"}}}),
        ({"$ref": "#/$defs/Nowhere"}, {"$ref": "#/$defs/Nowhere"}),
        ({"$ref": "https://x.test/schema"}, {"$ref": "https://x.test/schema"}),
        ({"enum": [{"$ref": "#/$defs/City"}]}, {"enum": [{"$ref": "#/$defs/City"}]}),
        ({"properties": {"$ref": {"type": "string"}}}, {"properties": {"$ref": {"type": "string"}}}),
        (True, True),
    ],
)
def test_each_definition_stands_where_it_was_named(schema: Any, wanted: Any) -> None:
    trip = {"type": "object", "properties": {"to": {"$ref": "#/$defs/City"}, "const": {"type": "null"}}}

    assert of(schema, City=CITY, Trip=trip) == wanted


def test_a_definition_that_holds_itself_ends_as_an_open_object() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/Node", "description": "The next."}},
    }

    assert of({"$ref": "#/$defs/Node"}, Node=node) == {
        "type": "object",
        "properties": {"next": {"type": "object", "description": "The next."}},
    }


def test_definitions_that_double_at_each_step_do_not_fill_the_memory() -> None:
    doubling = {
        f"D{n}": {"properties": {"a": {"$ref": f"#/$defs/D{n + 1}"}, "b": {"$ref": f"#/$defs/D{n + 1}"}}}
        for n in range(60)
    }

    assert len(json.dumps(of({"$ref": "#/$defs/D0"}, **doubling))) < 200_000


def test_a_schema_that_is_too_deep_is_left_as_it_is() -> None:
    deep: dict[str, Any] = {}
    for _ in range(60_000):
        deep = {"items": deep}

    assert flat(deep)["items"] is deep["items"]


def test_the_schema_itself_is_not_changed() -> None:
    schema: Any = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 1}}}
    before = json.dumps(schema)

    assert flat(schema) == {"properties": {"a": {"enum": [1]}}}
    assert json.dumps(schema) == before
