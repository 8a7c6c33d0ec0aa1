"""Which schemas may join a batch at once, and which are tried alone first."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from abstractcore.engines.worker.plain_schema import is_plain
from abstractcore.generation.schema import output_schema

from .conftest import OPENVINO, Row


@pytest.fixture
def engine(needs_openvino: None) -> Row:
    """Only its runtime needs to know."""
    return OPENVINO


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Wheel(BaseModel):
    size: int
    colour: Colour = Colour.RED


class Car(BaseModel):
    """A car."""

    name: str = Field(description="What it is called")
    wheels: list[Wheel]
    spare: Wheel | None = None
    kind: Literal["van", "bus"]
    prices: dict[str, float]
    parent: Car | None = None


@dataclass
class Point:
    x: float
    y: float
    label: str | None = None
    tags: list[str] = field(default_factory=list)


class Rated(BaseModel):
    stars: Annotated[int, Field(ge=1, le=5)]


PLAIN = [Wheel, Car, Point, list[Wheel], int, bool, Literal["a", "b"]]


@pytest.mark.parametrize("model", PLAIN)
def test_the_schemas_of_usual_types_are_plain(model: Any) -> None:
    assert is_plain(json.dumps(output_schema(model).schema))


@pytest.mark.parametrize("model", PLAIN)
def test_the_runtime_takes_plain_schemas(tiny: Any, model: Any) -> None:
    """CONTRACT I1: else one of them would break a batch. The text is cut, so it is no whole answer."""
    from abstractcore.errors import StructuredOutputError

    with pytest.raises(StructuredOutputError):
        tiny.generate("hello", response_model=model, max_output_tokens=1)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "bogus"},
        {"type": ["string", "null"]},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"type": "bogus"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "string", "pattern": "(("},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"enum": []},
        {"anyOf": []},
        {"$ref": "#/$defs/missing"},
        {"$ref": ["x"]},
        {"type": {}},
        {"$defs": 3},
        {"$defs": {"a": {"type": "bogus"}}, "$ref": "#/$defs/a"},
        [],
        3,
    ],
)
def test_a_schema_that_may_be_refused_is_not_plain(schema: Any) -> None:
    assert not is_plain(json.dumps(schema))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"items":' * 50_000])
def test_what_is_no_schema_is_not_plain(text: str) -> None:
    assert not is_plain(text)


def test_bounds_are_tried_alone() -> None:
    """A runtime refuses those that nothing satisfies."""
    assert not is_plain(json.dumps(output_schema(Rated).schema))
