"""A real server: `transformers serve` with a model of 107,000 parameters that knows nine chats by heart.

Its stream ends after a finish reason, without `[DONE]`. It needs PyTorch, which is large: `make test-all`
installs it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, create_llm
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.real.processes import free_url, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MODEL = Path(__file__).parents[1] / "models" / "tiny-llama-chat"
CHATS = {
    "Say hello in five words.": "Hello there my dear friend.",
    "hello": "Hello! How can I help you today?",
    "emoji": "naïve café 日本語 🙂",
    "Count to twenty.": " ".join(map(str, range(1, 21))),
}
WEATHER = "What is the weather in Paris? Use the get_weather tool."
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
# As it was told of in training; any other wording makes the model spell worse.
GET_WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NEEDED = ("torch", "transformers", "fastapi", "uvicorn")


@pytest.fixture(scope="module")
def transformers_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server, started on a free port and killed at the end."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(missing)} cannot be imported: `make test-all` installs it")
    folder = tmp_path_factory.mktemp("transformers")
    (folder / "hub").mkdir()
    url = free_url()
    serve = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    with running(
        [
            sys.executable,
            "-c",
            serve,
            "serve",
            str(MODEL),
            "--port",
            url.rpartition(":")[2],
            "--device",
            "cpu",
        ],
        ready=url + "/health",
        log=folder / "server.log",
        environment={"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)},
        seconds=120,
    ):
        yield url + "/v1"


@pytest.fixture
def llm(transformers_url: str, opened_llms: list[Any]) -> Any:
    llm = create_llm(
        "openai-compatible", str(MODEL), base_url=transformers_url, temperature=0, timeout=60, max_retries=0
    )
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
    assert whole.usage == streamed.usage
    assert (whole.usage.output_tokens or 0) > 0


def test_reasoning_is_split_from_the_answer(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    answer = whole_or_stream.ask(surface, llm, "think")

    assert (answer.content, answer.reasoning) == ("The answer is 42.", "First, I think.")


def test_a_turn_with_a_tool_is_read(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    call = {"id": "call_1", "name": "get_weather", "arguments": {"city": "Paris"}}
    session = BasicSession(llm, tools=[GET_WEATHER])
    session.messages += [
        {"role": "user", "content": WEATHER},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]

    result = {"role": "tool", "content": "sunny", "tool_call_id": "call_1"}
    answer = whole_or_stream.ask(surface, session, messages=[result])

    assert answer.content == "It is sunny in Paris."


def test_a_type_comes_back(surface: Surface, llm: Any):
    person = surface.generate(
        llm, "Make up a person. Reply as JSON with name and age.", response_model=PERSON
    )

    assert person == {"name": "Ada", "age": 36}


def test_an_answer_that_is_cut_says_so(surface: Surface, llm: Any, whole_or_stream: WholeOrStream):
    cut = whole_or_stream.ask(surface, llm, "Count to twenty.", max_output_tokens=5)

    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 5)


def test_concurrent_calls_keep_their_answers_apart(surface: Surface, llm: Any):
    answers = surface.gather(*(surface.later(llm, prompt) for prompt in CHATS), timeout=60)

    assert [answer.content for answer in answers] == list(CHATS.values())


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


def test_the_models_of_its_cache_are_listed(surface: Surface, llm: Any):
    assert surface.call(llm, "list_models") == []
    assert surface.call(llm, "health").ok
