"""CONTRACT B10, B11: what a wire has no word for, and how each says whether to think."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore import UnsupportedFeatureError
from tests.fakes import openai_chat
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, Wire, sent

THINKS = "<think>\nFirst, I think.\n</think>\n\nThe answer is 42."
TOOL = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
# A row, after a slash its api=, and what it has no word for.
LACKS: dict[str, dict[str, Any]] = {
    "openai": {"top_k": 40},
    "openai/responses": {
        "top_k": 40, "seed": 7, "stop": "END", "presence_penalty": 0.5, "frequency_penalty": 0.5,
    },
    "anthropic": {"seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5},
    "ollama": {"tool_choice": "required"},
    "deepseek": {"seed": 7},
    "lmstudio": {"thinking": True},
}  # fmt: skip


def llm_of(server: FakeServer, row: str, **options: Any) -> Any:
    provider, _, api = row.partition("/")
    return server.llm(provider, **({"api": api} if api else {}), **options)


@pytest.mark.parametrize("row", list(LACKS))
def test_b10_what_the_provider_rejects_is_left_out_and_named(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, row: str
):
    server.replies(text("Hi."))
    left_out = LACKS[row]

    answer = whole_or_stream.ask(
        surface, llm_of(server, row), "hello", temperature=0.5, tools=[TOOL], **left_out
    )

    asked = sent(server.requests[0])
    assert sorted(warning.split()[0] for warning in answer.warnings) == sorted(left_out)
    assert asked.sampling["temperature"] == 0.5
    assert not set(left_out) & {*server.requests[0].json, *asked.sampling}


@pytest.mark.parametrize("row", list(LACKS))
def test_b10_strict_raises_instead_and_sends_nothing(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, row: str
):
    with pytest.raises(UnsupportedFeatureError, match=row.partition("/")[0]) as raised:
        whole_or_stream.ask(surface, llm_of(server, row, strict=True), "hello", tools=[TOOL], **LACKS[row])

    assert server.requests == []
    assert raised.value.attempts == 0
    assert isinstance(raised.value, ValueError)
    assert all(name in str(raised.value) for name in LACKS[row])


# ---- B11 -------------------------------------------------------------------------------------

_OFF, _ON = {"enable_thinking": False}, {"enable_thinking": True}
THINKING: dict[str, dict[Any, dict[str, Any]]] = {
    "openai": {
        True: {"reasoning_effort": "medium"},
        False: {"reasoning_effort": "none"},
        "high": {"reasoning_effort": "high"},
    },
    "openai/responses": {
        True: {"reasoning": {"effort": "medium", "summary": "auto"}},
        False: {"reasoning": {"effort": "none"}},
        "high": {"reasoning": {"effort": "high", "summary": "auto"}},
    },
    "anthropic": {
        True: {"thinking": {"type": "adaptive", "display": "summarized"}},
        False: {"thinking": {"type": "disabled"}},
        "low": {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "low"},
        },
    },
    "ollama": {True: {"think": True}, False: {"think": False}, "low": {"think": "low"}},
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
    ("row", "thinking", "words"),
    [(row, thinking, words) for row, known in THINKING.items() for thinking, words in known.items()],
)
def test_b11_thinking_is_translated_for_each_provider(
    surface: Surface, server: FakeServer, row: str, thinking: Any, words: dict[str, Any]
):
    """None, which is asked first, leaves it to the provider."""
    server.replies(text("Hi."))
    llm = llm_of(server, row)

    surface.generate(llm, "hello", thinking=None)
    answer = surface.generate(llm, "hello", thinking=thinking)

    plain, told = (request.json for request in server.requests)
    assert {name: value for name, value in told.items() if name not in plain} == words
    assert answer.warnings == []


@pytest.mark.parametrize("name", [name for name, wire in WIRES.items() if wire.has_think_marks])
def test_b11_think_blocks_are_split_out(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    server.replies(text(THINKS, piece=3))

    answer = whole_or_stream.ask(surface, WIRES[name].llm(server), "think")

    assert (answer.content, answer.reasoning) == ("The answer is 42.", "First, I think.")


def test_b11_reasoning_never_stands_in_content(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire
):
    server.replies(text("42.", reasoning="Six times seven."))

    answer = whole_or_stream.ask(surface, wire.llm(server), "think")

    assert (answer.content, answer.reasoning) == ("42.", "Six times seven.")


def test_b11_reasoning_has_two_names_on_the_chat_wire(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(openai_chat.text("42.", reasoning="Six times seven.", reasoning_field="reasoning"))

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
    surface: Surface, server: FakeServer, wire: Wire, include: Any, phases: set[str]
):
    server.replies(text("The answer is 42.", reasoning="First, I think.", piece=3))

    with surface.open_stream(wire.llm(server), "think", include=include) as stream:
        chunks = stream.rest()
        assert stream.response.reasoning == "First, I think."
        assert stream.response.content == "The answer is 42."

    assert {chunk.phase for chunk in chunks} == phases
    assert all(isinstance(chunk.content, str) for chunk in chunks)
