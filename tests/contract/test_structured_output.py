"""CONTRACT B1, response_model=: the wire's native schema mode, and a validated value back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypedDict

import pytest
from pydantic import BaseModel

from abstractcore import BasicSession, ConfigurationError, GenerateResponse, StructuredOutputError
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire


class City(BaseModel):
    name: str
    population: int


@dataclass
class Point:
    x: int
    y: int


class Person(TypedDict):
    name: str
    age: int


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
# What is asked for, what the model writes, what comes back.
MODELS: dict[str, tuple[Any, str, Any]] = {
    "pydantic model": (City, '{"name": "Oslo", "population": 1}', City(name="Oslo", population=1)),
    "dataclass": (Point, '{"x": 1, "y": 2}', Point(1, 2)),
    "TypedDict": (Person, '{"name": "Ada", "age": 36}', {"name": "Ada", "age": 36}),
    "JSON schema": (SCHEMA, '{"name": "Oslo"}', {"name": "Oslo"}),
    "list of models": (list[Point], '{"value": [{"x": 1, "y": 2}]}', [Point(1, 2)]),
    "literal": (Literal["yes", "no"], '{"value": "yes"}', "yes"),
    "enum": (Colour, '{"value": "red"}', Colour.RED),
    "in a fence": (Point, 'Here:\n```json\n{"x": 1, "y": 2}\n```', Point(1, 2)),
}


@pytest.mark.parametrize("kind", ["llm", "session"])
@pytest.mark.parametrize("name", list(MODELS))
def test_b1_response_model_gives_the_validated_value(
    surface: Surface, server: FakeServer, wire: Wire, kind: str, name: str
):
    model, words, value = MODELS[name]
    server.replies(text(words))
    asked = wire.llm(server) if kind == "llm" else BasicSession(wire.llm(server))

    assert surface.generate(asked, "Which?", response_model=model) == value


@pytest.mark.parametrize("name", list(MODELS))
def test_b1_return_response_gives_the_response_with_parsed(surface: Surface, server: FakeServer, name: str):
    model, words, value = MODELS[name]
    server.replies(text(words))

    answer = surface.generate(server.llm(), "Which?", response_model=model, return_response=True)

    assert isinstance(answer, GenerateResponse)
    assert answer.parsed == value
    assert answer.content in words


def test_b1_a_streamed_response_model_stands_in_parsed(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text('{"x": 1, "y": 2}', piece=3))

    with surface.open_stream(wire.llm(server), "Where?", response_model=Point) as stream:
        stream.rest()
        assert stream.response.parsed == Point(1, 2)


def test_b1_thinking_before_the_answer_is_no_part_of_it(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text('{"x": 1, "y": 2}', reasoning='Hm {"x": 0}'))

    answer = whole_or_stream.ask(
        surface, wire.llm(server), "Where?", response_model=Point, return_response=True
    )

    assert answer.parsed == Point(1, 2)


# Where the schema stands in the request, and what the wire wants beside it.
NATIVE: dict[str, Callable[[Any], Any]] = {
    "openai_chat": lambda body: (body.response_format.type, body.response_format.json_schema.name),
    "openai_responses": lambda body: (body.text.format.type, body.text.format.name),
    "anthropic_messages": lambda body: (body.output_config.format.type, "Point"),
    "ollama_chat": lambda body: ("json_schema", body.format.title),
}


def test_b1_the_wire_s_native_schema_mode_is_used(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text('{"x": 1, "y": 2}'))

    whole_or_stream.ask(surface, wire.llm(server), "Where?", response_model=Point)

    request = server.requests[0]
    schema = wire.sent(request).schema
    assert NATIVE[wire.name](request.json) == ("json_schema", "Point")
    assert set(schema["properties"]) == {"x", "y"}
    assert sorted(schema["required"]) == ["x", "y"]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_b1_openai_is_asked_to_be_strict(surface: Surface, server: FakeServer, api: str):
    server.replies(text('{"name": "Oslo", "population": 1}'))

    surface.generate(server.llm("openai", api=api), "Which?", response_model=City)

    asked = server.requests[0].json
    wire = asked.response_format.json_schema if api == "chat" else asked.text.format
    assert wire.strict is True
    assert wire.schema["additionalProperties"] is False
    assert sorted(wire.schema["required"]) == ["name", "population"]


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_b1_a_wire_without_a_schema_mode_tells_the_model_in_words(
    surface: Surface, server: FakeServer, system: str | None
):
    """The answer is checked as ever."""
    server.replies(text('{"x": 1, "y": 2}'))

    answer = surface.generate(server.llm("deepseek"), "Where?", response_model=Point, system_prompt=system)

    first, prompt = server.requests[0].messages
    assert answer == Point(1, 2)
    assert (first.role, prompt.content) == ("system", "Where?")
    assert first.content.startswith(system or "Answer with JSON")
    assert '"title": "Point"' in first.content
    assert server.requests[0].json.get("response_format") in (None, {"type": "json_object"})


WRONG = {
    "not JSON": "Oslo, I think.",
    "another shape": '{"name": "Oslo"}',
    "another type": '{"name": "Oslo", "population": "many"}',
    "cut short": '{"name": "Os',
    "nothing": "",
}


@pytest.mark.parametrize("name", list(WRONG))
def test_b1_an_answer_of_another_shape_is_an_error_that_says_why(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    server.replies(text(WRONG[name]))

    with pytest.raises(StructuredOutputError) as raised:
        whole_or_stream.ask(surface, wire.llm(server), "Which?", response_model=City)

    assert raised.value.last_text == WRONG[name]
    assert raised.value.validation_error
    assert raised.value.attempts == 3
    assert (raised.value.provider, raised.value.model) == (wire.provider, "test-model")
    assert len(server.requests) == 3
    assert "does not follow the schema" in wire.sent(server.requests[1]).turns[-1][1]


CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "rivers": {"type": "array", "items": {"$ref": "#/$defs/river"}},
        "size": {"enum": ["small", "large"]},
    },
    "required": ["name", "rivers"],
    "$defs": {"river": {"type": "object", "properties": {"km": {"type": "number"}}, "required": ["km"]}},
}
NO_CITY = {
    "a missing property": ('{"rivers": []}', "name: is required"),
    "a wrong type further in": (
        '{"name": "Ulm", "rivers": [{"km": "2"}]}',
        "rivers.0.km: expected JSON of type",
    ),
    "a value that is not listed": ('{"name": "Ulm", "rivers": [], "size": "huge"}', "size: expected one of"),
}


@pytest.mark.parametrize("name", list(NO_CITY))
def test_b1_an_answer_to_a_plain_json_schema_is_sent_back_too(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    wrong, problem = NO_CITY[name]
    server.replies(text(wrong), text('{"name": "Ulm", "rivers": [{"km": 2}]}'))

    answer = whole_or_stream.ask(
        surface, wire.llm(server), "Which?", response_model=CITY, return_response=True
    )

    assert answer.parsed == {"name": "Ulm", "rivers": [{"km": 2}]}
    assert problem in wire.sent(server.requests[1]).turns[-1][1]


def test_b1_what_is_no_json_schema_is_refused_before_any_request(surface: Surface, server: FakeServer):
    with pytest.raises(ConfigurationError, match=r"no JSON Schema: 'required' cannot be"):
        surface.generate(server.llm(), "Which?", response_model={"type": "object", "required": "name"})
    assert server.requests == []


@pytest.mark.parametrize("model", ["City", 3, lambda: None])
def test_b1_what_is_no_type_is_refused_before_any_request(surface: Surface, server: FakeServer, model: Any):
    with pytest.raises(ConfigurationError, match="type"):
        surface.generate(server.llm(), "Which?", response_model=model)
    assert server.requests == []


def test_b1_a_wrong_answer_leaves_a_session_as_it_was(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("Oslo, I think."))
    session = BasicSession(wire.llm(server))

    with pytest.raises(StructuredOutputError):
        whole_or_stream.ask(surface, session, "Which?", response_model=City)

    assert session.messages == []
