"""A field that a server refuses by name is left out once, and named: B10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from abstractcore.errors import BadRequestError, IncompleteStreamError, ServerError, UnsupportedFeatureError
from abstractcore.providers.profiles import rejected_field
from tests.fakes.any_wire import error, text
from tests.fakes.replies import Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire


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


@dataclass(frozen=True)
class Refusal:
    """What a server refuses: what the caller *asks* for, the *field* that says it on the wire, the answer."""

    asks: dict[str, Any]
    field: str
    body: Any

    @property
    def reply(self) -> Reply:
        return whole(400, self.body, headers={"X-Request-Id": "refused"})


# Ollama takes every option, and what a model cannot do is no option.
REFUSALS = {
    "openai_chat": Refusal(
        {"temperature": 0.2}, "temperature", openai_error(UNSUPPORTED, "temperature", "unsupported_parameter")
    ),
    "openai_responses": Refusal(
        {"temperature": 0.2}, "temperature", openai_error(UNSUPPORTED, "temperature", "unsupported_parameter")
    ),
    "anthropic_messages": Refusal(
        {"temperature": 0.2}, "temperature", anthropic_error("`temperature` is deprecated for this model.")
    ),
    "ollama_chat": Refusal({"thinking": True}, "think", {"error": '"test-model" does not support thinking'}),
}


@pytest.fixture
def refusal(wire: Wire) -> Refusal:
    """What the server of the wire refuses."""
    return REFUSALS[wire.name]


def test_a_field_that_the_server_refuses_is_left_out_once_and_named(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire, refusal: Refusal
):
    """B10: the second request differs by that field alone."""
    server.replies(refusal.reply, text("Hi."))

    answer = whole_or_stream.ask(surface, wire.llm(server), "hello", top_p=0.5, **refusal.asks)

    first, second = (request.json for request in server.requests)
    assert first == {**second, refusal.field: next(iter(refusal.asks.values()))}
    assert answer.content == "Hi."
    assert answer.warnings == [f"{refusal.field} is not accepted by test-model: left out"]
    assert server.connections == 1


def test_a_second_refusal_is_the_caller_s(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire, refusal: Refusal
):
    again = error(400, "top_p: Extra inputs are not permitted")
    server.replies(refusal.reply, again, text("Hi."))

    with pytest.raises(BadRequestError, match="top_p") as raised:
        whole_or_stream.ask(surface, wire.llm(server), "hello", top_p=0.5, **refusal.asks)

    assert len(server.requests) == 2
    assert raised.value.attempts == 2
    assert raised.value.__context__ is None


@pytest.mark.parametrize("how", ["strict", "extra"])
def test_strict_and_extra_are_sent_as_they_are_or_not_at_all(
    surface: Surface,
    server: FakeServer,
    whole_or_stream: WholeOrStream,
    wire: Wire,
    refusal: Refusal,
    how: str,
):
    server.replies(refusal.reply, text("Hi."))
    llm = wire.llm(server, strict=how == "strict")
    asks = refusal.asks if how == "strict" else {"extra": {refusal.field: True}}

    with pytest.raises(BadRequestError, match=next(iter(refusal.asks))) as raised:
        whole_or_stream.ask(surface, llm, "hello", **asks)

    assert len(server.requests) == 1
    assert (raised.value.attempts, raised.value.request_id) == (1, "refused")


def test_a_refused_message_is_not_sent_again(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire, refusal: Refusal
):
    server.replies(error(400, "messages.0.content: images are not supported"), text("Hi."))

    with pytest.raises(BadRequestError):
        whole_or_stream.ask(surface, wire.llm(server), "hello", **refusal.asks)

    assert len(server.requests) == 1


def test_every_request_of_a_call_is_counted(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire, refusal: Refusal
):
    """A retry begins with what was asked; the requests sent without the field count too."""
    server.replies(refusal.reply, error(503), refusal.reply, error(503))

    with pytest.raises(ServerError) as raised:
        whole_or_stream.ask(surface, wire.llm(server, max_retries=1), "hello", **refusal.asks)

    assert len(server.requests) == raised.value.attempts == 4


def test_an_answer_that_breaks_off_after_it_counts_both_requests(
    surface: Surface, server: FakeServer, wire: Wire, refusal: Refusal
):
    server.replies(refusal.reply, text("An answer that breaks off.").cut(0.5))

    with pytest.raises(IncompleteStreamError) as raised:
        surface.stream(wire.llm(server), "hello", **refusal.asks)

    assert raised.value.attempts == len(server.requests) == 2


def test_a_known_model_gets_no_request_that_it_would_refuse(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))

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
