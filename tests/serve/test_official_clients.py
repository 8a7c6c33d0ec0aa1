"""The vendors' own clients are at home at the gateway: they send, and they read what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pydantic
import pytest

from abstractcore import fallback
from abstractcore.errors import ServerError
from abstractcore.testing import ScriptedLLM, thinking, tool_call
from abstractcore.types import StreamChunk, Usage
from tests.fakes import any_wire
from tests.fakes.server import FakeServer

from .conftest import Serving
from .speakers import Speaker

Serve = Callable[..., Serving]
Speak = Callable[..., Speaker]
USAGE = Usage(7, 3, 10, 2, 1)


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_an_answer_comes_back_with_its_reasoning_and_its_tokens(
    serve: Serve, speak: Speak, stream: bool, dialect: str
) -> None:
    serving = serve([thinking("Hm."), "Hello", " you.", USAGE])

    said = speak(serving).ask(stream=stream)

    assert said.text == "Hello you."
    assert said.reasoning == "Hm."
    assert said.finish_reason == speak(serving).finished[0]
    # Anthropic tells apart what a cache gave.
    assert said.usage == ((5, 3) if dialect == "messages" else (7, 3))
    assert said.model == "scripted"
    assert said.pieces == (["Hello", " you."] if stream else [])


def test_the_model_reads_what_the_client_sent(serve: Serve, speak: Speak, dialect: str) -> None:
    llm = ScriptedLLM(["ok"])
    most = {"chat_completions": "max_completion_tokens", "responses": "max_output_tokens"}.get(dialect)

    # Anthropic's newest models take no sampling, so that its client has no names for it.
    sampling: Any = {"temperature": 0.5, "top_p": 0.9}
    given = {"extra_body": sampling} if dialect == "messages" else sampling

    speak(serve(models={"scripted": llm})).ask("How are you?", **given, **{most or "max_tokens": 20})

    (request,) = llm.requests
    assert request.prompt == "How are you?"
    assert (request.temperature, request.top_p, request.max_output_tokens) == (0.5, 0.9, 20)


def test_tools_are_offered_called_and_answered(
    serve: Serve, speak: Speak, stream: bool, dialect: str
) -> None:
    llm = ScriptedLLM([[tool_call("add", a=1), tool_call("add", a=2)], "Three."])
    speaker = speak(serve(models={"scripted": llm}))

    said = speaker.ask(stream=stream, **speaker.tools("add"))
    last = speaker.ask(stream=stream, **speaker.tools(), **speaker.after_a_call(said, ["1", "2"]))

    assert [(name, a if dialect == "messages" else json.loads(a)) for _, name, a in said.calls] == [
        ("add", {"a": 1}),
        ("add", {"a": 2}),
    ]
    assert said.finish_reason == speaker.finished[2]
    assert last.text == "Three."
    first, second = llm.requests
    assert (first.tool_names, first.tool_choice) == (["add"], "add")
    assert second.tool_results == ["1", "2"]
    assert second.system_prompt == "Be brief."
    assert [call["arguments"] for call in second.messages[-3].get("tool_calls", [])] == [{"a": 1}, {"a": 2}]


def test_a_schema_reaches_the_model(serve: Serve, speak: Speak, stream: bool) -> None:
    llm = ScriptedLLM([{"city": "Paris"}])
    speaker = speak(serve(models={"scripted": llm}))

    said = speaker.ask(stream=stream, **speaker.schema())

    assert json.loads(said.text) == {"city": "Paris"}
    schema = llm.requests[0].schema
    assert schema is not None
    assert schema.schema["properties"] == {"city": {"type": "string"}}


def test_an_answer_that_misses_the_schema_is_the_clients_to_judge(serve: Serve, speak: Speak) -> None:
    """It may have been streamed, so that nobody is asked again."""
    llm = ScriptedLLM(["no JSON"])
    speaker = speak(serve(models={"scripted": llm}))

    assert speaker.ask(stream=True, **speaker.schema()).text == "no JSON"
    assert len(llm.requests) == 1


@pytest.mark.parametrize(("reason", "index"), [("length", 1), ("content_filter", 3)])
def test_an_answer_that_was_cut_off_says_why(
    serve: Serve, speak: Speak, stream: bool, reason: Any, index: int
) -> None:
    serving = serve(["Well", StreamChunk("done", finish_reason=reason)])

    assert speak(serving).ask(stream=stream).finish_reason == speak(serving).finished[index]


def test_how_much_to_think_reaches_the_model(serve: Serve, speak: Speak, dialect: str) -> None:
    llm = ScriptedLLM(["ok", "ok"])
    speaker = speak(serve(models={"scripted": llm}))
    wanted: dict[str, Any] = {
        "chat_completions": {"reasoning_effort": "high"},
        "responses": {"reasoning": {"effort": "high"}},
        "messages": {"thinking": {"type": "enabled", "budget_tokens": 16_000}, "max_tokens": 20_000},
    }[dialect]

    speaker.ask(**wanted)
    speaker.ask()

    assert [request.thinking for request in llm.requests] == ["high", None]


def test_an_image_reaches_the_model(serve: Serve, speak: Speak, dialect: str) -> None:
    llm = ScriptedLLM(["A cat."])
    url = "data:image/png;base64,AAAA"
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    parts: dict[str, Any] = {
        "chat_completions": {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]}]},
        "responses": {"input": [{"role": "user", "content": [
            {"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": url}]}]},
        "messages": {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What?"}, {"type": "image", "source": source}]}]},
    }[dialect]  # fmt: skip

    speak(serve(models={"scripted": llm})).ask(**parts)

    content = llm.requests[0].messages[-1]["content"]
    assert content == [
        {"type": "text", "text": "What?"},
        {"type": "image", "data": "AAAA", "media_type": "image/png"},
    ]


def test_what_was_left_out_is_named(serve: Serve, speak: Speak, dialect: str) -> None:
    speaker = speak(serve("ok"))
    create = {
        "chat_completions": lambda: speaker.client.chat.completions,
        "responses": lambda: speaker.client.responses,
        "messages": lambda: speaker.client.messages,
    }[dialect]()
    body = speaker._body("Hi", "scripted", {"extra_body": {"colour": "blue"}})

    raw = create.with_raw_response.create(**body)

    assert raw.headers["x-abstractcore-warnings"] == "colour is not known here: ignored"


def test_the_models_are_listed_for_both_vendors(serve: Serve) -> None:
    serving = serve(models={"fast": ScriptedLLM([], model="m-1"), "local/x": ScriptedLLM([], model="m-2")})

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k") as client:
        assert [model.id for model in client.models.list()] == ["fast", "local/x"]
        assert client.models.retrieve("local/x").id == "local/x"
    with anthropic.Anthropic(base_url=serving.url, api_key="k") as other:
        assert [model.id for model in other.models.list()] == ["fast", "local/x"]
        assert other.models.retrieve("fast").display_name == "fast"


def test_a_model_is_found_by_its_own_id_where_that_is_one_models(serve: Serve, speak: Speak) -> None:
    one, two = (ScriptedLLM([str(number)] * 2, model=f"m-{number}") for number in (1, 2))
    speaker = speak(serve(models={"first": one, "second": two, "again": two}))

    assert speaker.ask(model="m-1").text == "1"
    with pytest.raises(speaker.errors.NotFoundError):
        speaker.ask(model="m-2")


def test_structured_output_is_parsed_by_the_client(serve: Serve) -> None:
    class Place(pydantic.BaseModel):
        city: str

    serving = serve(*[{"city": "Paris"}] * 3)

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k") as client:
        parsed = client.chat.completions.parse(
            model="scripted", messages=[{"role": "user", "content": "?"}], response_format=Place
        )
        assert parsed.choices[0].message.parsed == Place(city="Paris")
        response = client.responses.parse(model="scripted", input="?", text_format=Place)
        assert response.output_parsed == Place(city="Paris")
    with anthropic.Anthropic(base_url=serving.url, api_key="k") as other:
        message = other.messages.parse(
            model="scripted",
            max_tokens=50,
            messages=[{"role": "user", "content": "?"}],
            output_format=Place,
        )
        assert message.parsed_output == Place(city="Paris")


def test_the_clients_own_stream_helpers_read_a_whole_answer(serve: Serve) -> None:
    serving = serve(*[[thinking("Hm."), "Hi.", tool_call("add", a=1)]] * 2)

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k") as client:
        with client.responses.stream(model="scripted", input="?") as events:
            list(events)
            response = events.get_final_response()
        asked: Any = [{"role": "user", "content": "?"}]
        with client.chat.completions.stream(model="scripted", messages=asked) as chunks:
            list(chunks)
            completion = chunks.get_final_completion()

    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.output_text == "Hi."
    message = completion.choices[0].message
    assert message.content == "Hi."
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.name == "add"


async def test_the_async_clients_stream_too(serve: Serve) -> None:
    serving = serve(*["Hello there"] * 3)
    asked: Any = [{"role": "user", "content": "?"}]

    async with openai.AsyncOpenAI(base_url=f"{serving.url}/v1", api_key="k") as client:
        chunks = await client.chat.completions.create(model="scripted", messages=asked, stream=True)
        pieces = [chunk.choices[0].delta.content async for chunk in chunks]
        events = await client.responses.create(model="scripted", input="?", stream=True)
        last = [event.type async for event in events][-1]
    async with (
        anthropic.AsyncAnthropic(base_url=serving.url, api_key="k") as other,
        other.messages.stream(model="scripted", max_tokens=9, messages=asked) as stream,
    ):
        texts = [text async for text in stream.text_stream]

    assert pieces == ["", "Hello", " there", None]
    assert last == "response.completed"
    assert texts == ["Hello", " there"]


def test_a_remote_provider_stands_behind_every_dialect(
    serve: Serve, speak: Speak, stream: bool, server: FakeServer
) -> None:
    """The whole way: a client of one vendor, the gateway, another server's wire."""
    server.replies(any_wire.text("Hello.", usage={"input_tokens": 4, "output_tokens": 2}))
    serving = serve(models={"far": server.llm()})

    said = speak(serving).ask("Hi", stream=stream, model="far")

    assert (said.text, said.usage) == ("Hello.", (4, 2))
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Hi"}]
    assert bool(server.requests[0].json.get("stream")) is stream


def test_another_model_answers_for_one_that_fails(serve: Serve, speak: Speak, stream: bool) -> None:
    first, second = ScriptedLLM([ServerError("broken")]), ScriptedLLM(["from the second"])

    said = speak(serve(models={"sure": fallback([first, second])})).ask(stream=stream, model="sure")

    assert said.text == "from the second"


def test_half_a_character_ends_no_answer(serve: Serve, speak: Speak, stream: bool) -> None:
    """A model of one's own may give half of a surrogate pair, which no UTF-8 can hold."""
    said = speak(serve("A \ud83d smile")).ask(stream=stream)

    assert said.text == "A ? smile"


def test_a_failure_has_the_id_that_the_client_gave(serve: Serve, speak: Speak) -> None:
    speaker = speak(serve(ServerError("broken")))

    with pytest.raises(speaker.errors.APIStatusError) as failure:
        speaker.ask(extra_headers={"x-request-id": "mine-7"})

    assert failure.value.request_id == "mine-7"


def test_an_answer_has_an_id_of_its_own(serve: Serve) -> None:
    serving = serve("ok", "ok")

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k") as client:
        ids = [client.responses.create(model="scripted", input="?")._request_id for _ in range(2)]

    assert all(each is not None and each.startswith("req_") for each in ids)
    assert ids[0] != ids[1]
