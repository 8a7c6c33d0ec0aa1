"""What is left of a JSON Schema when its objects are closed, and which schemas cannot be closed."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from abstractcore.codecs.closed_schema import closed


class Kind(Enum):
    BIG = "big"
    SMALL = "small"


class Place(BaseModel):
    """Where it is."""

    name: str
    zone: str | None = None


class City(BaseModel):
    places: list[Place]
    kind: Kind = Field(Kind.BIG, description="How big.")
    people: Annotated[int, Field(ge=1, le=9, description="How many.")] = 1
    tags: Annotated[list[Literal["a", "b"]], Field(min_length=2)] = []
    founded: str = Field("", json_schema_extra={"format": "date"})


class Node(BaseModel):
    next: Node | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


def test_a_model_is_closed_and_its_bounds_are_told() -> None:
    assert closed(City.model_json_schema()) == {
        "$defs": {
            "Kind": {"enum": ["big", "small"], "type": "string"},
            "Place": {
                "description": "Where it is.",
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "zone": {
                        "anyOf": [{"type": "string"}, {"type": "null"}],
                        "description": "{default: null}",
                    },
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "type": "object",
        "properties": {
            "places": {"type": "array", "items": {"$ref": "#/$defs/Place"}},
            "kind": {"anyOf": [{"$ref": "#/$defs/Kind"}], "description": 'How big.\n\n{default: "big"}'},
            "people": {"type": "integer", "description": "How many.\n\n{default: 1, maximum: 9, minimum: 1}"},
            "tags": {
                "type": "array",
                "items": {"type": "string", "enum": ["a", "b"]},
                "description": "{default: [], minItems: 2}",
            },
            "founded": {"type": "string", "format": "date", "description": '{default: ""}'},
        },
        "required": ["places"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "array", "items": {"type": "string"}, "prefixItems": [{"type": "integer"}]},
        {"type": "string", "not": {"const": "a"}},
        {"type": "object", "properties": {"a": {"enum": [{"b": 1}]}}},
        {"type": "object", "properties": {"a": {"const": [1]}}},
        {"type": "object", "properties": {"me": {"$ref": "#"}}},
        Node.model_json_schema(),
        Open.model_json_schema(),
    ],
)
def test_what_cannot_be_closed(schema: dict[str, Any]) -> None:
    assert closed(schema) is None


def test_a_schema_that_is_too_deep_cannot_be_closed() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(10_000):
        schema = {"type": "array", "items": schema}

    assert closed(schema) is None


def test_a_schema_is_not_changed() -> None:
    schema = City.model_json_schema()

    closed(schema)

    assert schema == City.model_json_schema()


@pytest.mark.parametrize("size", [0, 1])
def test_the_few_bounds_that_are_enforced_stay(size: int) -> None:
    schema = {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": size}

    assert closed(schema) == schema


def test_one_of_is_any_of() -> None:
    cat = {"type": "object", "properties": {"kind": {"const": "cat"}}, "required": ["kind"]}
    schema = {"oneOf": [cat, {"type": "null"}], "discriminator": {"propertyName": "kind"}, "title": "Pet"}

    assert closed(schema) == {"anyOf": [{**cat, "additionalProperties": False}, {"type": "null"}]}
