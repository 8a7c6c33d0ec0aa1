"""A call as OpenTelemetry sees it, with its real SDK, on both surfaces, whole and streamed."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from abstractcore import BasicSession, IncompleteStreamError, create_llm, fallback
from abstractcore.errors import RateLimitError
from abstractcore.testing import ScriptedLLM, thinking
from tests.fakes.any_wire import call, error, held_after, text, unfinished
from tests.fakes.replies import Reply, WaitFor, whole
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.tracing.conftest import Kept

TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat.gguf"
PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
DURATION = "gen_ai.client.operation.duration"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


def test_a_call_is_a_span(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(text("Hello", usage={"input_tokens": 4, "output_tokens": 6}))
    llm = server.llm()

    whole_or_stream.ask(surface, llm, PROMPT, temperature=0.5, stop=["END"], max_output_tokens=9, seed=7)

    [span] = kept.spans
    assert (span.name, span.kind) == ("chat test-model", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "abstractcore"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai-compatible",
        "gen_ai.request.model": "test-model",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.response.model": "test-model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 6,
        "server.address": "127.0.0.1",
        "server.port": server.port,
    }
    told = dict(span.attributes or {})
    assert expected.items() <= told.items()
    assert ("gen_ai.response.time_to_first_chunk" in told) is whole_or_stream.streams
    assert ("gen_ai.request.stream" in told) is whole_or_stream.streams


def test_a_call_is_counted(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(text("Hello", usage={"input_tokens": 4, "output_tokens": 6}))

    whole_or_stream.ask(surface, server.llm(), PROMPT)

    [seconds] = kept.points(DURATION)
    assert seconds.count == 1
    assert seconds.attributes["gen_ai.request.model"] == "test-model"
    assert seconds.explicit_bounds[0] == 0.01
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum for point in kept.points("gen_ai.client.token.usage")
    }
    assert tokens == {"input": 4, "output": 6}
    first = kept.points("gen_ai.client.operation.time_to_first_chunk")
    assert len(first) == int(whole_or_stream.streams)


def test_nobody_s_words_are_kept_unless_asked_for(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(text("a secret answer"), error(400, message=f"what is {PROMPT}?"))
    llm = server.llm(api_key=KEY)

    whole_or_stream.ask(surface, llm, PROMPT, system_prompt="a secret system prompt")
    surface.gather(surface.later(llm, PROMPT))

    everything = "".join(span.to_json() for span in kept.spans)
    for words in (PROMPT, "secret", KEY):
        assert words not in everything
    assert kept.spans[1].status.description == "BadRequestError (400)"


@pytest.mark.parametrize("value", ["true", "SPAN_ONLY", "span_and_event"])
def test_words_are_kept_when_the_program_asks(
    kept: Kept, surface: Surface, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CAPTURE, value)
    llm = ScriptedLLM([[thinking("Hm."), "Hello."]])
    image = {"type": "image", "url": "https://example.com/a.png"}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look."}, image]}]

    surface.generate(llm, messages=messages, system_prompt="Be kind.")

    told: Any = kept.span("chat scripted").attributes
    assert json.loads(told["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    [asked] = json.loads(told["gen_ai.input.messages"])
    assert asked["role"] == "user"
    assert [part["type"] for part in asked["parts"]] == ["text", "uri"]
    [answer] = json.loads(told["gen_ai.output.messages"])
    assert answer["parts"] == [
        {"type": "reasoning", "content": "Hm."},
        {"type": "text", "content": "Hello."},
    ]
    assert answer["finish_reason"] == "stop"


def test_the_call_is_in_the_span_of_the_program(kept: Kept, surface: Surface, server: FakeServer) -> None:
    server.replies(text("one"), text("two"))
    llm = server.llm()

    def sync() -> None:
        with kept.tracer().start_as_current_span("request"):
            llm.generate("Hi")
            for _ in llm.generate("Hi", stream=True):
                assert trace.get_current_span().name == "request"  # pyright: ignore[reportAttributeAccessIssue]

    async def awaited() -> None:
        with kept.tracer().start_as_current_span("request"):
            await llm.agenerate("Hi")
            async for _ in llm.agenerate("Hi", stream=True):
                assert trace.get_current_span().name == "request"  # pyright: ignore[reportAttributeAccessIssue]

    surface.run(sync if surface.name == "sync" else awaited)

    assert sorted(kept.names) == ["chat test-model", "chat test-model", "request"]
    assert [kept.parent(span) for span in kept.spans] == ["request", "request", None]


def test_calls_side_by_side_are_each_in_their_own_span(
    kept: Kept, surface: Surface, server: FakeServer
) -> None:
    """Of threads and of tasks: no span leaks from one into another."""
    server.replies(*[text("Hello") for _ in range(6)])
    llm = server.llm()

    def sync(number: int) -> Any:
        def work() -> None:
            with kept.tracer().start_as_current_span(f"request {number}"):
                for _ in llm.generate("Hi", stream=True):
                    pass

        return work

    def awaited(number: int) -> Any:
        async def work() -> None:
            with kept.tracer().start_as_current_span(f"request {number}"):
                async for _ in llm.agenerate("Hi", stream=True):
                    pass

        return work

    make = sync if surface.name == "sync" else awaited
    assert surface.gather(*[make(number) for number in range(6)]) == [None] * 6

    parents = [kept.parent(span) for span in kept.spans if span.name.startswith("chat")]
    assert sorted(map(str, parents)) == [f"request {number}" for number in range(6)]


def test_callbacks_are_called_in_the_span(kept: Kept, surface: Surface, server: FakeServer) -> None:
    """So that a line of log that one writes has the trace's id."""
    server.replies(text("Hello"))
    llm = server.llm()
    seen: list[Any] = []
    llm.on("response", lambda event: seen.append(trace.get_current_span()))

    surface.generate(llm, "Hi")

    assert [span.name for span in seen] == ["chat test-model"]


def test_retries_are_moments_of_the_one_span(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(error(503), error(429), text("Hello"))

    whole_or_stream.ask(surface, server.llm(max_retries=2), PROMPT)

    [span] = kept.spans
    assert span.status.status_code is StatusCode.UNSET
    assert [event.name for event in span.events] == ["abstractcore.retry"] * 2
    assert [dict(event.attributes or {}) for event in span.events] == [
        {
            "abstractcore.attempt": 2,
            "error.type": "abstractcore.errors.ServerError",
            "http.response.status_code": 503,
        },
        {
            "abstractcore.attempt": 3,
            "error.type": "abstractcore.errors.RateLimitError",
            "http.response.status_code": 429,
        },
    ]


def test_a_failed_call_says_how(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(error(429))

    with pytest.raises(RateLimitError):
        whole_or_stream.ask(surface, server.llm(max_retries=0), PROMPT)

    [span] = kept.spans
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "abstractcore.errors.RateLimitError"
    [seconds] = kept.points(DURATION)
    assert seconds.attributes["error.type"] == "abstractcore.errors.RateLimitError"


def test_a_stream_that_breaks_is_an_error(kept: Kept, surface: Surface, server: FakeServer) -> None:
    server.replies(unfinished("half"))

    with surface.open_stream(server.llm(), PROMPT) as stream, pytest.raises(IncompleteStreamError):
        stream.rest()

    [span] = kept.spans
    assert (span.attributes or {})["error.type"] == "abstractcore.errors.IncompleteStreamError"


def test_a_stream_that_is_left_ends_its_span_without_an_error(
    kept: Kept, surface: Surface, server: FakeServer
) -> None:
    gate = threading.Event()
    server.replies(held_after(text("one two", piece=4), "one ", gate))
    llm = server.llm()

    surface.take(llm, 1, PROMPT)
    surface.wait_for(server, lambda server: kept.spans, timeout=10)
    gate.set()

    [span] = kept.spans
    assert span.status.status_code is StatusCode.UNSET
    assert "gen_ai.response.finish_reasons" not in (span.attributes or {})


def test_a_cancelled_call_says_so(kept: Kept, server: FakeServer) -> None:
    gate = threading.Event()
    server.replies(text("Hello there").after(WaitFor(gate)))
    llm = server.llm()

    async def main() -> None:
        task = asyncio.ensure_future(llm.agenerate(PROMPT))
        await server.until(lambda server: server.requests, timeout=10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    gate.set()

    [span] = kept.spans
    assert (span.attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.status.status_code is StatusCode.ERROR


def get_weather(city: str) -> str:
    """Tell the weather."""
    with trace.get_tracer("the program").start_as_current_span("lookup"):
        return f"Sun in {city}."


def test_the_rounds_of_a_session_are_calls_and_tools(
    kept: Kept, surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(call("get_weather", city="Oslo"), text("Sunny."))
    session = BasicSession(server.llm(), tools=[get_weather])

    whole_or_stream.ask(surface, session, PROMPT, run_tools=True)

    assert kept.names == ["chat test-model", "execute_tool get_weather", "lookup", "chat test-model"]
    tool = kept.span("execute_tool get_weather")
    assert tool.kind is SpanKind.INTERNAL
    assert (tool.attributes or {})["gen_ai.tool.description"] == "Tell the weather."
    assert kept.parent(kept.span("lookup")) == "execute_tool get_weather"
    assert "Oslo" not in "".join(span.to_json() for span in kept.spans)
    [seconds] = kept.points("gen_ai.execute_tool.duration")
    assert seconds.attributes == {"gen_ai.tool.name": "get_weather", "gen_ai.tool.type": "function"}


def test_each_that_is_asked_by_a_fallback_has_its_span(
    kept: Kept, surface: Surface, server: FakeServer
) -> None:
    server.replies(error(500), text("Hello"))
    llm = fallback([server.llm(max_retries=0), server.llm(model="other")])

    surface.generate(llm, PROMPT)

    assert kept.names == ["chat test-model", "chat other"]
    assert [span.status.status_code for span in kept.spans] == [StatusCode.ERROR, StatusCode.UNSET]


def test_a_model_in_this_process_has_no_server(kept: Kept, surface: Surface) -> None:
    surface.generate(ScriptedLLM(["Hello."]), PROMPT)

    span = kept.span("chat scripted")
    assert span.kind is SpanKind.INTERNAL
    assert "server.address" not in (span.attributes or {})


def test_a_call_that_is_not_sampled_is_counted_all_the_same(
    kept: Kept, surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    server.replies(text("Hello"))

    surface.generate(server.llm(), PROMPT)

    assert kept.spans == []
    assert len(kept.points(DURATION)) == 1


def test_a_program_can_leave_us_out(
    kept: Kept, surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "requests, abstractcore")
    server.replies(text("Hello"))

    surface.generate(server.llm(), PROMPT)

    assert kept.spans == []


def test_a_model_of_google_s_is_named_as_the_conventions_do(kept: Kept, server: FakeServer) -> None:
    server.replies(text("Hello"))

    with create_llm("gemini", "g", base_url=f"{server.url}/v1") as llm:
        llm.generate(PROMPT)

    assert (kept.spans[0].attributes or {})["gen_ai.provider.name"] == "gcp.gemini"


def test_embeddings_are_one_span(kept: Kept, surface: Surface, server: FakeServer) -> None:
    """However many requests they take."""

    def vectors(request: Recorded | None) -> Any:
        assert request is not None
        data = [{"index": at, "embedding": [1.0, 2.0]} for at, _ in enumerate(request.json["input"])]
        body = {"model": "small", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
        return whole(200, body).steps(request)

    server.replies(Reply(vectors))
    llm = server.llm(model="small")

    surface.call(llm, "embed", ["a", "b", "c"], batch_size=2)

    [span] = kept.spans
    assert (span.name, span.kind) == ("embeddings small", SpanKind.CLIENT)
    told = dict(span.attributes or {})
    assert told["gen_ai.usage.input_tokens"] == 6
    assert told["gen_ai.embeddings.dimension.count"] == 2
    assert told["server.port"] == server.port
    [tokens] = kept.points("gen_ai.client.token.usage")
    assert (tokens.attributes["gen_ai.token.type"], tokens.sum) == ("input", 6)


def test_a_vendor_s_client_says_where_it_asks(kept: Kept, server: FakeServer) -> None:
    openai = pytest.importorskip("openai")
    server.replies(text("Hello"))

    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="k") as client,
        create_llm("openai", "m", client=client, api="chat") as llm,
    ):
        llm.generate(PROMPT)

    told = dict(kept.spans[0].attributes or {})
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", server.port)


@pytest.mark.skipif(find_spec("openvino_genai") is None, reason="openvino is not installed")
def test_a_real_model_in_this_process_is_traced(kept: Kept, surface: Surface) -> None:
    with create_llm("openvino", str(TINY), max_output_tokens=8) as llm:
        surface.stream(llm, "hello")

    [span] = kept.spans
    told = dict(span.attributes or {})
    assert (span.name, span.kind) == (f"chat {TINY}", SpanKind.INTERNAL)
    assert told["gen_ai.provider.name"] == "openvino"
    assert told["gen_ai.usage.output_tokens"] > 0
    assert told["gen_ai.response.time_to_first_chunk"] > 0
