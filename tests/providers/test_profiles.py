"""What a model family rejects, and what a server refuses by name: A6 and B10."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.errors import BadRequestError, IncompleteStreamError, ServerError, UnsupportedFeatureError
from abstractcore.providers.catalog import PROVIDERS
from abstractcore.providers.profiles import RULES, fit, rejected_field
from abstractcore.types import GenerateRequest, OutputSchema, ToolSpec
from tests.fakes import anthropic_messages, openai_chat
from tests.fakes.replies import Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

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
def test_a_schema_is_described_to_the_claude_models_that_cannot_be_held_to_it(model: str, is_enforced: bool):
    codec, fitted, _ = fit(CLAUDE, asking(model, schema=ALL["schema"]))

    assert ("output_config" in codec.encode(fitted).body) is is_enforced


def test_each_rule_has_a_source_and_names_what_exists():
    fields = GenerateRequest.__dataclass_fields__
    for rule in RULES:
        assert rule.source.startswith("https://")
        assert set(rule.rejects) <= set(fields)
        assert rule.rejects or rule.codec or rule.off is not None
        assert all(any(hasattr(codec, name) for codec in WIRES) for name in rule.codec)


# ---- what a server says --------------------------------------------------------------------------


def openai_error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def anthropic_error(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def google_error(message: str) -> list[Any]:
    return [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message}}]


FORBIDDEN = {"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}
UNSUPPORTED = "Unsupported parameter: 'temperature' is not supported with this model."
BODY: dict[str, Any] = {
    "model": "m", "messages": [], "input": [], "tools": [], "stream": True, "max_tokens": 9,
    "temperature": 0.2, "top_p": 0.5, "top_k": 9, "seed": 7, "stop": ["END"], "presence_penalty": 0.1,
    "reasoning_effort": "none", "thinking": {"type": "disabled"}, "tool_choice": "required",
    "stream_options": {}, "response_format": {},
}  # fmt: skip
NAMED: list[tuple[str | None, Any]] = [
    ("temperature", openai_error(UNSUPPORTED, "temperature", "unsupported_parameter")),
    ("temperature", openai_error(UNSUPPORTED)),
    ("temperature", openai_error(
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only 1 is supported.",
        "temperature", "unsupported_value")),
    ("reasoning_effort", openai_error(
        "Unsupported value: 'none' is not supported with the 'gpt-5' model. Supported values are: 'low'.",
        "reasoning_effort", "unsupported_value")),
    ("reasoning_effort", openai_error("`reasoning_effort` must be one of `low`, `medium`, or `high`")),
    ("reasoning_effort", google_error("Invalid reasoning_effort: none. Valid values are: high, low")),
    ("seed", google_error('Invalid JSON payload received. Unknown name "seed": Cannot find field.')),
    ("seed", openai_error("Unrecognized request argument supplied: seed")),
    ("seed", openai_error("property 'seed' is unsupported")),
    ("presence_penalty", {"code": "invalid", "error": "Model m does not support parameter presencePenalty."}),
    ("stop", {"code": "invalid", "error": "Argument not supported on this model: stop"}),
    ("temperature", anthropic_error("`temperature` is deprecated for this model.")),
    ("temperature", anthropic_error("`temperature` and `top_p` cannot both be specified for this model.")),
    ("top_k", anthropic_error("top_k: Extra inputs are not permitted")),
    ("thinking", anthropic_error('"thinking.type.disabled" is not supported for this model.')),
    ("thinking", anthropic_error("thinking: Input tag 'adaptive' does not match any of the expected tags")),
    ("thinking", anthropic_error("adaptive thinking is not supported on this model")),
    ("tool_choice", anthropic_error('tool_choice: type "tool" and "any" are not supported for this model.')),
    ("top_k", {"detail": [FORBIDDEN]}),
    ("top_k", {"object": "error", "message": {"detail": [FORBIDDEN]}}),
    ("top_k", openai_error(str([FORBIDDEN]))),
    # Not a field of ours, or not refused.
    (None, openai_error("Unsupported parameter: 'max_tokens' is not supported here.", "max_tokens")),
    (None, openai_error("'messages[0].role' does not support 'system'.", "messages[0].role")),
    (None, openai_error("Unsupported parameter: 'logit_bias' is not supported here.", "logit_bias")),
    (None, openai_error("Invalid 'temperature': expected at most 2.", "temperature", "above_max_value")),
    (None, openai_error("This model does not support tools.")),
    (None, openai_error("The model `m` is not supported in your region, as your temperature is.")),
    (None, openai_error("'messages.0' : property 'reasoning_content' is unsupported; temperature too")),
    (None, openai_error("Invalid parameter: 'response_format' is not supported with this model.")),
    (None, anthropic_error("temperature: Input should be less than or equal to 1")),
    (None, anthropic_error("`max_tokens` must be greater than `thinking.budget_tokens`.")),
    (None, anthropic_error("messages.1.content.0: `thinking` blocks cannot be modified")),
    (None, anthropic_error("messages: text content blocks must be non-empty")),
    (None, "not supported"),
    (None, None),
]  # fmt: skip


@pytest.mark.parametrize(("field", "body"), NAMED)
def test_the_field_that_a_server_refuses_is_found_in_its_words(field: str | None, body: Any):
    for status in (400, 422):
        assert rejected_field(BadRequestError("", status_code=status, body=body), BODY) == field
    assert rejected_field(BadRequestError("", status_code=413, body=body), BODY) is None


def test_ollama_s_words_mean_its_own_field():
    failure = BadRequestError("", status_code=400, body={"error": '"gemma3:270m" does not support thinking'})

    assert rejected_field(failure, {"model": "gemma3:270m", "messages": [], "think": True}) == "think"
    assert rejected_field(failure, {"model": "gemma3:270m", "messages": []}) is None


# ---- through a server ----------------------------------------------------------------------------

CHAT_REFUSAL = openai_error(UNSUPPORTED, "temperature", "unsupported_parameter")
MESSAGES_REFUSAL = anthropic_error("`temperature` is deprecated for this model.")
DIALECTS: Mapping[str, tuple[str, Any, dict[str, Any]]] = {
    "chat": ("openai-compatible", openai_chat, CHAT_REFUSAL),
    "messages": ("anthropic", anthropic_messages, MESSAGES_REFUSAL),
}


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> tuple[str, Any, Reply]:
    """A provider's name, its replies, and the reply that refuses a temperature."""
    provider, replies, refusal = DIALECTS[request.param]
    return provider, replies, whole(400, refusal, headers={"X-Request-Id": "refused"})


def test_a_field_that_the_server_refuses_is_left_out_once_and_named(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, dialect: tuple[str, Any, Reply]
):
    """B10: the second request differs by that field alone."""
    provider, replies, refusal = dialect
    server.replies(refusal, replies.text("Hi."))

    answer = whole_or_stream.ask(surface, server.llm(provider), "hello", temperature=0.2, top_p=0.5)

    first, second = (request.json for request in server.requests)
    assert first == {**second, "temperature": 0.2}
    assert answer.content == "Hi."
    assert answer.warnings == ["temperature is not accepted by test-model: left out"]
    assert server.connections == 1


def test_a_second_refusal_is_the_caller_s(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, dialect: tuple[str, Any, Reply]
):
    provider, replies, refusal = dialect
    again = replies.error(400, "top_p: Extra inputs are not permitted")
    server.replies(refusal, again, replies.text("Hi."))

    with pytest.raises(BadRequestError, match="top_p") as raised:
        whole_or_stream.ask(surface, server.llm(provider), "hello", temperature=0.2, top_p=0.5)

    assert len(server.requests) == 2
    assert raised.value.attempts == 2
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("options", "sampling"),
    [({"strict": True}, {"temperature": 0.2}), ({}, {"extra": {"temperature": 0.2}})],
    ids=["strict", "extra"],
)
def test_strict_and_extra_are_sent_as_they_are_or_not_at_all(
    surface: Surface,
    server: FakeServer,
    whole_or_stream: WholeOrStream,
    dialect: tuple[str, Any, Reply],
    options: dict[str, Any],
    sampling: dict[str, Any],
):
    provider, replies, refusal = dialect
    server.replies(refusal, replies.text("Hi."))

    with pytest.raises(BadRequestError, match="temperature") as raised:
        whole_or_stream.ask(surface, server.llm(provider, **options), "hello", **sampling)

    assert len(server.requests) == 1
    assert (raised.value.attempts, raised.value.request_id) == (1, "refused")


def test_a_refused_message_is_not_sent_again(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, dialect: tuple[str, Any, Reply]
):
    provider, replies, _ = dialect
    server.replies(replies.error(400, "messages.0.content: images are not supported"), replies.text("Hi."))

    with pytest.raises(BadRequestError):
        whole_or_stream.ask(surface, server.llm(provider), "hello", temperature=0.2)

    assert len(server.requests) == 1


def test_every_request_of_a_call_is_counted(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, dialect: tuple[str, Any, Reply]
):
    """A retry begins with what was asked; the requests sent without the field count too."""
    provider, replies, refusal = dialect
    broken = replies.error(503)
    server.replies(refusal, broken, refusal, broken)

    with pytest.raises(ServerError) as raised:
        whole_or_stream.ask(surface, server.llm(provider, max_retries=1), "hello", temperature=0.2)

    assert len(server.requests) == raised.value.attempts == 4


def test_an_answer_that_breaks_off_after_it_counts_both_requests(
    surface: Surface, server: FakeServer, dialect: tuple[str, Any, Reply]
):
    provider, replies, refusal = dialect
    server.replies(refusal, replies.text("An answer that breaks off.").cut(0.5))

    with pytest.raises(IncompleteStreamError) as raised:
        surface.stream(server.llm(provider), "hello", temperature=0.2)

    assert raised.value.attempts == len(server.requests) == 2


def test_a_known_model_gets_no_request_that_it_would_refuse(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(openai_chat.text("Hi."))

    llm = server.llm("openrouter", "openai/gpt-5-mini")
    answer = whole_or_stream.ask(surface, llm, "hello", temperature=0.2, thinking=False, seed=7)

    sent = server.requests[0].json
    assert len(server.requests) == 1
    assert (sent.model, sent.seed, sent.reasoning, "temperature" in sent) == (
        "openai/gpt-5-mini", 7, {"effort": "minimal"}, False,
    )  # fmt: skip
    assert answer.warnings == [
        "temperature is not accepted by openai/gpt-5-mini: left out",
        "thinking cannot be switched off with openai/gpt-5-mini: minimal instead",
    ]


def test_strict_raises_for_a_known_model_and_sends_nothing(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    llm = server.llm("anthropic", "claude-opus-5-5", strict=True)

    with pytest.raises(
        UnsupportedFeatureError, match="temperature is not accepted by claude-opus-5-5"
    ) as raised:
        whole_or_stream.ask(surface, llm, "hello", temperature=0.2)

    assert (server.requests, raised.value.attempts) == ([], 0)


def test_every_row_speaks_a_wire_that_the_rules_know():
    assert {row.codec.name for row in PROVIDERS.values()} <= {codec.name for codec in WIRES}
