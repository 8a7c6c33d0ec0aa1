"""`@tool`: what it makes of a function is still the function, called, bound and pickled like one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import pickle
import sys
from typing import Any

import pytest

from abstractcore.errors import ConfigurationError, ToolError
from abstractcore.tools import Tool, ToolContext, tool
from tests.tools.samples import Point, forecast


@tool
async def fetch(url: str) -> str:
    """Fetch a URL."""
    return url


@tool
def lines(text: str):
    yield from text.split()


@tool
async def alines(text: str):
    for line in text.split():
        yield line


class Search:
    """Search the web."""

    def __call__(self, query: str) -> str:
        return f"found {query}"


class AsyncSearch:
    async def __call__(self, query: str) -> str:
        return query


@pytest.mark.parametrize(
    ("made", "is_async", "is_generator"),
    [
        (forecast, False, False),
        (fetch, True, False),
        (lines, False, True),
        (alines, True, True),
        (tool(Search()), False, False),
        (tool(AsyncSearch()), True, False),
        (tool(functools.partial(fetch, "x")), True, False),
        (tool(name="f")(functools.partial(fetch.function, "x")), True, False),
    ],
)
def test_the_colour_of_the_function_is_known(made, is_async, is_generator):
    assert made.is_async is is_async
    assert made.is_generator is is_generator


async def test_calling_the_tool_calls_the_function():
    assert forecast("Ulm", days=1) == "Ulm 1"
    assert await fetch("u") == "u"
    assert list(lines("a b")) == ["a", "b"]
    assert [line async for line in alines("a b")] == ["a", "b"]
    with pytest.raises(TypeError, match="city"):
        forecast()


def test_the_tool_looks_like_the_function():
    assert forecast.__name__ == "forecast"
    assert forecast.__doc__.startswith("Forecast")
    assert list(inspect.signature(forecast).parameters) == ["city", "days"]
    assert repr(forecast) == "<Tool forecast>"
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(fetch)


class Box:
    def __init__(self, start: int) -> None:
        self.start = start

    @tool
    def add(self, n: int) -> int:
        """Add to the start."""
        return self.start + n

    @tool
    async def aadd(self, n: int) -> int:
        return self.start + n

    @staticmethod
    @tool
    def double(n: int) -> int:
        return 2 * n

    @classmethod
    @tool
    def make(cls, n: int) -> Box:
        return cls(n)

    def plain(self, n: int) -> int:
        return n

    borrowed = forecast


async def test_methods_are_bound_to_their_object():
    box = Box(10)

    assert isinstance(box.add, Tool)
    assert box.add(n=1) == 11
    assert Box.add(box, 1) == 11
    assert await box.aadd(2) == 12
    assert set(box.add.parameters["properties"]) == {"n"}
    assert box.add(**box.add.validate({"n": "5"})) == 15
    assert Tool(box.plain).validate({"n": 1}) == {"n": 1}
    assert Box.double(2) == 4
    assert Box.double.name == "double"
    assert Box.make(3).start == 3
    assert set(box.borrowed.parameters["properties"]) == {"days"}


def test_a_method_that_is_bound_to_nothing_is_no_tool():
    for unbound in (Box.add, Box.plain):
        with pytest.raises(ConfigurationError, match="from an object"):
            _ = Tool.from_function(unbound).spec


def test_callable_objects_and_partials_are_described_like_functions():
    search = tool(Search())
    tomorrow = tool(functools.partial(forecast.function, days=1))

    assert (search.name, search.description) == ("Search", "Search the web.")
    assert search("x") == "found x"
    assert search.parameters["required"] == ["query"]
    assert tomorrow.name == "forecast"
    assert tomorrow("Ulm") == "Ulm 1"
    assert tomorrow.parameters["properties"]["days"]["default"] == 1


def test_a_decorated_function_keeps_its_signature():
    def loud(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs).upper()

        return wrapper

    @tool
    @loud
    def say(what: str, how: Point | None = None) -> str:
        return what

    assert set(say.parameters["properties"]) == {"what", "how"}
    assert say(what="hi") == "HI"


def test_a_context_parameter_is_not_told_to_the_model():
    @tool
    def remember(what: str, context: ToolContext) -> None: ...

    @tool
    def maybe(context: ToolContext | None = None) -> None: ...

    assert set(remember.parameters["properties"]) == {"what"}
    assert remember.context_parameter == "context"
    assert remember.validate({"what": "x"}) == {"what": "x"}
    assert maybe.context_parameter == "context"
    assert maybe.parameters["properties"] == {}
    assert forecast.context_parameter is None
    with pytest.raises(ToolError, match="context: is not an argument"):
        remember.validate({"what": "x", "context": {}})
    assert dataclasses.asdict(ToolContext()) == {
        "tool_call": None,
        "messages": (),
        "agent": None,
        "iteration": 0,
        "tell": None,
    }


def test_a_tool_of_a_tool_is_that_tool():
    assert Tool.from_function(forecast) is forecast
    renamed = Tool.from_function(forecast, name="w")
    assert (renamed.name, renamed("Ulm")) == ("w", "Ulm 3")
    assert tool(forecast).parameters == forecast.parameters


def test_a_schema_written_elsewhere_is_taken_as_it_is():
    def call(**arguments: Any) -> dict[str, Any]:
        return arguments

    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    remote = Tool(call, name="remote", description="Far away.", parameters=schema)
    closed = Tool(call, name="closed", parameters={**schema, "additionalProperties": False})

    assert (remote.spec.description, remote.parameters) == ("Far away.", schema)
    assert remote(**remote.validate({"q": 5, "more": 1})) == {"q": 5, "more": 1}
    with pytest.raises(ToolError, match="q: is required"):
        remote.validate({})
    with pytest.raises(ToolError, match="more: is not an argument"):
        closed.validate({"q": "", "more": 1})
    with pytest.raises(ToolError, match="not an object"):
        closed.validate([])


def add_one(n: int) -> int:
    return n + 1


def given(**arguments: Any) -> dict[str, Any]:
    return arguments


def test_a_tool_pickles():
    remote = Tool(given, name="remote", parameters={"properties": {"q": {}}})

    assert pickle.loads(pickle.dumps(forecast)) is forecast
    assert pickle.loads(pickle.dumps(Tool(add_one, name="plus"))).spec == Tool(add_one, name="plus").spec
    assert pickle.loads(pickle.dumps(remote)).spec == remote.spec
    assert pickle.loads(pickle.dumps(Box(5).add))(n=1) == 6
