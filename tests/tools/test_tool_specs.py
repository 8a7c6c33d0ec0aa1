"""Tools in all the shapes that people have become one shape."""

from __future__ import annotations

import gc
import weakref

import pytest

from abstractcore.errors import ConfigurationError
from abstractcore.tools import tool
from abstractcore.tools.schema import as_spec, as_specs
from abstractcore.types import ToolSpec

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def weather(city: str) -> str:
    """Tell the weather."""
    return city


@pytest.mark.parametrize(
    "shape",
    [
        {
            "type": "function",
            "function": {"name": "weather", "description": "Tell the weather.", "parameters": SCHEMA},
        },
        {"type": "function", "name": "weather", "description": "Tell the weather.", "parameters": SCHEMA},
        {"name": "weather", "description": "Tell the weather.", "parameters": SCHEMA},
        {"name": "weather", "description": "Tell the weather.", "input_schema": SCHEMA},
        {"type": "custom", "name": "weather", "description": "Tell the weather.", "input_schema": SCHEMA},
        {"name": "weather", "description": "Tell the weather.", "inputSchema": SCHEMA, "annotations": {}},
        ToolSpec("weather", "Tell the weather.", SCHEMA),
    ],
)
def test_every_shape_says_the_same(shape):
    assert as_spec(shape) == ToolSpec("weather", "Tell the weather.", SCHEMA)


def test_a_function_and_its_tool_say_the_same():
    assert as_spec(weather) == as_spec(tool(weather))
    assert as_spec(weather) is as_spec(weather)
    assert as_specs([weather])[0].parameters["required"] == ["city"]


def test_a_tool_without_arguments_has_an_empty_schema():
    assert as_spec({"name": "now"}) == ToolSpec("now", "", {"type": "object", "properties": {}})
    assert as_spec({"name": "now", "description": None, "parameters": {}}) == as_spec({"name": "now"})


def test_the_dict_of_the_caller_is_copied():
    schema = {"type": "object", "properties": {"a": {}}}

    spec = as_spec({"name": "f", "parameters": schema})
    spec.parameters["properties"]["a"]["type"] = "string"

    assert schema == {"type": "object", "properties": {"a": {}}}


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ConfigurationError, match="'weather'"):
        as_specs([weather, {"name": "weather"}])


@pytest.mark.parametrize("name", ["", "a b", "wetter_für", "a.b", "x" * 65, "<lambda>", "a\n", None, 5])
def test_a_name_that_some_wire_refuses_is_refused_here(name):
    with pytest.raises(ConfigurationError, match="name"):
        as_spec({"name": name})


@pytest.mark.parametrize(
    "shape",
    [
        5,
        "weather",
        None,
        int,
        {},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "function", "function": "weather"},
        {"name": "f", "description": 5},
        {"name": "f", "parameters": "x"},
        {"name": "f", "parameters": {"type": "array"}},
        {"name": "f", "parameters": {"properties": []}},
        {"name": "f", "parameters": {"required": True}},
        {"name": "f", "parameters": {"properties": {"a": object()}}},
        {"name": "f", "parameters": {"properties": {"a": {"default": float("nan")}}}},
    ],
)
def test_what_is_no_tool_is_refused(shape):
    with pytest.raises(ConfigurationError):
        as_specs([shape])


@pytest.mark.parametrize("tools", [weather, tool(weather), {"name": "f"}, "weather"])
def test_tools_are_a_list(tools):
    with pytest.raises(ConfigurationError, match="list of tools"):
        as_specs(tools)


def test_reading_a_function_does_not_keep_it_alive():
    def short_lived(n: int) -> None: ...

    as_spec(short_lived)
    seen = weakref.ref(short_lived)
    del short_lived
    gc.collect()

    assert seen() is None
