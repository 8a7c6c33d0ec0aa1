"""CONTRACT B1, B2, B4, B6, B10, B11, B12: what is asked, what comes back, and how thinking is kept apart."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from abstractcore import (
    LLM,
    BasicSession,
    ConfigurationError,
    GenerateResponse,
    ToolCall,
    UnsupportedFeatureError,
    Usage,
)
from abstractcore.generation.ask import SAMPLING
from tests.fakes.any_wire import call, calls, text
from tests.fakes.openai_chat import reply
from tests.fakes.replies import WaitFor
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import sent

MANY = 24
THINKS = "<think>\nFirst, I think.\n</think>\n\nThe answer is 42."


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
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))
    sampling = {
        "temperature": 0.25,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "stop": ["END", "\n\n"],
        "max_output_tokens": 64,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
    }

    answer = whole_or_stream.ask(surface, server.llm(), "hello", **sampling)

    sent = server.requests[0].json
    assert {name: sent[name] for name in sampling if name != "max_output_tokens"} == {
        name: value for name, value in sampling.items() if name != "max_output_tokens"
    }
    assert sent["max_tokens"] == 64
    assert answer.warnings == []


def test_b1_what_is_not_given_is_not_sent(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))

    surface.generate(server.llm(), "hello", temperature=None, seed=None)

    assert set(server.requests[0].json) == {"model", "messages"}


def test_b1_messages_and_system_prompt_come_before_the_prompt(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    history = [{"role": "user", "content": "One."}, {"role": "assistant", "content": "Two."}]

    surface.generate(server.llm(), "Three.", messages=history, system_prompt="Count.")

    assert [(m.role, m.content) for m in server.requests[0].messages] == [
        ("system", "Count."), ("user", "One."), ("assistant", "Two."), ("user", "Three."),
    ]  # fmt: skip


def test_b1_messages_alone_are_enough(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))

    surface.generate(server.llm(), messages=[{"role": "user", "content": "hello"}])

    assert [(m.role, m.content) for m in server.requests[0].messages] == [("user", "hello")]


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
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    usage = {"input_tokens": 9, "output_tokens": 12, "cached_tokens": 4, "reasoning_tokens": 5}
    server.replies(
        text("Paris.", reasoning="France.", usage=usage, model="m-2026", headers={"x-request-id": "req-1"})
    )

    answer = whole_or_stream.ask(surface, server.llm(), "Capital?")

    assert isinstance(answer, GenerateResponse)
    assert (answer.content, answer.reasoning, answer.tool_calls) == ("Paris.", "France.", [])
    assert answer.finish_reason == "stop"
    assert answer.usage == Usage(9, 12, 21, 4, 5)
    assert (answer.model, answer.provider, answer.request_id) == ("m-2026", "openai-compatible", "req-1")
    assert answer.gen_time is not None
    assert 0 < answer.gen_time < 10_000
    assert answer.warnings == []
    assert answer.raw["choices"][0]["finish_reason"] == "stop"
    assert str(answer) == "Paris."


def test_b2_unknown_counts_are_none_and_never_zero(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi.", usage=False))

    assert whole_or_stream.ask(surface, server.llm(), "hello").usage == Usage(None, None, None, None, None)


def test_b2_content_is_empty_text_when_the_model_only_called_tools(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(call("get_weather", city="Paris"))

    answer = whole_or_stream.ask(surface, server.llm(), "Weather?")

    assert answer.content == ""
    assert answer.reasoning is None
    assert answer.tool_calls == [ToolCall("call_0", "get_weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos_token", "other"),
        ("MALFORMED", "other"),
    ],
)
def test_b2_finish_reasons_are_one_vocabulary_and_raw_keeps_the_vendor_s(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, words: str, reason: str
):
    server.replies(text("Hi.", finish_reason=words))

    answer = whole_or_stream.ask(surface, server.llm(), "hello")

    assert answer.finish_reason in (reason, "stop" if words == "eos_token" else reason)
    assert answer.raw["choices"][0]["finish_reason"] == words


REPLIES = {
    "text": {"role": "assistant", "content": "Déjà vu: 日本語 🙂\n\n  indented"},
    "reasoning": {"role": "assistant", "content": "42.", "reasoning_content": "Six times\nseven."},
    "think marks": {"role": "assistant", "content": THINKS},
    "tool calls": {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": [1, {"y": "é"}]}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            {"id": "c", "type": "function", "function": {"name": "h", "arguments": "not json"}},
        ],
    },
    "empty": {"role": "assistant", "content": ""},
}


@pytest.mark.parametrize("name", list(REPLIES))
def test_b4_streamed_and_whole_answers_are_the_same(surface: Surface, server: FakeServer, name: str):
    reason = "tool_calls" if name == "tool calls" else "stop"
    server.replies(reply(REPLIES[name], finish_reason=reason, piece=3))
    llm = server.llm()

    whole = surface.generate(llm, "hello")
    with surface.open_stream(llm, "hello") as stream:
        stream.rest()
        streamed = stream.response

    for field in ("content", "reasoning", "tool_calls", "finish_reason", "usage", "model", "provider"):
        assert getattr(streamed, field) == getattr(whole, field), field


# ---- B6 --------------------------------------------------------------------------------------


def test_b6_the_prompt_is_sent_also_when_it_stands_in_the_history(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))
    history = [{"role": "user", "content": "again"}]

    whole_or_stream.ask(surface, server.llm(), "again", messages=history)

    assert [m.content for m in server.requests[0].messages] == ["again", "again"]
    assert history == [{"role": "user", "content": "again"}]


def test_b6_a_session_sends_the_same_prompt_twice(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    session = BasicSession(server.llm())

    surface.generate(session, "again")
    surface.generate(session, "again")

    assert [m.content for m in server.requests[1].messages] == ["again", "Hi.", "again"]


@pytest.mark.parametrize("prompt", ["", " ", "\x00\u202e\u200d"])
def test_b6_any_text_is_sent_as_it_is(surface: Surface, server: FakeServer, prompt: str):
    server.replies(text("Hi."))

    surface.generate(server.llm(), prompt)

    assert server.requests[0].messages[0].content == prompt


# ---- B10 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "left_out"),
    [
        ("openai", {"top_k": 40}),
        ("anthropic", {"seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5}),
        ("deepseek", {"seed": 7}),
        ("lmstudio", {"thinking": True}),
    ],
)
def test_b10_what_the_provider_rejects_is_left_out_and_named(
    surface: Surface,
    server: FakeServer,
    whole_or_stream: WholeOrStream,
    provider: str,
    left_out: dict[str, Any],
):
    server.replies(text("Hi."))

    answer = whole_or_stream.ask(surface, server.llm(provider), "hello", temperature=0.5, **left_out)

    assert [warning.split()[0] for warning in sorted(answer.warnings)] == sorted(left_out)
    assert sent(server.requests[0]).sampling.keys() >= {"temperature"}
    assert not set(left_out) & set(server.requests[0].json)


def test_b10_strict_raises_instead_and_sends_nothing(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    with pytest.raises(UnsupportedFeatureError, match="openai: top_k") as raised:
        whole_or_stream.ask(surface, server.llm("openai", strict=True), "hello", top_k=40)

    assert server.requests == []
    assert raised.value.attempts == 0
    assert isinstance(raised.value, ValueError)


# ---- B11 -------------------------------------------------------------------------------------

_OFF, _ON = {"enable_thinking": False}, {"enable_thinking": True}
THINKING: dict[str, dict[Any, dict[str, Any]]] = {
    "openai": {
        True: {"reasoning_effort": "medium"},
        False: {"reasoning_effort": "none"},
        "high": {"reasoning_effort": "high"},
    },
    "openrouter": {
        True: {"reasoning": {"enabled": True}},
        False: {"reasoning": {"effort": "none"}},
        "low": {"reasoning": {"effort": "low"}},
    },
    "deepseek": {True: {"thinking": {"type": "enabled"}}, False: {"thinking": {"type": "disabled"}}},
    "vllm": {
        True: {"chat_template_kwargs": _ON},
        False: {"chat_template_kwargs": _OFF},
        "low": {"chat_template_kwargs": {**_ON, "reasoning_effort": "low"}, "reasoning_effort": "low"},
    },
    "sglang": {False: {"chat_template_kwargs": _OFF}},
    "llama-server": {False: {"chat_template_kwargs": _OFF}},
    "xai": {"low": {"reasoning_effort": "low"}},
    "gemini": {"medium": {"reasoning_effort": "medium"}},
}


@pytest.mark.parametrize(
    ("provider", "thinking", "wire"),
    [(name, thinking, wire) for name, words in THINKING.items() for thinking, wire in words.items()],
)
def test_b11_thinking_is_translated_for_each_provider(
    surface: Surface, server: FakeServer, provider: str, thinking: Any, wire: dict[str, Any]
):
    server.replies(text("Hi."))

    answer = surface.generate(server.llm(provider), "hello", thinking=thinking)

    sent = {
        name: value for name, value in server.requests[0].json.items() if name not in ("model", "messages")
    }
    assert sent == wire
    assert answer.warnings == []


def test_b11_none_leaves_thinking_to_the_provider(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))

    surface.generate(server.llm("vllm"), "hello", thinking=None)

    assert set(server.requests[0].json) == {"model", "messages"}


def test_b11_think_blocks_are_split_out(surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream):
    server.replies(text(THINKS, piece=3))

    answer = whole_or_stream.ask(surface, server.llm(), "think")

    assert (answer.content, answer.reasoning) == ("The answer is 42.", "First, I think.")


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_b11_reasoning_never_stands_in_content(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, field: str
):
    server.replies(text("42.", reasoning="Six times seven.", reasoning_field=field))

    answer = whole_or_stream.ask(surface, server.llm("vllm"), "think")

    assert (answer.content, answer.reasoning) == ("42.", "Six times seven.")


@pytest.mark.parametrize(
    ("include", "phases"),
    [
        (None, {"generating", "done"}),
        ("thinking", {"thinking"}),
        (["thinking", "generating"], {"thinking", "generating"}),
        ({"generating"}, {"generating"}),
        (["done"], {"done"}),
    ],
)
def test_b11_a_stream_gives_the_thinking_only_when_it_is_asked_for(
    surface: Surface, server: FakeServer, include: Any, phases: set[str]
):
    server.replies(text(THINKS, piece=3))

    with surface.open_stream(server.llm(), "think", include=include) as stream:
        chunks = stream.rest()
        assert stream.response.reasoning == "First, I think."
        assert stream.response.content == "The answer is 42."

    assert {chunk.phase for chunk in chunks} == phases
    assert all(isinstance(chunk.content, str) for chunk in chunks)


# ---- B12 -------------------------------------------------------------------------------------


def test_b12_calls_on_one_provider_run_at_the_same_time(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    """The server holds every answer back until all the questions are there."""
    gate = threading.Event()
    server.route = lambda request: text(request.messages[0].content).after(WaitFor(gate))
    llm = server.llm()

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


async def test_b12_gather_gives_each_its_own_answer(server: FakeServer):
    server.route = lambda request: text(request.messages[0].content)
    async with server.llm() as llm:
        answers = await asyncio.gather(*(llm.agenerate(f"question {number}") for number in range(MANY)))

    assert [answer.content for answer in answers] == [f"question {number}" for number in range(MANY)]


def test_b12_one_failure_harms_no_other(surface: Surface, server: FakeServer):
    from tests.fakes.any_wire import error

    server.route = lambda request: error(400) if request.messages[0].content == "bad" else calls([("f", {})])
    llm = server.llm()

    good, bad, other = surface.gather(*(surface.later(llm, word) for word in ("good", "bad", "other")))

    assert good.tool_calls == other.tool_calls == [ToolCall("call_0", "f", {})]
    assert isinstance(bad, Exception)
