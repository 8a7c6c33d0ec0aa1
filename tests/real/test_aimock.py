"""aimock, a server that others wrote, speaks both wires of OpenAI, Anthropic's, Ollama's and OpenRouter's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.real.aimock_dialects import DIALECTS, Aimock

FIXTURES = json.loads((Path(__file__).parent / "aimock" / "answers.json").read_text())["fixtures"]
ANSWERS = {fixture["match"]["userMessage"]: fixture["response"] for fixture in FIXTURES}
GET_WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
GET_TIME = {"name": "get_time", "description": "Tell the time.", "parameters": {"type": "object"}}
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


@pytest.mark.parametrize("prompt", ["hello", "characters", "Write at length"])
def test_it_answers_whole_and_streamed_alike(surface: Surface, aimock: Aimock, prompt: str):
    llm = aimock.llm()

    whole = surface.generate(llm, prompt)
    with surface.open_stream(llm, prompt) as stream:
        words = [chunk.content for chunk in stream.rest()]
        streamed = stream.response

    assert whole.content == streamed.content == "".join(words) == ANSWERS[prompt]["content"]
    assert (whole.finish_reason, streamed.finish_reason) == ("stop", "stop")
    assert whole.usage == streamed.usage
    assert whole.model == streamed.model == aimock.dialect.model


def test_the_system_prompt_arrives(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    session = BasicSession(aimock.llm(), "You serve Ada.")

    assert whole_or_stream.ask(surface, session, "Whom do you serve?").content == "Ada."


def test_tokens_are_counted(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    usage = whole_or_stream.ask(surface, aimock.llm(), "hello").usage

    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == aimock.dialect.tokens


def test_reasoning_is_apart_from_the_answer(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    answer = whole_or_stream.ask(surface, aimock.llm(thinking=True), "Think first")

    thought = "First, I think: six times seven. 🤔" if aimock.dialect.thinks else None
    assert (answer.content, answer.reasoning) == ("The answer is 42.", thought)


def test_tools_are_called_and_their_results_read(
    surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream
):
    session = BasicSession(aimock.llm(), tools=[GET_WEATHER])

    asked = whole_or_stream.ask(surface, session, "How is the weather in Paris and Tokyo?")
    paris, tokyo = asked.tool_calls
    assert (asked.content, asked.finish_reason) == ("Let me look.", "tool_calls")
    assert asked.reasoning == ("A tool knows that." if aimock.dialect.thinks else None)
    assert (paris.name, paris.arguments) == ("get_weather", {"city": "Paris", "days": [1, 2]})
    assert (tokyo.name, tokyo.arguments) == ("get_weather", {"city": '東京 "Tōkyō" 🙂'})

    results = [
        {"role": "tool", "content": "sun in Paris", "tool_call_id": paris.id},
        {"role": "tool", "content": "rain in Tokyo", "tool_call_id": tokyo.id},
    ]
    answer = whole_or_stream.ask(surface, session, messages=results)
    assert (answer.content, answer.finish_reason) == ("Paris is sunny, Tokyo is wet.", "stop")
    assert aimock.statuses() == [200, 200]


def test_a_call_without_arguments_and_its_result(
    surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream
):
    session = BasicSession(aimock.llm(), tools=[GET_TIME])

    asked = whole_or_stream.ask(surface, session, "What is the time?")
    (call,) = asked.tool_calls
    assert (asked.content, call.name, call.arguments) == ("", "get_time", {})

    result = {"role": "tool", "content": "noon", "tool_call_id": call.id}
    assert whole_or_stream.ask(surface, session, messages=[result]).content == "It is noon."


def test_a_call_may_come_before_the_text(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    answer = whole_or_stream.ask(surface, aimock.llm(), "Look, then call", tools=[GET_TIME])

    assert (answer.content, [call.name for call in answer.tool_calls]) == ("I have called.", ["get_time"])


def test_a_type_comes_back(surface: Surface, aimock: Aimock):
    assert (
        surface.generate(aimock.llm(), "Make up a person", response_model=PERSON)
        == ANSWERS["Make up a person"]["content"]
    )


def test_an_answer_that_is_cut_says_so(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    answer = whole_or_stream.ask(surface, aimock.llm(), "Count")

    assert (answer.content, answer.finish_reason) == ("1 2 3 4 5", aimock.dialect.cut)


def test_concurrent_calls_keep_their_answers_apart(surface: Surface, aimock: Aimock):
    llm = aimock.llm()
    prompts = ["hello", "Write at length", "characters"] * 7

    answers = surface.gather(*(surface.later(llm, prompt) for prompt in prompts), timeout=20)

    assert [answer.content for answer in answers] == [ANSWERS[prompt]["content"] for prompt in prompts]


def test_a_stream_left_in_the_middle_leaves_the_llm_usable(surface: Surface, aimock: Aimock):
    llm = aimock.llm()

    taken, stream = surface.take(llm, 2, "Write at length")

    assert len(taken) == 2
    assert ANSWERS["Write at length"]["content"].startswith(stream.partial.content)
    assert surface.generate(llm, "hello").content == ANSWERS["hello"]["content"]


def test_models_are_listed_and_the_server_is_healthy(surface: Surface, aimock: Aimock):
    llm = aimock.llm()

    assert surface.call(llm, "list_models")
    assert surface.call(llm, "health").ok


def test_a_conversation_moves_through_every_dialect(
    surface: Surface, aimock_url: str, opened_llms: list[Any], whole_or_stream: WholeOrStream
):
    """aimock's own check of the messages refuses what is no turn of the wire."""
    session = BasicSession(None, "Be brief.", tools=[GET_WEATHER])
    for dialect in [*DIALECTS.values(), *DIALECTS.values()]:
        session.provider = Aimock(aimock_url, dialect, opened_llms).llm()
        asked = whole_or_stream.ask(surface, session, "How is the weather in Paris and Tokyo?")
        results = [
            {"role": "tool", "content": f"{here} in {city}", "tool_call_id": call.id}
            for here, city, call in zip(("sun", "rain"), ("Paris", "Tokyo"), asked.tool_calls, strict=True)
        ]
        answer = whole_or_stream.ask(surface, session, messages=results)
        assert (answer.content, answer.provider) == ("Paris is sunny, Tokyo is wet.", dialect.provider)
