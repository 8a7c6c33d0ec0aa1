"""A type becomes a JSON Schema, and the model's words a value of that type."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal, NotRequired, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from abstractcore.errors import ConfigurationError, StructuredOutputError
from abstractcore.generation.schema import output_schema, parse_output


class City(BaseModel):
    name: str
    people: int = Field(gt=0)


@dataclass
class Point:
    x: float
    y: float


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Reel(TypedDict):
    movies: list[Movie]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    day: datetime.date


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Grumpy(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def explode(cls, name: str) -> str:
        raise KeyError(name)


TREE = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
}
ROOM = {"type": "object", "properties": {"size": {"type": "integer"}}, "title": "Room"}


@pytest.mark.parametrize(
    ("model", "text", "value"),
    [
        (City, '{"name": "Ulm", "people": "5"}', City(name="Ulm", people=5)),
        (Point, '{"x": 1, "y": 2.5}', Point(1.0, 2.5)),
        (Movie, '{"title": "M"}', {"title": "M"}),
        (Reel, '{"movies": [{"title": "M", "year": 1931}]}', {"movies": [{"title": "M", "year": 1931}]}),
        (list[City], '{"value": [{"name": "Ulm", "people": 5}]}', [City(name="Ulm", people=5)]),
        (list[City], '[{"name": "Ulm", "people": 5}]', [City(name="Ulm", people=5)]),
        (list[Movie] | None, '{"value": [{"title": "M"}]}', [{"title": "M"}]),
        (Color, '{"value": "red"}', Color.RED),
        (Literal["a", "b"], '"a"', "a"),
        (int, '{"value": 3}', 3),
        (Annotated[int, Field(gt=2)], "3", 3),
        (dict[str, int], '{"value": 3}', {"value": 3}),
        (Strict, '{"day": "2026-01-31"}', Strict(day=datetime.date(2026, 1, 31))),
        (Node, '{"name": "a", "children": [{"name": "b"}]}', Node(name="a", children=[Node(name="b")])),
        (ROOM, '{"size": 5, "colour": "any"}', {"size": 5, "colour": "any"}),
        ({"type": "array"}, '{"value": [1]}', [1]),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": "number"}, "1", 1),
        ({"anyOf": []}, "[1]", [1]),
    ],
)
def test_the_answer_becomes_a_value_of_the_type(model, text, value):
    parsed = parse_output(model, text)

    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        '  {"name": "Ulm", "people": 5}\n',
        '\ufeff{"name": "Ulm", "people": 5}',
        '```json\n{"name": "Ulm", "people": 5}\n```',
        'Here it is:\n```\n{"name": "Ulm", "people": 5}\n```\nAnything else?',
        '```JSON\r\n{"name": "Ulm", "people": 5}\r\n```',
        '```{"name": "Ulm", "people": 5}```',
        '```json\n{"name": "Ulm", "people": 5}',
        'One: ```json\n{"name": "Ulm", "people": 5}\n``` two: ```json\n{}\n```',
    ],
)
def test_a_markdown_fence_is_tolerated(text):
    assert parse_output(City, text) == City(name="Ulm", people=5)


def test_a_fence_inside_the_json_is_part_of_it():
    assert parse_output(Movie, '{"title": "```"}') == {"title": "```"}
    assert parse_output(Movie, '```json\n{"title": "```x```"}\n```') == {"title": "```x```"}


@pytest.mark.parametrize(
    ("model", "text", "problem"),
    [
        (City, "", "not JSON"),
        (City, 'Sure: {"name": "Ulm", "people": 5}', "not JSON"),
        (City, '{"name": "Ulm", "peo', "not JSON"),
        (City, '{"name": "Ulm"}', "people: Field required"),
        (City, '{"name": "Ulm", "people": 0}', "people: Input should be greater than 0"),
        (City, "null", "should be an object"),
        (Point, '{"x": NaN, "y": 1}', "NaN is not JSON"),
        (Point, '{"x": 1e999, "y": 1}', "too large"),
        (Movie, '{"title": "\\ud83d"}', "surrogate"),
        ({"type": "object"}, '{"title": "\\ud83d"}', "surrogate"),
        (Movie, '{"title": "\ud83d"}', "surrogate"),
        (int, "9" * 5000, "not JSON"),
        (list[int], "[" * 100_000, "nested too deeply"),
        (list[City], '{"value": [{"name": "Ulm"}]}', "0.people: Field required"),
        (Color, '"green"', "Input should be"),
        (Grumpy, '{"name": "x"}', "KeyError"),
        (ROOM, "[]", "of type object"),
        (ROOM, '{"size": "any"}', "size: expected JSON of type integer"),
        ({"type": "integer"}, "true", "of type integer"),
        (TREE, '{"children": [{"children": [7]}]}', "children.0.children.0: expected JSON of type object"),
        (TREE, '{"children": ' * 3000 + "[]" + "}" * 3000, "nested too deeply"),
        ({"type": "array", "items": {"type": "integer"}}, '{"value": [1, "2"]}', "1: expected JSON of type"),
        ({"type": ["string", "null"]}, "1", "string or null"),
    ],
)
def test_an_answer_that_does_not_follow_is_told_in_a_few_words(model, text, problem):
    """FAULTS 1.6: no foreign exception."""
    with pytest.raises(StructuredOutputError) as caught:
        parse_output(model, text)

    failure = caught.value
    assert problem in failure.validation_error
    assert failure.last_text is not None
    (failure.last_text + failure.validation_error + str(failure)).encode()
    assert len(failure.last_text) < 2_100
    assert len(failure.validation_error) < 1_100


def test_a_very_wrong_answer_is_bounded():
    with pytest.raises(StructuredOutputError) as caught:
        parse_output(list[int], '{"value": [' + ",".join(["{}"] * 10_000) + "]}")

    assert len(caught.value.last_text) < 2_100
    assert len(caught.value.validation_error) < 1_100


@pytest.mark.parametrize(
    ("model", "name", "property_names"),
    [
        (City, "City", {"name", "people"}),
        (Point, "Point", {"x", "y"}),
        (Movie, "Movie", {"title", "year"}),
        (Node, "Node", {"name", "children"}),
        (list[City], "answer", {"value"}),
        (Color, "Color", {"value"}),
        (Literal["a"], "answer", {"value"}),
        (ROOM, "Room", {"size"}),
        ({"type": "array", "title": "a b/ü" * 40}, ("a_b_" * 40)[:64], {"value"}),
    ],
)
def test_the_schema_is_an_object_with_a_name_that_wires_accept(model, name, property_names):
    schema = output_schema(model)

    assert schema.name == name
    assert schema.schema["type"] == "object"
    assert set(schema.schema["properties"]) == property_names


def test_references_hold_also_when_the_root_is_wrapped():
    schema = output_schema(list[City]).schema

    assert schema["properties"]["value"] == {"type": "array", "items": {"$ref": "#/$defs/City"}}
    assert "City" in schema["$defs"]
    assert "City" not in schema["properties"]["value"]


@pytest.mark.parametrize(
    "model",
    [
        None,
        "City",
        5,
        lambda: 5,
        City(name="x", people=1),
        {"x": object()},
        {"x": float("nan")},
        {"type": "objekt"},
    ],
)
def test_what_is_no_type_and_no_schema_is_refused(model):
    with pytest.raises(ConfigurationError):
        output_schema(model)
