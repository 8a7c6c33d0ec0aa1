"""`@tool`: what the model is told of a function, and how its arguments are checked."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field

from abstractcore.errors import ConfigurationError, ToolError
from abstractcore.tools import tool
from tests.tools.samples import Color, Place, Point, Trip, forecast, lambda_free


def schema_of(hint: Any, default: Any = inspect.Parameter.empty) -> dict[str, Any]:
    def look(value):
        pass

    look.__annotations__ = {"value": hint}
    if default is not inspect.Parameter.empty:
        look.__defaults__ = (default,)
    return dict(tool(look).parameters)


# ---- what the model is told ------------------------------------------------------------------


def test_a_function_is_described_by_its_hints_and_its_docstring():
    assert forecast.name == "forecast"
    assert forecast.description == "Forecast the weather, day by day."
    assert forecast.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city's name, in English."},
            "days": {"type": "integer", "default": 3, "description": "How many days."},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert (forecast.spec.name, forecast.spec.description) == (forecast.name, forecast.description)
    assert forecast.spec.parameters == forecast.parameters


def test_name_and_description_can_be_given():
    @tool(name="weather-now", description="")
    def forecast() -> None:
        """Not this."""

    assert forecast.spec.name == "weather-now"
    assert forecast.spec.description == ""
    assert tool()(lambda_free).name == "lambda_free"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, {"type": "string"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Annotated[int, Field(ge=1, description="Count.")], {"type": "integer", "minimum": 1}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Any, {}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
    ],
)
def test_each_hint_has_its_json_schema(hint, expected):
    found = schema_of(hint)["properties"]["value"]

    assert {key: value for key, value in found.items() if key != "description"} == expected


@pytest.mark.parametrize("hint", [Color, Point, Place, Trip, list[Trip], "Point"])
def test_a_type_of_the_user_stands_among_the_definitions(hint):
    schema = schema_of(hint)

    assert "$ref" in str(schema["properties"]["value"])
    assert schema["$defs"]


def test_the_hints_own_description_stands_before_the_docstrings():
    @tool
    def count(to: Annotated[int, Field(description="From the hint.")]) -> None:
        """Count.

        :param to: From the docstring.
        """

    assert count.parameters["properties"]["to"]["description"] == "From the hint."


@pytest.mark.parametrize(
    ("hint", "default", "shown"), [(Color, Color.RED, "red"), (int | None, None, None), (Any, object(), ...)]
)
def test_a_default_makes_an_argument_optional(hint, default, shown):
    schema = schema_of(hint, default)

    assert "required" not in schema
    assert schema["properties"]["value"].get("default", ...) == shown


def test_a_parameter_without_a_hint_takes_anything():
    @tool
    def anything(value, other=1):
        return value

    assert anything.parameters["required"] == ["value"]
    assert anything.validate({"value": [1]}) == {"value": [1]}


def test_names_that_clash_with_pydantics_own_are_names_like_others():
    @tool
    def odd(schema: str, model_config: int, _private: int, copy: str = "", json: str = "", a0: int = 0):
        return schema, model_config, _private, copy, json, a0

    arguments = {"schema": "s", "model_config": 1, "_private": 2, "a0": 3}
    assert set(odd.parameters["properties"]) == {"schema", "model_config", "_private", "copy", "json", "a0"}
    assert odd.validate(arguments) == arguments


# ---- validation ------------------------------------------------------------------------------


def test_arguments_are_coerced_to_the_types_of_the_signature():
    @tool
    def go(
        color: Color, point: Point, place: Place, trip: Trip, tags: tuple[str, ...], price: Decimal, zip: str
    ) -> None: ...

    assert go.validate(
        {
            "color": "red",
            "point": {"x": "1"},
            "place": {"name": "Ulm", "zip_code": "89073"},
            "trip": {"to": "Ulm"},
            "tags": ["a"],
            "price": "1.5",
            "zip": 89073,
        }
    ) == {
        "color": Color.RED,
        "point": Point(1.0),
        "place": Place(name="Ulm", zip_code="89073"),
        "trip": {"to": "Ulm"},
        "tags": ("a",),
        "price": Decimal("1.5"),
        "zip": "89073",
    }


def test_a_default_is_left_to_the_function():
    assert forecast.validate({"city": "Ulm"}) == {"city": "Ulm"}
    assert forecast.validate({"city": "Ulm", "days": "5"}) == {"city": "Ulm", "days": 5}


def test_a_default_in_a_pydantic_field_is_filled_in():
    @tool
    def count(to: int = Field(3, le=5), by: Annotated[int, Field(default=2)] = 1, of: Any = "x") -> None: ...

    assert count.validate({}) == {"to": 3}
    assert "required" not in count.parameters
    with pytest.raises(ToolError, match="to: Input should be less than or equal to 5"):
        count.validate({"to": 6})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "city: is required"),
        ({"city": "Ulm", "days": "many"}, "days: Input should be a valid integer"),
        ({"city": "Ulm", "town": "Ulm"}, "town: is not an argument of this tool"),
        ({"city": ["Ulm"], "days": None}, "city: Input should be a valid string; days: "),
        ([], "the arguments are not an object"),
        (None, "the arguments are not an object"),
    ],
)
def test_a_wrong_argument_is_named_in_words_for_the_model(arguments, words):
    """E3."""
    with pytest.raises(ToolError) as caught:
        forecast.validate(arguments)

    assert str(caught.value).startswith("forecast: ")
    assert words in str(caught.value)


def test_the_words_stay_short_and_quote_no_value():
    with pytest.raises(ToolError) as caught:
        forecast.validate({"city": "Ulm", **{f"secret{n}": "hidden" for n in range(1_000)}})

    assert len(str(caught.value)) < 1_100
    assert "hidden" not in str(caught.value)


def test_a_validator_that_raises_anything_is_a_tool_error():
    def explode(value):
        raise KeyError(value)

    from pydantic import AfterValidator

    @tool
    def use(value: Annotated[int, AfterValidator(explode)]) -> None: ...

    with pytest.raises(ToolError, match="KeyError"):
        use.validate({"value": 1})


# ---- signatures ------------------------------------------------------------------------------


def positional(a, /): ...


def rest(*numbers: int): ...


def named(**options: int): ...


def opaque(value: asyncio.Lock): ...


def broken(value: "list["): ...  # noqa: F722


def uncallable(value: "5 + 'a'"): ...  # noqa: UP037, F821


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (positional, "'a' is positional-only"),
        (rest, "'numbers' is a list of any length"),
        (named, "'options' is a dict of any names"),
        (opaque, "'value': pydantic cannot read the type Lock"),
        (broken, "'value' cannot be resolved"),
        (uncallable, "'value' cannot be resolved"),
        (lambda: 1, "name"),
        (Place, "the class Place"),
        (5, "not int"),
        (None, "not NoneType"),
        (staticmethod(lambda_free), "Write @staticmethod above @tool"),
        (classmethod(lambda_free), "Write @classmethod above @tool"),
    ],
)
def test_a_bad_signature_fails_at_decoration(function, words):
    """E1."""
    with pytest.raises(ConfigurationError, match=words):
        tool(name=None)(function)


def test_a_type_that_is_defined_later_is_looked_up_at_the_first_use():
    @tool
    def use(value: Later, size: int = 1) -> None: ...  # noqa: F821

    with pytest.raises(ConfigurationError, match="'value' cannot be resolved: name 'Later' is not defined"):
        _ = use.parameters
    globals()["Later"] = int
    try:
        assert use.validate({"value": "3"}) == {"value": 3}
    finally:
        del globals()["Later"]


def test_a_type_defined_beside_the_function_is_found():
    class Local(BaseModel):
        x: int

    @tool
    def use(value: list[Local]) -> None: ...

    @tool(name="other")
    def also(value: Local) -> None: ...

    assert use.validate({"value": [{"x": 1}]}) == {"value": [Local(x=1)]}
    assert also.validate({"value": {"x": 1}}) == {"value": Local(x=1)}


def test_decorating_with_plain_hints_does_not_load_pydantic():
    code = """
import sys
from abstractcore.tools import tool
@tool
def add(a: int, tags: list[str], mode: 'str | None' = None) -> int:
    "Add."
assert "pydantic" not in sys.modules
add.parameters
assert "pydantic" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
