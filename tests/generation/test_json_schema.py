"""A JSON Schema that a user wrote says which answers follow it; `jsonschema` is the judge."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from abstractcore.generation.json_schema import Validator

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "friends": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    },
    "required": ["name"],
    "additionalProperties": False,
}
SHAPES = {
    "anyOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/square"}],
    "$defs": {
        "circle": {
            "type": "object",
            "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
            "required": ["kind", "r"],
        },
        "square": {
            "type": "object",
            "properties": {"kind": {"const": "square"}, "side": {"type": "number"}},
            "required": ["kind", "side"],
        },
    },
}


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        (PERSON, {"name": "Ada", "age": None, "friends": [{"name": "Bob"}]}, None),
        (PERSON, {"age": 3}, "name: is required"),
        (PERSON, {"name": ""}, "name: has fewer than 1 characters"),
        (PERSON, {"name": "Ada", "age": -1}, "age: is less than 0"),
        (PERSON, {"name": "Ada", "pet": 1}, "pet: is no property here"),
        (PERSON, {"name": "A", "friends": [{"name": 1}]}, "friends.0.name: expected JSON of type string"),
        (PERSON, {"name": "A", "age": "1"}, "age: expected JSON of type integer or null"),
        (SHAPES, {"kind": "circle", "r": 1}, None),
        (SHAPES, {"kind": "circle", "side": 1}, "fits none of these: r: is required"),
        (SHAPES, 5, "fits none of these: expected JSON of type object | expected JSON of type object"),
        ({"anyOf": [PERSON, {"type": "null"}]}, {"name": 5}, "name: expected JSON of type string"),
        ({"enum": ["a", 1, None]}, True, 'expected one of ["a", 1, null]'),
        ({"const": {"a": [1]}}, {"a": [True]}, 'expected {"a": [1]}'),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 3, "fits 2 forms of which it may fit one"),
        ({"not": {"type": "null"}}, None, "is what it must not be"),
        ({"multipleOf": 0.1}, 0.35, "is no multiple of 0.1"),
        ({"pattern": r"^\p{Lu}"}, "ada", r"does not match the pattern ^\p{Lu}"),
        ({"pattern": "(?=b)b"}, "a", "does not match the pattern (?=b)b"),
        ({"pattern": "("}, "a", None),
        ({"additionalProperties": {"type": "null"}}, {"a": None, "b": 1}, "b: expected JSON of type null"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "ab: as a name: has more than 1 characters"),
        ({"uniqueItems": True}, [1, True, {"a": 1}, {"a": 1.0}], "has the same item twice"),
        ({"contains": {"const": 1}, "minContains": 2}, [1, 2], "has too few items"),
        ({"minimum": 1, "exclusiveMinimum": True}, 1, "is not more than 1"),
        ({"format": "date-time"}, "no date", None),
        ({"properties": {"a": False}}, {"a": 1}, "a: nothing may stand here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(schema: Any, value: Any, problem: str | None):
    found = Validator(schema).problem(value)

    assert found == problem or (problem and problem in str(found))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"required": "name"},
        {"properties": ["name"]},
        {"properties": {"a": {"minimum": "1"}}},
        {"items": 3},
        {"anyOf": {"type": "string"}},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        {"$ref": "#/x/y", "x": {"y": {"type": "thing"}}},
    ],
)
def test_what_is_no_schema_is_refused(schema: dict[str, Any]):
    with pytest.raises(ValueError, match=r"cannot be|leads to"):
        Validator(schema)


def test_what_a_ref_leads_to_may_stand_anywhere():
    schema = {
        "$id": "https://example.com/s",
        "properties": {
            "a": {"$ref": "#/components/a~1b"},
            "b": {"$ref": "#word"},
            "c": {"$ref": "https://example.com/s#/components/a~1b"},
            "d": {"$ref": "https://example.com/other"},
            "$ref": {"type": "string"},
        },
        "components": {"a/b": {"type": "integer"}},
        "$defs": {
            "word": {"$anchor": "word", "enum": [{"$ref": "not one"}]},
            "other": {"$id": "https://example.com/other", "type": "null"},
        },
    }
    validator = Validator(schema)
    assert validator.problem({"a": 1, "b": {"$ref": "not one"}, "c": 2, "d": None, "$ref": "x"}) is None
    found = validator.problem({"a": "1", "b": 1, "c": "2", "d": 0, "$ref": 3}) or ""
    assert [each.partition(":")[0] for each in found.split("; ")] == ["a", "b", "c", "d", "$ref"]


# ---- beside jsonschema -----------------------------------------------------------------------

numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -1.5, 2.0])
scalars = st.none() | st.booleans() | numbers | st.sampled_from(["", "a", "b", "ab", "ba"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
counts = st.integers(0, 3)
names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=2)
    by_name = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    by_pattern = st.dictionaries(st.sampled_from(["a", "^b", "[bc]$"]), inner, max_size=2)
    bounds = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), numbers)
    lengths = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
    contained = st.fixed_dictionaries(
        {"contains": inner}, optional={"minContains": counts, "maxContains": counts}
    )
    conditional = st.fixed_dictionaries({"if": inner}, optional={"then": inner, "else": inner})
    optional = {
        "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
        "enum": st.lists(values, min_size=1, max_size=3),
        "const": values,
        **bounds,
        **dict.fromkeys(lengths, counts),
        "multipleOf": st.sampled_from([1, 2, 0.5, 0.1]),
        "pattern": st.sampled_from(["a", "^b", "b$"]),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
        **dict.fromkeys(("not", "items", "additionalProperties", "propertyNames"), inner),
        **dict.fromkeys(("properties", "dependentSchemas"), by_name),
        "patternProperties": by_pattern,
        "uniqueItems": st.booleans(),
        "required": names,
        "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
        "$ref": st.just("#/$defs/a"),
    }  # fmt: skip
    plain = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: optional[name] for name in chosen})
    )
    return st.booleans() | plain | contained | conditional


leaves = st.booleans() | st.fixed_dictionaries({"type": types}) | st.fixed_dictionaries({"minimum": numbers})
schemas = st.recursive(leaves, keywords, max_leaves=8).filter(lambda each: isinstance(each, dict))


@settings(max_examples=600, deadline=None)
@given(schema=schemas, definition=leaves, value=values)
def test_whatever_the_schema_the_judge_agrees(schema: dict[str, Any], definition: Any, value: Any):
    schema = {**schema, "$defs": {"a": definition}}
    judge = Draft202012Validator(schema)

    found = Validator(schema).problem(value)

    assert (found is None) == judge.is_valid(value), json.dumps([schema, value, found])


@pytest.mark.parametrize("draft", ["draft-04", "draft-06", "draft-07"])
@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a"]),
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a", 1]),
        ({"items": [{"type": "string"}], "additionalItems": {"type": "null"}}, ["a", None]),
        ({"items": [{"type": "string"}]}, [1]),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1}),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 1}),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"c": 1}),
        ({"definitions": {"n": {"type": "null"}}, "items": {"$ref": "#/definitions/n"}}, [None]),
        ({"definitions": {"n": {"type": "null"}}, "items": {"$ref": "#/definitions/n"}}, [1]),
    ],
)
def test_older_drafts_are_read_too(draft: str, schema: dict[str, Any], value: Any):
    schema = {"$schema": f"http://json-schema.org/{draft}/schema#", **schema}
    judge = validator_for(schema)(schema)

    assert (Validator(schema).problem(value) is None) == judge.is_valid(value)
