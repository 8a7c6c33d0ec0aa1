"""CONTRACT B1 and E, response_model= where a wire has tools and no schema: the answer is a tool's call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import BaseModel

from abstractcore import BasicSession, StructuredOutputError, UnsupportedFeatureError, tool
from abstractcore.codecs.answer_tool import ANSWER_TOOL
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.providers.catalog import PROVIDERS
from tests.fakes.any_wire import call, calls, error, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Sent, check_is_valid, sent

MODELS = {"anthropic": "claude-3-7-sonnet-20250219", "by-tool": "some-model"}
OSLO = {"name": "Oslo", "population": 700_000}


class City(BaseModel):
    name: str
    population: int


@dataclass
class Point:
    x: int
    y: int


@tool
def look_up(city: str) -> str:
    """Look a city up."""
    return f"{city} has 700000 people."


Ask = Callable[..., Any]


@pytest.fixture(params=list(MODELS))
def llm(request: pytest.FixtureRequest, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Claude that no schema can be enforced on, and a row of chat completions that says the same."""
    row = replace(PROVIDERS["openai-compatible"], codec=OpenAIChat(schema_mode="tool"))
    monkeypatch.setitem(PROVIDERS._rows, "by-tool", row)
    return server.llm(request.param, MODELS[request.param], api_key="wire-key")


def answer(arguments: Any, **options: Any) -> Any:
    return calls([(ANSWER_TOOL, arguments)], **options)


def asked(server: FakeServer) -> list[Sent]:
    return [sent(request) for request in server.requests]


def test_b1_the_arguments_are_the_answer(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    server.replies(answer(OSLO, usage={"input_tokens": 11, "output_tokens": 5}))

    response = whole_or_stream.ask(surface, llm, "Which?", response_model=City, return_response=True)

    assert response.parsed == City(**OSLO)
    assert json.loads(response.content) == OSLO
    assert (response.tool_calls, response.finish_reason) == ([], "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 5)
    assert response.warnings == []


def test_b1_the_schema_is_sent_as_the_one_tool_and_forced(surface: Surface, server: FakeServer, llm: Any):
    server.replies(answer({"x": 1, "y": 2}))

    assert surface.generate(llm, "Where?", response_model=Point) == Point(1, 2)

    (request,) = asked(server)
    assert list(request.tools) == [ANSWER_TOOL] == [request.tool_choice]
    assert set(request.tools[ANSWER_TOOL]["parameters"]["properties"]) == {"x", "y"}
    assert request.turns == [("user", "Where?")]


def test_b1_a_list_is_wrapped_and_comes_back_as_a_list(surface: Surface, server: FakeServer, llm: Any):
    server.replies(answer({"value": [{"x": 1, "y": 2}]}))

    assert surface.generate(llm, "Where?", response_model=list[Point]) == [Point(1, 2)]


def test_b1_a_stream_gives_the_arguments_as_text_and_the_object_as_far_as_it_goes(
    surface: Surface, server: FakeServer, llm: Any
):
    server.replies(answer(OSLO))

    chunks = surface.stream(llm, "Which?", response_model=City)

    *texts, done = chunks
    assert {chunk.phase for chunk in texts} == {"generating"}
    assert len(texts) > 3
    assert json.loads("".join(chunk.content for chunk in texts)) == OSLO
    assert any(chunk.partial == {"name": "Oslo"} for chunk in texts)
    assert texts[-1].partial == OSLO
    assert done.finish_reason == "stop"


def test_b1_a_wrong_answer_is_sent_back_as_text_and_the_history_is_valid(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    server.replies(answer({"name": "Oslo"}), answer(OSLO))

    response = whole_or_stream.ask(surface, llm, "Which?", response_model=City, return_response=True)

    assert response.parsed == City(**OSLO)
    second = asked(server)[1]
    check_is_valid(second.items)
    assert second.kinds == ["user", "assistant", "user"]
    assert json.loads(second.items[1].text) == {"name": "Oslo"}
    assert "population" in second.last
    assert second.tool_choice == ANSWER_TOOL


WRONG = {"no JSON": '{"name": "Os', "no object": "[1]", "nothing": "{}"}


@pytest.mark.parametrize("name", list(WRONG))
def test_b1_after_three_wrong_answers_it_is_an_error(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream, name: str
):
    server.replies(answer(WRONG[name]))

    with pytest.raises(StructuredOutputError) as raised:
        whole_or_stream.ask(surface, llm, "Which?", response_model=City)

    assert (raised.value.attempts, raised.value.last_text) == (3, WRONG[name])
    for request in asked(server):
        check_is_valid(request.items)


def test_b1_a_model_that_answers_in_words_of_json_is_understood(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    """Some servers take a forced choice for advice."""
    server.replies(text(json.dumps(OSLO)))

    response = whole_or_stream.ask(surface, llm, "Which?", response_model=City, return_response=True)

    assert response.parsed == City(**OSLO)


def test_b1_where_the_server_refuses_to_force_the_tool_it_is_offered(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    server.replies(error(400, "Thinking mode does not support this tool_choice"), answer(OSLO))

    response = whole_or_stream.ask(surface, llm, "Which?", response_model=City, return_response=True)

    assert response.parsed == City(**OSLO)
    second = asked(server)[1]
    assert (list(second.tools), second.tool_choice) == ([ANSWER_TOOL], None)
    assert response.warnings == [f"tool_choice is not accepted by {llm.model}: left out"]


def test_b1_an_answer_that_is_cut_off_says_so(surface: Surface, server: FakeServer, llm: Any):
    server.replies(answer('{"name": "Os', finish_reason="length"))

    with pytest.raises(StructuredOutputError, match="cut off") as raised:
        surface.stream(llm, "Which?", response_model=City)
    assert raised.value.partial.finish_reason == "length"


def test_c_a_session_holds_a_text_and_no_call(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    server.replies(answer(OSLO), text("Yes."))
    session = BasicSession(llm)

    whole_or_stream.ask(surface, session, "Which?", response_model=City)
    surface.generate(session, "Sure?")

    assert [message["role"] for message in session.messages] == ["user", "assistant", "user", "assistant"]
    assert json.loads(session.messages[1]["content"]) == OSLO
    assert "tool_calls" not in session.messages[1]
    last = asked(server)[1]
    check_is_valid(last.items)
    assert (last.kinds, last.tools) == (["user", "assistant", "user"], {})


def test_e_the_callers_tools_are_offered_beside_it(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    server.replies(call("look_up", city="Oslo"), answer(OSLO))

    response = whole_or_stream.ask(
        surface, llm, "Which?", response_model=City, tools=[look_up], run_tools=True, return_response=True
    )

    assert response.parsed == City(**OSLO)
    first, second = asked(server)
    assert (list(first.tools), first.tool_choice) == (["look_up", ANSWER_TOOL], "required")
    check_is_valid(second.items)
    assert second.kinds == ["user", "call", "result"]


def test_e_a_call_beside_the_answer_is_run_and_the_answer_asked_for_again(
    surface: Surface, server: FakeServer, llm: Any, whole_or_stream: WholeOrStream
):
    """Both in one answer: the answer cannot know the result, and stays as the text before the call."""
    early = calls([("look_up", {"city": "Oslo"}), (ANSWER_TOOL, {"name": "Oslo", "population": 0})])
    server.replies(early, answer(OSLO))

    response = whole_or_stream.ask(
        surface, llm, "Which?", response_model=City, tools=[look_up], run_tools=True, return_response=True
    )

    assert response.parsed == City(**OSLO)
    second = asked(server)[1]
    check_is_valid(second.items)
    assert [item.name for item in second.all("call")] == ["look_up"]


def test_e_the_last_request_of_a_turn_forces_the_answer(surface: Surface, server: FakeServer, llm: Any):
    server.replies(call("look_up", city="Oslo"), answer(OSLO))

    found = surface.generate(
        llm, "Which?", response_model=City, tools=[look_up], run_tools=True, max_iterations=1
    )

    assert found == City(**OSLO)
    assert [request.tool_choice for request in asked(server)] == ["required", ANSWER_TOOL]


def test_b1_beside_thinking_the_schema_is_described(surface: Surface, server: FakeServer):
    """Anthropic refuses a forced call while the model thinks."""
    server.replies(text(json.dumps(OSLO), reasoning="Norway."))
    claude = server.llm("anthropic", MODELS["anthropic"], api_key="k")

    response = surface.generate(claude, "Which?", response_model=City, thinking=True, return_response=True)

    assert response.parsed == City(**OSLO)
    (request,) = asked(server)
    assert (request.tools, request.tool_choice) == ({}, None)
    assert "JSON Schema" in (request.system or "")
    assert "described to the model" in response.warnings[-1]


def test_b10_strict_takes_the_tool_and_refuses_a_description(surface: Surface, server: FakeServer, llm: Any):
    server.replies(answer(OSLO))
    strict = server.llm(llm.provider, llm.model, api_key="wire-key", strict=True)

    assert surface.generate(strict, "Which?", response_model=City) == City(**OSLO)
    with pytest.raises(UnsupportedFeatureError, match="schema"):
        surface.generate(strict, "Which?", response_model=City, tools=[look_up], tool_choice="required")
