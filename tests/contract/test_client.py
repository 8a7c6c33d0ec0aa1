"""D: client, chat and Client, on both surfaces and every wire; an aio client is the same history, awaited."""

import asyncio
from importlib.util import find_spec
from typing import Any

import pytest
from pydantic import BaseModel

import abstractcore
from abstractcore import (
    AsyncToolError,
    ClosedError,
    ConfigurationError,
    StreamChunk,
    aio,
    create_llm,
    models,
    tool,
)
from tests.fakes.any_wire import call, text
from tests.fakes.faults import hangs
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class City(BaseModel):
    name: str


def client(surface: Surface, llm: Any, **options: Any) -> Any:
    return (abstractcore.client if surface.name == "sync" else aio.client)(llm, **options)


def chunks(surface: Surface, made: Any, *args: Any, **options: Any) -> list[StreamChunk]:
    iterator = surface.iterate(surface.call(made, "chat", *args, stream=True, **options))
    return [chunk for chunk in iter(lambda: surface.step(iterator), None)]


def test_d2_chat_gives_the_text_and_keeps_the_history(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."), text("Hello."))
    made = client(surface, wire.llm(server), system="Be brief.")

    assert surface.call(made, "chat", "Hi there") == "Hi."
    assert surface.call(made, "chat", "What did I say?") == "Hello."
    assert wire.sent(server.requests[1]).turns == [
        ("system", "Be brief."),
        ("user", "Hi there"),
        ("assistant", "Hi."),
        ("user", "What did I say?"),
    ]
    assert [m["role"] for m in made.messages] == ["user", "assistant"] * 2
    assert made.usage.input_tokens


def test_d2_the_system_message_may_be_changed_and_reset_forgets(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(text("Hi."))
    made = client(surface, wire.llm(server), system="Be brief.")
    surface.call(made, "chat", "One")

    made.system_message = "Be long."
    made.reset()
    surface.call(made, "chat", "Two")

    assert wire.sent(server.requests[1]).turns == [("system", "Be long."), ("user", "Two")]
    assert made.messages[0]["content"] == "Two"


def test_d2_a_fork_goes_on_by_itself(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    made = client(surface, server.llm(), tools=[add])
    surface.call(made, "chat", "One")
    other = made.fork()
    surface.call(other, "chat", "Two")

    assert (len(made.messages), len(other.messages)) == (2, 4)
    assert other.tools == [add]
    assert type(other) is type(made)


def test_d2_tools_are_run(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(call("add", a=1, b=2), text("3"))
    made = client(surface, wire.llm(server), tools=[add])

    assert surface.call(made, "chat", "1 + 2?") == "3"
    assert [m["role"] for m in made.messages] == ["user", "assistant", "tool", "assistant"]
    assert wire.sent(server.requests[1]).all("result")[0].text == "3"


def test_d2_a_schema_gives_the_object(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text('{"name": "Oslo"}'))
    assert surface.call(client(surface, wire.llm(server)), "chat", "?", schema=City) == City(name="Oslo")


def test_d2_images_are_sent(surface: Surface, server: FakeServer):
    server.replies(text("A cat."))
    made = client(surface, server.llm())
    surface.call(made, "chat", "What is it?", images="https://example.com/cat.png", temperature=0)
    assert server.requests[0].json["messages"][0]["content"][0]["image_url"]["url"].endswith("cat.png")
    assert server.requests[0].json["temperature"] == 0


def test_d2_the_one_shot_form_keeps_nothing(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    llm = wire.llm(server)
    chat = abstractcore.chat if surface.name == "sync" else aio.chat
    for _ in range(2):
        assert surface.run(lambda: chat("Hello", model=llm, system="Be brief.")) == "Hi."
    assert wire.sent(server.requests[1]).turns == [("system", "Be brief."), ("user", "Hello")]


def test_d3_a_chat_streams_every_phase(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(call("add", a=1, b=2), text("Hi there.", reasoning="Hm."))
    made = client(surface, wire.llm(server), tools=[add])

    given = chunks(surface, made, "Hi")

    assert {chunk.phase for chunk in given} == {"thinking", "tool_calling", "generating", "done"}
    assert all(isinstance(chunk.content, str) for chunk in given)
    assert "".join(chunk.content for chunk in given if chunk.phase == "generating") == "Hi there."
    assert [chunk.is_done() for chunk in given].count(True) == 1
    assert given[-1].iteration == 1


@pytest.mark.parametrize(
    ("include", "wanted"),
    [
        ("generating", {"generating"}),
        (["generating"], {"generating"}),
        (("generating", "thinking"), {"generating", "thinking"}),
        ({"done": 1}.keys(), {"done"}),
        ([], set[str]()),
    ],
)
def test_d4_include_filters_and_the_history_is_recorded(
    surface: Surface, server: FakeServer, include: Any, wanted: set[str]
):
    server.replies(text("Hi.", reasoning="Hm."))
    made = client(surface, server.llm())

    assert {chunk.phase for chunk in chunks(surface, made, "Hi", include=include)} == wanted
    assert made.messages[-1]["content"] == "Hi."


@pytest.mark.parametrize("stream", [False, True])
def test_d4_an_unknown_phase_is_refused_at_the_call(surface: Surface, server: FakeServer, stream: bool):
    made = client(surface, server.llm())
    with pytest.raises(ValueError, match="unknown phase"):
        made.chat("Hi", stream=stream, include=["generatin"])
    assert server.requests == []


async def test_d5_a_stream_may_be_awaited_first_or_not(server: FakeServer):
    server.replies(text("Hi."))
    async with aio.client(server.llm()) as made:
        unawaited = [chunk.content async for chunk in made.chat("Hi", stream=True, include="generating")]
        awaited = [chunk.content async for chunk in await made.chat("Hi", stream=True, include="generating")]
        one_shot = [chunk.content async for chunk in aio.chat("Hi", model=made.llm, stream=True)]
    assert "".join(unawaited) == "".join(awaited) == "".join(one_shot) == "Hi."


async def test_d6_after_a_timeout_the_history_is_as_it_was(server: FakeServer):
    server.replies(hangs(), text("Hi."))
    made = aio.client(server.llm())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await made.chat("Hi")
    assert made.messages == []
    assert await made.chat("Hi") == "Hi."
    await made.aclose()


def test_h1_an_aio_client_of_a_sync_one_shares_its_state(server: FakeServer):
    server.replies(text("Hi."))
    made = abstractcore.client(server.llm(), system="Be brief.", tools=[add])
    wrapped = aio.client(made)
    wrapped.mcp_client = object()

    assert wrapped.messages is made.messages
    assert wrapped.tools is made.tools
    assert wrapped.mcp_client is made.mcp_client
    assert wrapped.llm is made.llm
    wrapped.mcp_client = None
    asyncio.run(wrapped.chat("Hi"))
    wrapped.system_message = "Be long."
    assert (len(made.messages), made.system_message) == (2, "Be long.")
    assert made.usage == wrapped.usage
    made.messages = made.messages[:1]
    made.tools = []
    assert wrapped.messages is made.messages
    assert (len(wrapped.messages), wrapped.tools) == (1, [])
    wrapped.reset()
    assert made.messages == []


@pytest.mark.parametrize(
    "model",
    [
        *("mlx:some/model", "openvino:model.gguf", "local", "LlamaCpp:x", "huggingface:x"),
        *models.HuggingFaceModel,
        *models.MLXModel,
        *models.LlamaCppModel,
    ],
)
def test_h1_a_model_in_this_process_is_not_loaded_twice(model: str):
    with pytest.raises(ValueError, match=r"aio\.client\(sync_client\)"):
        aio.client(model)
    with pytest.raises(ValueError, match=r"aio\.client\(sync_client\)"):
        aio.chat("Hi", model=model)


def test_h1_the_pattern_runs_on_a_model_in_this_process(tiny_model: str):
    with abstractcore.client(create_llm("openvino", tiny_model)) as made:
        wrapped = aio.client(made)
        assert (
            asyncio.run(wrapped.chat("What is the capital of France?")) == "The capital of France is Paris."
        )
        assert len(made.messages) == 2


@pytest.fixture
def tiny_model() -> str:
    if find_spec("openvino_genai") is None:
        pytest.skip("the openvino engine is not installed")
    return "tests/models/tiny-llama-chat.gguf"


def test_e2_an_async_tool_is_refused_when_a_sync_client_is_built(server: FakeServer):
    llm = server.llm()
    with pytest.raises(AsyncToolError, match=r"multiply.*abstractcore\.aio"):
        abstractcore.client(llm, tools=[multiply])
    made = abstractcore.client(llm)
    with pytest.raises(TypeError):  # which AsyncToolError is, and a ValueError
        made.tools = [multiply]
    for stream in (False, True):
        with pytest.raises(AsyncToolError):
            made.chat("Hi", tools=[multiply], stream=stream)
        with pytest.raises(AsyncToolError):
            abstractcore.chat("Hi", model=llm, tools=[multiply], stream=stream)
        with pytest.raises(AsyncToolError):
            abstractcore.Agent(made).run("Hi", tools=[multiply], stream=stream)
        with pytest.raises(AsyncToolError):
            llm.generate("Hi", tools=[multiply], run_tools=True, stream=stream)
    made.tools.append(multiply)
    with pytest.raises(ValueError, match="multiply"):
        made.chat("Hi")
    assert server.requests == []


def test_names_know_their_provider(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    with abstractcore.client(models.OpenAIModel.GPT_5_MINI) as made:
        assert (made.llm.provider, made.llm.model) == ("openai", "gpt-5-mini")


def test_a5_options_of_a_model_that_is_made_already_are_refused(surface: Surface, server: FakeServer):
    """A5: they would have no effect."""
    llm = server.llm()
    with pytest.raises(ConfigurationError, match="temperature"):
        client(surface, llm, temperature=0)
    sync_client = abstractcore.client(llm)
    with pytest.raises(ConfigurationError, match="temperature"):
        aio.client(sync_client, temperature=0)
    with pytest.raises(ConfigurationError, match="async one already"):
        aio.client(aio.client(llm))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="a sync one already"):
        abstractcore.client(sync_client)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="the other way"):
        abstractcore.client(aio.client(llm))  # pyright: ignore[reportArgumentType]


def test_a_closed_client_says_so(surface: Surface, server: FakeServer):
    made = client(surface, server.llm())
    surface.call(made, "close")
    with pytest.raises(ClosedError):
        surface.call(made, "chat", "Hi")
