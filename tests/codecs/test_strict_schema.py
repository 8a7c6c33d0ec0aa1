"""A schema becomes what OpenAI's strict mode takes, or is left as it is."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import AnyUrl, BaseModel, Field

from abstractcore.codecs.strict_schema import strict


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Place(BaseModel):
    name: str = Field(description="Its name")
    population: int | None = None


class Dog(BaseModel):
    kind: Literal["dog"]
    bark: int


class Cat(BaseModel):
    kind: Literal["cat"]
    purr: float


class Person(BaseModel):
    """Someone."""

    name: str
    age: int = Field(default=3, ge=0, description="In years")
    home: Place = Field(description="Where")
    work: Place | None = None
    friends: list[Person] = []
    colour: Colour = Colour.RED
    born: date
    pet: Dog | Cat = Field(discriminator="kind")


def test_every_object_is_closed_and_everything_required() -> None:
    found = strict(Person.model_json_schema())

    assert found is not None
    assert set(found["required"]) == set(Person.model_fields)
    for schema in [found, *found["$defs"].values()]:
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
    assert found["properties"]["age"] == {"type": "integer", "minimum": 0, "description": "In years"}
    assert found["properties"]["home"] == {"anyOf": [{"$ref": "#/$defs/Place"}], "description": "Where"}
    assert found["properties"]["colour"] == {"$ref": "#/$defs/Colour"}
    assert found["properties"]["friends"] == {"type": "array", "items": {"$ref": "#/$defs/Person"}}
    assert found["properties"]["pet"] == {"anyOf": [{"$ref": "#/$defs/Dog"}, {"$ref": "#/$defs/Cat"}]}


def test_a_property_may_be_named_like_a_keyword() -> None:
    found = strict(
        {"type": "object", "properties": {"default": {"type": "string"}, "title": {"type": "null"}}}
    )

    assert found is not None
    assert found["required"] == ["default", "title"]


class WithMap(BaseModel):
    counts: dict[str, int]


class WithAny(BaseModel):
    value: Any


class WithTuple(BaseModel):
    pair: tuple[int, str]


class WithLength(BaseModel):
    name: str = Field(max_length=3)


class WithUrl(BaseModel):
    url: AnyUrl


OPEN: list[dict[str, Any]] = [
    WithMap.model_json_schema(),
    WithAny.model_json_schema(),
    WithTuple.model_json_schema(),
    WithLength.model_json_schema(),
    WithUrl.model_json_schema(),
    {},
    {"type": "array", "items": {"type": "string"}},
    {"type": "object"},
    {"type": "object", "properties": {}, "additionalProperties": True},
    {"type": "object", "properties": {"a": {"type": "array"}}},
    {"type": "object", "properties": {"a": True}},
    {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
    {"type": "object", "properties": {"a": {"type": "string", "format": "colour"}}},
    {"anyOf": [{"type": "object", "properties": {}}]},
]


@pytest.mark.parametrize("schema", OPEN)
def test_a_schema_that_cannot_be_strict_is_left_alone(schema: dict[str, Any]) -> None:
    assert strict(schema) is None


def test_a_schema_nested_too_deeply_is_left_alone() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(5_000):
        schema = {"type": "array", "items": schema}

    assert strict({"type": "object", "properties": {"a": schema}}) is None
