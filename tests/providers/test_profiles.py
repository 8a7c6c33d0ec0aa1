"""What a model family rejects, and what is sent in its place: A6 and B10."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.providers.catalog import PROVIDERS
from abstractcore.providers.profiles import RULES, fit
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec

CHAT = OpenAIChat(thinking="reasoning_effort")
OPENROUTER = OpenAIChat(thinking="reasoning")
RESPONSES = OpenAIResponses()
CLAUDE = AnthropicMessages()
WIRES = (CHAT, OPENROUTER, RESPONSES, CLAUDE, OllamaChat())
TOOL = ToolSpec("look", "Look it up.", {"type": "object", "properties": {}})
ALL: dict[str, Any] = {
    "temperature": 0.2, "top_p": 0.5, "top_k": 9, "seed": 7, "stop": ["END"], "max_output_tokens": 900,
    "presence_penalty": 0.1, "frequency_penalty": 0.1, "thinking": "low", "tools": (TOOL,),
    "tool_choice": "look", "schema": OutputSchema("answer", {"type": "object", "properties": {}}),
}  # fmt: skip


def asking(model: str, **fields: Any) -> GenerateRequest:
    return GenerateRequest(model, ({"role": "user", "content": "hello"},), **fields)


def left_out(codec: Any, model: str, **fields: Any) -> set[str]:
    """The fields that the fitted request lacks; each is named in the warnings, by its first word."""
    request = asking(model, **fields)
    _, fitted, told = fit(codec, request)
    lost = {name for name in fields if getattr(fitted, name) != getattr(request, name)}
    assert {line.split()[0] for line in told} == lost
    assert all(model in line and "http" not in line for line in told)
    return lost


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", WIRES, ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    "model",
    [
        "test-model",
        "gpt-99-ultra",
        "org/model:free",
        "qwen3:4b",
        "llama3.2",
        "marco-o1",
        "claude-next",
        "gpt5",
    ],
)
def test_a_model_in_no_rule_is_sent_what_was_asked(codec: Any, model: str):
    request = asking(model, **ALL)

    fitted_codec, fitted, told = fit(codec, request)

    assert fitted_codec is codec
    assert fitted is request
    assert told == ()


SAMPLING = {"temperature", "top_p", "presence_penalty", "frequency_penalty"}
SAMPLED: dict[str, Any] = {
    name: ALL[name] for name in (*SAMPLING, "top_k", "seed", "stop", "max_output_tokens")
}


@pytest.mark.parametrize(
    ("model", "thinking", "lost"),
    [
        ("o1", None, SAMPLING),
        ("o3-mini", None, SAMPLING | {"stop"}),
        ("o4-mini-2025-04-16", None, SAMPLING | {"stop"}),
        ("gpt-5", None, SAMPLING | {"stop"}),
        ("gpt-5-mini", None, SAMPLING | {"stop"}),
        ("openai/gpt-5-nano:floor", None, SAMPLING | {"stop"}),
        ("ft:gpt-5-mini:acme::x1", None, SAMPLING | {"stop"}),
        ("gpt-5-chat-latest", None, set()),
        ("gpt-5.1", None, {"stop"}),
        ("gpt-5.2", "low", SAMPLING | {"stop"}),
        ("gpt-5.4-mini", False, {"stop"}),
        ("gpt-5.2-chat-latest", None, SAMPLING | {"stop"}),
        ("gpt-5.1-codex-max", None, SAMPLING | {"stop"}),
        ("gpt-5.5", None, SAMPLING | {"stop"}),
        ("gpt-5.6-sol", False, {"stop"}),
        ("gpt-6-luna", False, set()),
        ("gpt-6.1-sol", None, SAMPLING),
        ("gpt-4.1", None, set()),
        ("gpt-oss-120b", None, set()),
        ("claude-opus-4-7", None, {"temperature", "top_p", "top_k"}),
        ("us.anthropic.claude-opus-4-8-v1:0", None, {"temperature", "top_p", "top_k"}),
        ("anthropic/claude-opus-4.7", None, {"temperature", "top_p", "top_k"}),
        ("claude-sonnet-5", None, {"temperature", "top_p", "top_k"}),
        ("claude-haiku-5-5", None, {"temperature", "top_p", "top_k"}),
        ("claude-mythos-preview", None, {"temperature", "top_p", "top_k"}),
        ("claude-sonnet-4-6", None, {"top_p"}),
        ("claude-haiku-4-5-20251001", None, {"top_p"}),
        ("claude-sonnet-4-6", "low", {"temperature", "top_k", "top_p"}),
        ("claude-sonnet-4-20250514", None, set()),
        ("claude-3-7-sonnet-20250219", True, {"temperature", "top_k", "top_p"}),
        ("grok-4", None, {"presence_penalty", "frequency_penalty", "stop"}),
        ("x-ai/grok-4.3", None, {"presence_penalty", "frequency_penalty", "stop"}),
        ("grok-4.20-0309-non-reasoning", None, {"presence_penalty", "frequency_penalty"}),
        ("grok-3", None, set()),
        ("deepseek-reasoner", None, SAMPLING),
        ("deepseek-chat", None, set()),
        ("gemini-3-flash-preview", None, set()),
    ],
)
def test_sampling_that_a_model_rejects_is_left_out(model: str, thinking: Any, lost: set[str]):
    request = asking(model, thinking=thinking, **SAMPLED)

    _, fitted, _ = fit(CHAT, request)

    assert {name for name in SAMPLED if getattr(fitted, name) is None} == lost


def test_extra_may_switch_thinking_off_too():
    request = asking("gpt-5.5", temperature=0.2, extra={"reasoning_effort": "none"})

    assert fit(CHAT, request)[1].temperature == 0.2


@pytest.mark.parametrize("codec", [CHAT, OPENROUTER, RESPONSES], ids=["chat", "openrouter", "responses"])
@pytest.mark.parametrize(
    ("model", "asked", "effort"),
    [
        ("gpt-5", False, "minimal"),
        ("gpt-5-mini-2025-08-07", False, "minimal"),
        ("gpt-5-codex", False, "low"),
        ("gpt-6-astra", False, "low"),
        ("o3", False, "low"),
        ("openai/gpt-oss-20b", False, "low"),
        ("gemini-2.5-pro", False, "low"),
        ("google/gemini-3-pro-preview", False, "low"),
        ("grok-4.5", False, "low"),
        ("gpt-5.1", False, "none"),
        ("gemini-2.5-flash", False, "none"),
        ("gpt-5-mini", "high", "high"),
        ("gpt-5-pro", "high", "high"),
        ("gpt-5-pro", "low", None),
        ("grok-4", "low", None),
        ("grok-4-1-fast-reasoning", "low", None),
        ("grok-4.20-reasoning", "low", None),
        ("grok-4.20-multi-agent-0309", "low", "low"),
        ("gpt-4o", "low", None),
        ("gpt-4o", False, None),
        ("claude-opus-5-5", False, None),
    ],
)
def test_thinking_that_cannot_be_switched_is_the_nearest_effort_or_nothing(
    codec: Any, model: str, asked: Any, effort: str | None
):
    fitted_codec, fitted, told = fit(codec, asking(model, thinking=asked))
    wire = fitted_codec.encode(fitted)

    sent = wire.body.get("reasoning_effort") or wire.body.get("reasoning", {}).get("effort")
    assert sent == effort
    is_met = sent == asked or (asked is False and (sent == "none" or model == "gpt-4o"))
    assert len([*told, *wire.warnings]) == (0 if is_met else 1)


def test_a_model_that_does_not_reason_is_not_asked_for_encrypted_reasoning():
    for model, asks in (("gpt-4.1-mini", False), ("gpt-5-chat-latest", False), ("gpt-5-mini", True)):
        codec, fitted, told = fit(RESPONSES, asking(model))
        assert ("include" in codec.encode(fitted).body) is asks
        assert told == ()


# ---- Claude --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "on", "off"),
    [
        ("claude-opus-4-1", "enabled", "disabled"),
        ("claude-sonnet-4-20250514", "enabled", "disabled"),
        ("claude-3-7-sonnet-20250219", "enabled", "disabled"),
        ("claude-haiku-4-5", "enabled", "disabled"),
        ("claude-opus-4-5@20251101", "enabled", "disabled"),
        ("claude-opus-4-6", "adaptive", "disabled"),
        ("claude-sonnet-5", "adaptive", "disabled"),
        ("claude-sonnet-5-5", "adaptive", "between_tools"),
        ("claude-opus-5-5", "adaptive", None),
        ("claude-opus-5", "adaptive", "disabled"),
        ("claude-fable-5", "adaptive", None),
        ("claude-mythos-preview", "adaptive", None),
        ("claude-next", "adaptive", "disabled"),
    ],
)
def test_claude_is_asked_to_think_as_its_generation_understands(model: str, on: str, off: str | None):
    for thinking, kind in (("low", on), (False, off)):
        codec, fitted, told = fit(CLAUDE, asking(model, thinking=thinking))
        assert codec.encode(fitted).body.get("thinking", {}).get("type") == kind
        assert len(told) == (kind is None)


def test_a_row_that_cannot_think_is_not_taught_to():
    codec, _, _ = fit(replace(CLAUDE, thinking=None), asking("claude-haiku-4-5", thinking=True))

    assert codec.thinking is None


@pytest.mark.parametrize(
    ("model", "lost"),
    [
        ("claude-haiku-4-5", {"thinking"}),
        ("claude-sonnet-4-6", set()),
        ("claude-opus-5", set()),
        ("claude-opus-5-5", {"tool_choice"}),
        ("claude-sonnet-5-5", {"tool_choice"}),
        ("claude-fable-5", set()),
        ("claude-fable-5-1", {"tool_choice"}),
    ],
)
def test_a_forced_tool_call_goes_before_thinking_unless_the_model_takes_none(model: str, lost: set[str]):
    assert left_out(CLAUDE, model, tools=(TOOL,), tool_choice="required", thinking="high") == lost
    assert left_out(CLAUDE, model, tools=(TOOL,), tool_choice="auto", thinking="high") == set()


@pytest.mark.parametrize(
    ("model", "is_enforced"),
    [
        ("claude-3-5-haiku-20241022", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("claude-sonnet-4", False),
        ("claude-haiku-4-5-20251001", True),
        ("claude-opus-5-5", True),
    ],
)
def test_a_schema_is_that_of_a_tool_for_the_claude_models_that_cannot_be_held_to_it(
    model: str, is_enforced: bool
):
    codec, fitted, _ = fit(CLAUDE, asking(model, schema=ALL["schema"]))
    body = codec.encode(fitted).body

    assert ("output_config" in body) is is_enforced
    assert ("tool_choice" in body) is not is_enforced


def test_each_rule_has_a_source_and_names_what_exists():
    fields = GenerateRequest.__dataclass_fields__
    for rule in RULES:
        assert rule.source.startswith("https://")
        assert set(rule.rejects) <= set(fields)
        assert rule.rejects or rule.codec or rule.off is not None
        assert all(any(hasattr(codec, name) for codec in WIRES) for name in rule.codec)


def test_every_row_speaks_a_wire_that_the_rules_know():
    assert {row.codec.name for row in PROVIDERS.values()} <= {codec.name for codec in WIRES}
