"""CONTRACT B1, B2, B4, B6, B12: what is asked, and what comes back, on every wire."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import (
    LLM,
    BasicSession,
    ConfigurationError,
    GenerateResponse,
    ToolCall,
    Usage,
)
from abstractcore.generation.ask import SAMPLING
from tests.fakes.any_wire import call, calls, error, text
from tests.fakes.replies import Reply, WaitFor
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, Wire, sent

MANY = 24
FOREIGN = "Déjà vu: 日本語 🙂\n\n  indented"


# ---- B1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LLM, BasicSession])
def test_b1_generate_and_agenerate_take_the_same_arguments(kind: type[Any]):
    whole, awaited = inspect.signature(kind.generate), inspect.signature(kind.agenerate)

    assert list(whole.parameters) == list(awaited.parameters)
    assert set(SAMPLING) == {
        "temperature", "top_p", "top_k", "seed", "stop", "max_output_tokens", "presence_penalty",
        "frequency_penalty", "thinking", "extra",
    }  # fmt: skip


def test_b1_agenerate_is_a_plain_def():
    """So that a wrong argument is raised at the call, and no coroutine is left unawaited."""
    assert not inspect.iscoroutinefunction(LLM.agenerate)
    assert not inspect.iscoroutinefunction(BasicSession.agenerate)


def test_b1_every_sampling_argument_reaches_the_wire(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))
    sampling = {
        "temperature": 0.25,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "stop": ["END", "###"],
        "max_output_tokens": 64,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
    }

    answer = whole_or_stream.ask(surface, wire.llm(server), "hello", **sampling)

    taken = {name: value for name, value in sampling.items() if name not in wire.lacks}
    assert wire.sent(server.requests[0]).sampling == taken
    assert sorted(warning.split()[0] for warning in answer.warnings) == sorted(wire.lacks)


# What stands in every request.
ALWAYS_SENT = {
    "openai_chat": {"model", "messages"},
    "openai_responses": {"model", "input", "store", "include"},
    "anthropic_messages": {"model", "messages", "max_tokens"},
    "ollama_chat": {"model", "messages", "stream"},
}


def test_b1_what_is_not_given_is_not_sent(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))

    surface.generate(wire.llm(server), "hello", temperature=None, seed=None)

    assert set(server.requests[0].json) == ALWAYS_SENT[wire.name]


def test_b1_messages_and_system_prompt_come_before_the_prompt(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(text("Hi."))
    history = [{"role": "user", "content": "One."}, {"role": "assistant", "content": "Two."}]

    surface.generate(wire.llm(server), "Three.", messages=history, system_prompt="Count.")

    assert wire.sent(server.requests[0]).turns == [
        ("system", "Count."), ("user", "One."), ("assistant", "Two."), ("user", "Three."),
    ]  # fmt: skip


def test_b1_messages_alone_are_enough(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))

    surface.generate(wire.llm(server), messages=[{"role": "user", "content": "hello"}])

    assert wire.sent(server.requests[0]).turns == [("user", "hello")]


@pytest.mark.parametrize("options", [{}, {"stream": True}, {"messages": []}])
def test_b1_nothing_to_send_is_refused_before_any_request(
    surface: Surface, server: FakeServer, options: dict[str, Any]
):
    with pytest.raises(ConfigurationError, match="nothing to send"):
        surface.generate(server.llm(), **options)
    assert server.requests == []


@pytest.mark.parametrize("include", ["thinkin", ["done", "talking"]])
@pytest.mark.parametrize("stream", [False, True])
def test_b1_an_unknown_phase_is_a_value_error_at_the_call(
    surface: Surface, server: FakeServer, include: Any, stream: bool
):
    with pytest.raises(ValueError, match="unknown phase"):
        surface.generate(server.llm(), "hello", include=include, stream=stream)
    assert server.requests == []


async def test_b1_wrong_arguments_are_raised_at_the_call_of_agenerate(server: FakeServer):
    """Not when it is awaited: nothing is left to warn of a coroutine that was never awaited."""
    llm = server.llm()

    for wrong in ({"temperature": -1}, {"timeout": 0}, {"thinking": "hard"}, {"stop": 3}, {"extra": 1}):
        with pytest.raises(ConfigurationError):
            llm.agenerate("hello", **wrong)
    await llm.aclose()


# ---- B2, B4 ----------------------------------------------------------------------------------


def test_b2_the_response_has_every_field(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    usage = {"input_tokens": 9, "output_tokens": 12, "cached_tokens": 4, "reasoning_tokens": 5}
    server.replies(
        text("Paris.", reasoning="France.", usage=usage, model="m-2026", headers={"x-request-id": "req-1"})
    )

    answer = whole_or_stream.ask(surface, wire.llm(server), "Capital?")

    assert isinstance(answer, GenerateResponse)
    assert (answer.content, answer.reasoning, answer.tool_calls) == ("Paris.", "France.", [])
    assert answer.finish_reason == "stop"
    details = (None, None) if wire.name == "ollama_chat" else (4, 5)
    written = 0 if wire.name == "anthropic_messages" else None
    assert answer.usage == Usage(9, 12, 21, *details, cache_write_tokens=written)
    assert (answer.model, answer.provider, answer.request_id) == ("m-2026", wire.provider, "req-1")
    assert answer.gen_time is not None
    assert 0 < answer.gen_time < 10_000
    assert answer.warnings == []
    assert RAW_REASONS[wire.name](answer.raw) in ("stop", "end_turn", "completed")
    assert str(answer) == "Paris."


def test_b2_unknown_counts_are_none_and_never_zero(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi.", usage=False))

    answer = whole_or_stream.ask(surface, wire.llm(server), "hello")

    assert answer.usage == Usage(None, None, None, None, None)


def test_b2_content_is_empty_text_when_the_model_only_called_tools(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(call("get_weather", city="Paris"))

    answer = whole_or_stream.ask(surface, wire.llm(server), "Weather?")

    assert answer.content == ""
    assert answer.reasoning is None
    assert answer.tool_calls == [ToolCall("call_0", "get_weather", {"city": "Paris"})]


# The vendors' own words, and ours.
REASONS = {
    "openai_chat": {
        "stop": "stop", "length": "length", "content_filter": "content_filter", "MALFORMED": "other",
    },
    "openai_responses": {
        "completed": "stop", "max_output_tokens": "length", "content_filter": "content_filter",
    },
    "anthropic_messages": {
        "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "refusal": "content_filter",
        "pause_turn": "other", "MALFORMED": "other",
    },
    "ollama_chat": {"stop": "stop", "length": "length", "MALFORMED": "other"},
}  # fmt: skip
RAW_REASONS: dict[str, Callable[[Any], Any]] = {
    "openai_chat": lambda raw: raw["choices"][0]["finish_reason"],
    "openai_responses": lambda raw: (raw["incomplete_details"] or {}).get("reason", raw["status"]),
    "anthropic_messages": lambda raw: raw["stop_reason"],
    "ollama_chat": lambda raw: raw["done_reason"],
}


@pytest.mark.parametrize(
    ("name", "words", "reason"),
    [(name, words, reason) for name, known in REASONS.items() for words, reason in known.items()],
)
def test_b2_finish_reasons_are_one_vocabulary_and_raw_keeps_the_vendor_s(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str, words: str, reason: str
):
    server.replies(text("Hi.", finish_reason="length" if words == "max_output_tokens" else words))

    answer = whole_or_stream.ask(surface, WIRES[name].llm(server), "hello")

    assert answer.finish_reason == reason
    assert RAW_REASONS[name](answer.raw) == words


ARGUMENTS = {"x": [1, {"y": "é"}]}
REPLIES: dict[str, tuple[Reply, dict[str, Any]]] = {
    "text": (text(FOREIGN, piece=3), {"content": FOREIGN}),
    "reasoning": (
        text("42.", reasoning="Six times\nseven.", piece=3),
        {"content": "42.", "reasoning": "Six times\nseven."},
    ),
    "tool calls": (
        calls([("f", ARGUMENTS), ("g", {})], content="Let me look.", piece=3),
        {
            "content": "Let me look.",
            "tool_calls": [ToolCall("call_0", "f", ARGUMENTS), ToolCall("call_1", "g", {})],
            "finish_reason": "tool_calls",
        },
    ),
    "thought and call": (
        calls([("f", {})], reasoning="Look it up.", piece=3),
        {"content": "", "reasoning": "Look it up.", "tool_calls": [ToolCall("call_0", "f", {})]},
    ),
    "empty": (text(""), {"content": "", "tool_calls": []}),
}


@pytest.mark.parametrize("name", list(REPLIES))
def test_b4_streamed_and_whole_answers_are_the_same(
    surface: Surface, server: FakeServer, wire: Wire, name: str
):
    reply, told = REPLIES[name]
    server.replies(reply)
    llm = wire.llm(server)

    whole = surface.generate(llm, "hello")
    with surface.open_stream(llm, "hello") as stream:
        stream.rest()
        streamed = stream.response

    for field in ("content", "reasoning", "tool_calls", "finish_reason", "usage", "model", "provider"):
        assert getattr(streamed, field) == getattr(whole, field), field
    assert {field: getattr(whole, field) for field in told} == told


# ---- B6 --------------------------------------------------------------------------------------


def test_b6_the_prompt_is_sent_also_when_it_stands_in_the_history(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))
    history = [{"role": "user", "content": "again"}]

    whole_or_stream.ask(surface, wire.llm(server), "again", messages=history)

    assert wire.sent(server.requests[0]).turns == [("user", "again")] * 2
    assert history == [{"role": "user", "content": "again"}]


def test_b6_a_session_sends_the_same_prompt_twice(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server))

    surface.generate(session, "again")
    surface.generate(session, "again")

    assert [said for _, said in wire.sent(server.requests[1]).turns] == ["again", "Hi.", "again"]


@pytest.mark.parametrize("prompt", ["", " ", "\x00\u202e\u200d"])
def test_b6_any_text_is_sent_as_it_is(surface: Surface, server: FakeServer, wire: Wire, prompt: str):
    server.replies(text("Hi."))

    surface.generate(wire.llm(server), prompt)

    assert wire.sent(server.requests[0]).last == prompt


# ---- B12 -------------------------------------------------------------------------------------


def test_b12_calls_on_one_provider_run_at_the_same_time(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    """The server holds every answer back until all the questions are there."""
    gate = threading.Event()
    server.route = lambda request: text(sent(request).last).after(WaitFor(gate))
    llm = wire.llm(server)

    running = [
        surface.start(surface.later(llm, f"question {number}", stream=whole_or_stream.streams))
        for number in range(MANY)
    ]
    server.wait_for(lambda server: server.in_flight == MANY, timeout=5)
    gate.set()

    answers = [started.result(5) for started in running]
    if not whole_or_stream.streams:
        assert [answer.content for answer in answers] == [f"question {number}" for number in range(MANY)]
    for answer in answers if whole_or_stream.streams else ():
        surface.close(answer)


async def test_b12_gather_gives_each_its_own_answer(server: FakeServer, wire: Wire):
    server.route = lambda request: text(sent(request).last)
    async with wire.llm(server) as llm:
        answers = await asyncio.gather(*(llm.agenerate(f"question {number}") for number in range(MANY)))

    assert [answer.content for answer in answers] == [f"question {number}" for number in range(MANY)]


def test_b12_one_failure_harms_no_other(surface: Surface, server: FakeServer, wire: Wire):
    server.route = lambda request: error(400) if sent(request).last == "bad" else calls([("f", {})])
    llm = wire.llm(server)

    good, bad, other = surface.gather(*(surface.later(llm, word) for word in ("good", "bad", "other")))

    assert good.tool_calls == other.tool_calls == [ToolCall("call_0", "f", {})]
    assert isinstance(bad, Exception)
