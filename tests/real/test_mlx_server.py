"""A real server: `mlx_lm.server` with a model of 107,000 parameters that knows nine chats by heart."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, ModelNotFoundError, create_llm
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.real.processes import absent, free_url, running

MODEL = Path(__file__).parents[1] / "models" / "tiny-llama-chat"
CHATS = {
    "Say hello in five words.": "Hello there my dear friend.",
    "hello": "Hello! How can I help you today?",
    "What is the capital of France?": "The capital of France is Paris.",
    "emoji": "naïve café 日本語 🙂",
    "Count to twenty.": " ".join(map(str, range(1, 21))),
}
WEATHER = "What is the weather in Paris? Use the get_weather tool."
PERSON = "Make up a person. Reply as JSON with name and age."
# As it was told of in training; any other wording makes the model spell worse.
GET_WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(scope="session")
def mlx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server, started on a free port and killed at the end."""
    if importlib.util.find_spec("mlx_lm") is None:
        absent("mlx_lm is not installed: pip install 'abstractcore[mlx]'")
    url = free_url()
    command = [sys.executable, "-m", "mlx_lm.server", "--model", str(MODEL), "--host", "127.0.0.1"]
    with running(
        [*command, "--port", url.rpartition(":")[2]],
        ready=url + "/v1/models",
        log=tmp_path_factory.mktemp("mlx") / "server.log",
        environment={"HF_HUB_OFFLINE": "1"},
        cannot_run=("ImportError", "ModuleNotFoundError"),
    ):
        yield url + "/v1"


@pytest.fixture
def llm(mlx_url: str, opened_llms: list[Any]) -> Any:
    llm = create_llm("openai-compatible", "default_model", base_url=mlx_url, temperature=0, timeout=30)
    opened_llms.append(llm)
    return llm


@pytest.mark.parametrize("prompt", list(CHATS))
def test_it_answers_whole_and_streamed_alike(surface: Surface, llm: Any, prompt: str):
    whole = surface.generate(llm, prompt)
    with surface.open_stream(llm, prompt) as stream:
        words = "".join(chunk.content for chunk in stream.rest())
        streamed = stream.response

    assert whole.content == streamed.content == words == CHATS[prompt]
    assert (whole.finish_reason, streamed.finish_reason) == ("stop", "stop")
    assert whole.usage.input_tokens == streamed.usage.input_tokens
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    assert (whole.usage.output_tokens or 0) > 0


def test_concurrent_calls_keep_their_answers_apart(surface: Surface, llm: Any):
    answers = surface.gather(*(surface.later(llm, prompt) for prompt in CHATS), timeout=20)

    assert [answer.content for answer in answers] == list(CHATS.values())


def test_reasoning_is_split_from_the_answer(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    answer = whole_or_stream.ask(surface, llm, "think")

    assert (answer.content, answer.reasoning) == ("The answer is 42.", "First, I think.")


def test_a_tool_is_called_and_its_result_read(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    session = BasicSession(llm, tools=[GET_WEATHER])

    asked = whole_or_stream.ask(surface, session, WEATHER)
    (call,) = asked.tool_calls
    assert (call.name, call.arguments) == ("get_weather", {"city": "Paris"})
    assert (asked.content, asked.finish_reason) == ("", "tool_calls")

    result = {"role": "tool", "content": "sunny", "tool_call_id": call.id}
    answer = whole_or_stream.ask(surface, session, messages=[result])
    assert answer.content == "It is sunny in Paris."
    assert [message["role"] for message in session.messages] == ["user", "assistant", "tool", "assistant"]


def test_a_type_comes_back(surface: Surface, llm: Any):
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}

    assert surface.generate(llm, PERSON, response_model=schema) == {"name": "Ada", "age": 36}


def test_the_length_and_a_stop_are_kept(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    cut = whole_or_stream.ask(surface, llm, "Count to twenty.", max_output_tokens=5)
    stopped = whole_or_stream.ask(surface, llm, "Count to twenty.", stop=[" 5"])

    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 5)
    assert stopped.content.rstrip() == "1 2 3 4"


def test_a_session_keeps_its_turns(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    session = BasicSession(llm)

    first = whole_or_stream.ask(surface, session, "hello")
    second = whole_or_stream.ask(surface, session, "hello")

    assert first.content == CHATS["hello"]
    assert second.usage.input_tokens > first.usage.input_tokens
    assert len(session.messages) == 4


def test_a_stream_left_in_the_middle_leaves_the_server_usable(surface: Surface, llm: Any):
    taken, stream = surface.take(llm, 2, "Count to twenty.")

    assert len(taken) == 2
    assert CHATS["Count to twenty."].startswith(stream.partial.content)
    assert surface.generate(llm, "hello").content == CHATS["hello"]


async def test_a_cancel_in_the_middle_leaves_the_server_usable(llm: Any):
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in llm.agenerate("Count to twenty.", stream=True):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await llm.agenerate("hello")).content == CHATS["hello"]
    await llm.aclose()


def test_a_model_that_does_not_exist_is_not_found(
    surface: Surface, mlx_url: str, opened_llms: list[Any], whole_or_stream: WholeOrStream
):
    llm = create_llm("openai-compatible", "no/such-model", base_url=mlx_url)
    opened_llms.append(llm)

    with pytest.raises(ModelNotFoundError) as raised:
        whole_or_stream.ask(surface, llm, "hello")

    assert (raised.value.status_code, raised.value.model, raised.value.attempts) == (404, "no/such-model", 1)
