"""What a model family is known to reject, and what a server says that it rejects.

Advice, never a gate: a model that stands in no rule is sent what was asked. Each rule names the page
it is taken from; where a page says "and later", so does the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from abstractcore.codecs.base import Codec, WireRequest
from abstractcore.codecs.error_words import read_words
from abstractcore.codecs.json_text import as_object, as_text, is_array
from abstractcore.errors import BadRequestError
from abstractcore.types import GenerateRequest

C = TypeVar("C", bound=Codec)


def _always(request: GenerateRequest) -> bool:
    return True


def _thinks(request: GenerateRequest) -> bool:
    return bool(request.thinking)


def _may_think(request: GenerateRequest) -> bool:
    """Whether a model that thinks unless told otherwise was not told so; *extra* may tell it."""
    told = request.extra.keys() & {"reasoning", "reasoning_effort", "thinking"}
    return request.thinking is not False and (request.thinking is not None or not told)


def _forced(request: GenerateRequest) -> bool:
    return bool(request.tools) and request.tool_choice not in (None, "auto", "none")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the models that *models* matches from the start of their names reject, by *source*.

    *wire*: the codec that it holds for, None for each. *rejects*: the request's fields to leave out
    *when* that is so, which *why* tells. *off*: the effort nearest to thinking switched off where the
    model cannot do that, "" for none, "off" where it never thinks. *codec*: the codec's fields that
    differ for the model; one that the server's row sets to None stays.
    """

    models: str
    source: str
    wire: str | None = None
    rejects: tuple[str, ...] = ()
    when: Callable[[GenerateRequest], bool] = _always
    why: str = ""
    off: str | None = None
    codec: Mapping[str, Any] = field(default_factory=dict[str, Any])


_SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_PENALTIES = ("presence_penalty", "frequency_penalty")

_OPENAI_GUIDE = "https://developers.openai.com/api/docs/guides/latest-model?model=gpt-5.2"
_AZURE_REASONING = "https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/reasoning"
_AZURE_EFFORT = "https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort"
_OPENAI_MODELS = "https://developers.openai.com/api/docs/models"

# Claude's names hold "4-5" or "4.5", and a date after it: claude-sonnet-4-20250514 is no 4.2.
_CLAUDE_TO_4_5 = r"claude-(?:3[-.]7|(?:[a-z]+-)?4(?![-.][6-9](?!\d)))"
_CLAUDE_TO_4_6 = r"claude-(?:3[-.]7|(?:[a-z]+-)?4(?![-.][7-9](?!\d)))"
_CLAUDE_FROM_4_7 = r"claude-(?:mythos|(?:[a-z]+-)?(?:4[-.][7-9]|[5-9])(?!\d))"
_CLAUDE_DOCS = "https://platform.claude.com/docs/en"
_EXTENDED_THINKING = f"{_CLAUDE_DOCS}/build-with-claude/extended-thinking#feature-compatibility"
_THINKING_TABLE = f"{_CLAUDE_DOCS}/build-with-claude/thinking-troubleshooting#rejected-configurations"

_XAI_REASONING = "https://docs.x.ai/docs/guides/reasoning"
_MESSAGES = "anthropic_messages"

# fmt: off
RULES: tuple[Rule, ...] = (
    # OpenAI: models that always think, those that do not unless asked to, those that do unless asked not to.
    Rule(r"o[134](?:-|$)|gpt-5(?:-(?!chat)|$)", _AZURE_REASONING + "#not-supported", rejects=_SAMPLING),
    Rule(r"gpt-5\.\d-(?:chat|pro)|gpt-5\.1-codex|gpt-6(?:\.\d)?-(?:astra|sol)",
         "https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/profiles/openai.py",
         rejects=_SAMPLING),
    Rule(r"gpt-5\.[1-4]", _OPENAI_GUIDE, rejects=_SAMPLING, when=_thinks, why=" while it thinks"),
    Rule(r"gpt-5\.[56]|gpt-6-luna", _OPENAI_MODELS + "/gpt-5.5", rejects=_SAMPLING, when=_may_think,
         why=" unless thinking is False"),
    Rule(r"o[34](?:-|$)", "https://developers.openai.com/api/reference/resources/chat", rejects=("stop",)),
    Rule(r"gpt-5(?!-chat)", "https://github.com/crewAIInc/crewAI/pull/5144", rejects=("stop",)),
    # Thinking that cannot be off, or cannot be on.
    Rule(r"gpt-5(?:-mini|-nano)?(?:-20\d\d|$)", _AZURE_EFFORT, off="minimal"),
    Rule(r"o[134](?:-|$)|gpt-5-codex", _AZURE_EFFORT, off="low"),
    Rule(r"gpt-6(?:\.\d)?-(?:astra|sol)", _OPENAI_MODELS + "/gpt-6-astra", off="low"),
    Rule(r"gpt-5-pro", _AZURE_EFFORT, rejects=("thinking",), when=lambda r: r.thinking != "high"),
    Rule(r"gpt-(?:3\.5|4)|chatgpt-4o|gpt-5-chat", "https://github.com/microsoft/agent-framework/issues/7483",
         rejects=("thinking",), when=_thinks, off="off", codec={"encrypted_reasoning": False}),
    Rule(r"gpt-oss", "https://console.groq.com/docs/reasoning", off="low"),

    # Claude: sampling.
    Rule(_CLAUDE_FROM_4_7, f"{_CLAUDE_DOCS}/models/opus-5-5/migration-guide#request-requirements",
         rejects=("temperature", "top_p", "top_k")),
    Rule(r"claude-(?:[a-z]+-)?4[-.][1-6](?!\d)", f"{_CLAUDE_DOCS}/about-claude/models/migration-guide",
         rejects=("top_p",), when=lambda r: r.temperature is not None, why=" beside temperature"),
    # Claude: thinking, and what it goes with. A forced tool call is what the caller builds on.
    Rule(_CLAUDE_TO_4_5, _THINKING_TABLE, wire=_MESSAGES, codec={"thinking": "budget"}),
    Rule(_CLAUDE_TO_4_5, _EXTENDED_THINKING, wire=_MESSAGES, rejects=("thinking",),
         when=lambda r: _thinks(r) and _forced(r), why=" beside a forced tool call"),
    Rule(_CLAUDE_TO_4_6, _EXTENDED_THINKING, rejects=("temperature", "top_k"), when=_thinks,
         why=" while it thinks"),
    Rule(_CLAUDE_TO_4_6, _EXTENDED_THINKING, rejects=("top_p",), why=" while it thinks",
         when=lambda r: _thinks(r) and r.top_p is not None and r.top_p < 0.95),
    Rule(r"claude-(?:fable|mythos|opus-5[-.]5(?!\d))", _THINKING_TABLE, off=""),
    Rule(r"claude-sonnet-5[-.]5(?!\d)", f"{_CLAUDE_DOCS}/models/sonnet-5-5/migration-guide", wire=_MESSAGES,
         codec={"thinking_off": "between_tools"}),
    Rule(r"claude-(?:(?:fable|mythos)-5[-.]1|opus-5[-.]5)(?!\d)",
         f"{_CLAUDE_DOCS}/models/opus-5-5/migration-guide#forced-tool-use",
         rejects=("tool_choice",), when=_forced),
    Rule(r"claude-sonnet-5[-.]5(?!\d)", f"{_CLAUDE_DOCS}/models/sonnet-5-5/migration-guide",
         rejects=("tool_choice",), when=_forced),
    # Claude: a schema is enforced since 4.5. The older ones take tools, and so the schema as one of them.
    Rule(r"claude-(?:3|(?:opus|sonnet)-4(?:[-.][01](?!\d)|[-@]20\d\d|$))",
         f"{_CLAUDE_DOCS}/build-with-claude/structured-outputs", wire=_MESSAGES,
         codec={"schema_mode": "tool"}),

    # xAI, Google, DeepSeek.
    Rule(r"grok-(?!.*non-reasoning)(?:3-mini|4|code)", _XAI_REASONING, rejects=(*_PENALTIES, "stop")),
    Rule(r"grok-4[-.]20.*non-reasoning", "https://github.com/mnfst/modelparams.dev/pull/20",
         rejects=_PENALTIES),
    Rule(r"grok-(?:3(?!-mini)|4(?:-\d{4}|-latest|-fast|$))", _XAI_REASONING, rejects=("thinking",)),
    Rule(r"grok-4[-.]1-fast", "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/"
         "capabilities/reasoning", rejects=("thinking",)),
    Rule(r"grok-4[-.]20(?!.*multi-agent)", "https://github.com/vercel/ai/releases/tag/@ai-sdk%2Fxai@4.0.8",
         rejects=("thinking",)),
    Rule(r"grok-4[-.][5-7](?!\d)", "https://docs.x.ai/developers/model-capabilities/text/reasoning",
         off="low"),
    Rule(r"gemini-(?:2\.5-pro|3)", "https://ai.google.dev/gemini-api/docs/openai#thinking", off="low"),
    Rule(r"deepseek-reasoner", "https://api-docs.deepseek.com/guides/reasoning_model", rejects=_SAMPLING),
)
# fmt: on


def fit(codec: C, request: GenerateRequest) -> tuple[C, GenerateRequest, tuple[str, ...]]:
    """Fit codec and request to the request's model; the last is a line for each wish that was not met."""
    told: list[str] = []
    for rule in _rules(request.model):
        if rule.wire not in (None, codec.name):
            continue
        codec = _adapted(codec, rule.codec)
        dropped = [name for name in rule.rejects if getattr(request, name) is not None]
        if dropped and rule.when(request):
            told += [f"{name} is not accepted by {request.model}{rule.why}: left out" for name in dropped]
            request = replace(request, **dict.fromkeys(dropped))
        if rule.off is not None and request.thinking is False:
            if rule.off != "off":
                end = f"{rule.off} instead" if rule.off else "left out"
                told.append(f"thinking cannot be switched off with {request.model}: {end}")
            effort: Any = None if rule.off in ("", "off") else rule.off  # which the wires pass on as it is
            request = replace(request, thinking=effort)
    return codec, request, tuple(told)


@lru_cache(maxsize=256)
def _rules(model: str) -> tuple[Rule, ...]:
    """Give a model's rules, whoever serves it: openai/gpt-5:free, us.anthropic.claude-…, ft:gpt-4o:me."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:").partition(":")[0]
    name = name.rpartition("anthropic.")[2]
    return tuple(rule for rule in RULES if re.match(rule.models, name))


def _adapted(codec: C, fields: Mapping[str, Any]) -> C:
    known: Any = codec
    changes = {name: value for name, value in fields.items() if getattr(known, name, None) is not None}
    return replace(known, **changes) if changes else codec


# What a server says. The fields that an optional parameter became, and two that we add unasked.
_THINKING = ("thinking", "think", "reasoning_effort", "reasoning", "chat_template_kwargs")
_OPTIONAL = (
    *_THINKING, *_SAMPLING, "top_k", "seed", "random_seed", "stop", "stop_sequences", "tool_choice",
    "stream_options", "include",
)  # fmt: skip
_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_UNSUPPORTED = re.compile(
    r"n[o']t (?:support|permitted|accepted|allowed|available)|un(?:supported|known|recognized|expected)"
    r"|deprecated|cannot both|may only be set|incompatible",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"[`'\"]([a-z_]+)(?:[.\[][^`'\"]*)?[`'\"]"  # quoted, the rest of a path after it
    r"|^(?:body\.)?([a-z_]+)[\w.\[\]]*:"  # a path, then what is wrong there
    r"|\b(?:parameters?|arguments?|field|name|property|invalid):? ([a-z_]+)"
    r"|\b([a-z_]+) (?:is|are) (?:not|un|dep)"
    r"|\bsupports? (?:the |this )?(?:parameters? |arguments? )?([a-z_]+)"
    r"|: ([a-z_]+)\.?$",
    re.IGNORECASE,
)


def rejected_field(failure: BadRequestError, body: Mapping[str, Any]) -> str | None:
    """Give the field of the request's *body* that the server names as one it does not take.

    None when the failure is about anything else: a value out of range, a message, a field that
    no optional parameter put there.
    """
    if failure.status_code not in (400, 422):
        return None
    words = read_words(failure.body)
    text = (words.text or str(failure.body))[:1_000]
    named = _sent(_param(failure.body), body) or next(
        (sent for match in _NAMED.finditer(text) if (sent := _sent(match[match.lastindex or 0], body))), None
    )
    is_refused = named in _THINKING or words.codes & _CODES or _UNSUPPORTED.search(text)
    return named if named in _OPTIONAL and is_refused else None


def without(wire: WireRequest, name: str, model: str) -> WireRequest:
    """Give the encoded request without the field *name*, and say so."""
    body = {key: value for key, value in wire.body.items() if key != name}
    return replace(wire, body=body, warnings=(*wire.warnings, f"{name} is not accepted by {model}: left out"))


def _param(body: Any) -> str:
    outer = as_object(body[0] if is_array(body) and body else body)
    named = as_object(outer.get("error")).get("param") or outer.get("param")
    return re.split(r"[.\[]", as_text(named) or "", maxsplit=1)[0]


def _sent(name: str, body: Mapping[str, Any]) -> str | None:
    """Give the body's field that *name* means, in whichever spelling: `presencePenalty`, "thinking"."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    candidates = _THINKING if name in ("thinking", "reasoning") and name not in body else (name,)
    return next((candidate for candidate in candidates if candidate in body), None)
