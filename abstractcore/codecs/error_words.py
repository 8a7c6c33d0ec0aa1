"""The words of the vendors' errors: where they stand in a body, and what they mean.

Knows every shape of error body that is known to us. Knows no status and no header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from abstractcore.codecs.json_text import as_object, as_text, is_array, is_object
from abstractcore.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContextLengthError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)

KIND_BY_CODE: dict[str, type[APIError]] = {
    # OpenAI and those who speak like it: https://platform.openai.com/docs/guides/error-codes
    "invalid_request_error": BadRequestError,
    "invalid_prompt": BadRequestError,
    "unsupported_parameter": BadRequestError,
    "unsupported_value": BadRequestError,
    "context_length_exceeded": ContextLengthError,
    "invalid_api_key": AuthenticationError,
    "model_not_found": ModelNotFoundError,
    "rate_limit_exceeded": RateLimitError,
    "insufficient_quota": QuotaExceededError,
    "server_error": ServerError,
    # What a response of the Responses API can fail with: openai-python, ResponseError.code.
    **dict.fromkeys(
        (
            "bio_policy",
            "data_residency_mismatch",
            "empty_image_file",
            "failed_to_download_image",
            "image_content_policy_violation",
            "image_file_not_found",
            "image_file_too_large",
            "image_parse_error",
            "image_too_large",
            "image_too_small",
            "invalid_base64_image",
            "invalid_image",
            "invalid_image_format",
            "invalid_image_mode",
            "invalid_image_url",
            "misalignment_policy_violation",
            "unsupported_image_media_type",
        ),
        BadRequestError,
    ),
    # Anthropic: https://platform.claude.com/docs/en/api/errors
    "authentication_error": AuthenticationError,
    "billing_error": QuotaExceededError,
    "permission_error": PermissionDeniedError,
    "not_found_error": ModelNotFoundError,
    "conflict_error": ConflictError,
    "request_too_large": BadRequestError,
    "rate_limit_error": RateLimitError,
    "api_error": ServerError,
    "timeout_error": ServerError,
    "overloaded_error": OverloadedError,
    # vLLM and llama-server name Python's and HTTP's classes.
    "BadRequestError": BadRequestError,
    "NotFoundError": ModelNotFoundError,
    "InternalServerError": ServerError,
    "exceed_context_size_error": ContextLengthError,
    # Gemini's google.rpc codes: https://ai.google.dev/gemini-api/docs/troubleshooting
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": ModelNotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "INTERNAL": ServerError,
    "UNAVAILABLE": ServerError,
    "DEADLINE_EXCEEDED": ServerError,
}


class Refinement(NamedTuple):
    """When an error of one of *kinds* has a code or a wording, it is a *kind*."""

    kind: type[APIError]
    is_retryable: bool
    kinds: tuple[type[APIError], ...]
    codes: frozenset[str]
    wording: re.Pattern[str] | None


def _any_of(*wordings: str) -> re.Pattern[str]:
    return re.compile("|".join(wordings), re.IGNORECASE)


REFINEMENTS = (
    Refinement(
        QuotaExceededError,
        False,
        (BadRequestError, PermissionDeniedError, RateLimitError),
        frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error", "budget_exceeded"}),
        # Not "exceeded your current quota": Gemini says so of a limit per minute.
        _any_of(
            r"credit balance is too low",  # Anthropic, 400
            r"specified API usage limits",  # Anthropic's spend limit, 400
            r"insufficient (?:credits?|balance|funds|quota)",  # OpenRouter, DeepSeek
            r"(?:spend|spending|billing|credit|budget) (?:hard )?(?:cap|limit)",  # xAI, OpenAI
            r"used all available credits",  # xAI, 403
        ),
    ),
    Refinement(
        ContextLengthError,
        False,
        (BadRequestError,),
        frozenset({"context_length_exceeded", "exceed_context_size_error"}),
        _any_of(
            r"maximum (?:context|prompt) length",  # OpenAI, vLLM, Mistral, OpenRouter, xAI
            r"prompt is too long",  # Anthropic
            r"exceeds? the (?:available )?context (?:size|length|window)",  # llama-server, LM Studio, Ollama
            r"exceeds? the maximum number of tokens",  # Gemini
            r"longer than the (?:model's )?context length",  # SGLang, Ollama
            r"context the overflows",  # LM Studio's words
            r"reduce the length of the messages",  # Groq
        ),
    ),
    Refinement(
        AuthenticationError,
        False,
        (BadRequestError,),
        frozenset({"invalid_api_key", "API_KEY_INVALID"}),
        _any_of(r"API key not valid", r"incorrect API key"),  # Gemini and xAI, both 400
    ),
    Refinement(
        ModelNotFoundError,
        False,
        (BadRequestError,),
        frozenset({"model_not_found"}),
        _any_of(r"is not a valid model ID"),  # OpenRouter, 400
    ),
    Refinement(OverloadedError, True, (ServerError,), frozenset({"overloaded_error"}), None),
)


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What an error body says: its text, its one *code*, all its codes, the status it claims, its request."""

    text: str = ""
    code: str | None = None
    codes: frozenset[str] = frozenset()
    status: int | None = None
    request_id: str | None = None


def read_words(body: Any) -> ErrorWords:
    """Read an error body of any shape."""
    if isinstance(body, str):
        return ErrorWords(text=_plain(body))
    if is_array(body):  # Gemini wraps its error in a list.
        return read_words(body[0]) if body and is_object(body[0]) else ErrorWords()
    outer = as_object(body)
    inner = outer.get("error")
    if is_array(inner):
        inner = next((item for item in inner if item), None)
    fields = {**outer, **inner} if is_object(inner) else outer
    named = [fields.get(name) for name in ("code", "type", "status")]
    words = [
        word for word in named if isinstance(word, str) and word not in ("", "error") and not word.isdigit()
    ]
    if isinstance(outer.get("error"), str) and "message" in outer:  # {"error": "a_code", "message": "..."}
        words.append(outer["error"])
    status = _status(named)
    return ErrorWords(
        text=_text(fields, inner),
        code=words[0] if words else None if status is None else str(status),
        codes=frozenset(words),
        status=status,
        request_id=as_text(outer.get("request_id")),
    )


def _status(named: list[Any]) -> int | None:
    for word in named:
        number = int(word) if isinstance(word, str) and word.isdecimal() and len(word) == 3 else word
        if type(number) is int and 300 <= number <= 599:
            return number
    return None


def _text(fields: dict[str, Any], inner: Any) -> str:
    places = (fields.get("message"), fields.get("detail"), inner, fields.get("errors"), fields.get("msg"))
    for place in places:
        if text := _told(place):
            return text + _upstream(fields.get("metadata"))
    return ""


def _told(value: Any) -> str:
    if isinstance(value, str):
        return _plain(value)
    if is_array(value):
        return "; ".join(filter(None, (_told(item) for item in value[:10] if not is_array(item))))
    if is_object(value):
        text = as_text(value.get("msg")) or as_text(value.get("message")) or ""
        place = value.get("loc")  # FastAPI says where: ["body", "messages", 0]
        return f"{'.'.join(map(str, place))}: {text}" if is_array(place) and text else text
    return ""


def _upstream(metadata: Any) -> str:
    """Give what OpenRouter was told by the provider behind it."""
    raw = as_object(metadata).get("raw")
    text = raw if isinstance(raw, str) else ""
    return f" ({as_object(metadata).get('provider_name') or 'upstream'}: {_plain(text)})" if text else ""


_TITLE = re.compile(r"<title[^<>]*>([^<]+)", re.IGNORECASE)
_HIDDEN = re.compile(r"<(?:script|style)\b[^<>]*>[^<]*", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>?")


def _plain(text: str) -> str:
    """Give *text* on one line; of a page of HTML, its title or its first words."""
    text = text[:4_000].strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = title.group(1) if title else _TAG.sub(" ", _HIDDEN.sub(" ", text))
        import html  # with 50 KB of names, for the pages that gateways send

        text = html.unescape(text)[:200]
    return " ".join(text.split())


# A key, or what a server has left of it: OpenAI repeats "sk-proj-****abcd".
_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_*…-]{4,}|(?<=Bearer )(?=\S*\d)[^\s\"',;]{8,}")
_MIN_LENGTH_TO_SHOW_THE_END = 16


def masked(text: str) -> str:
    """Replace what looks like a key; the last four characters of a long one stay."""
    return _KEY.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    key = found.group()
    head = "sk-" if key.startswith("sk-") else ""
    return f"{head}…{key[-4:]}" if len(key) >= _MIN_LENGTH_TO_SHOW_THE_END else f"{head}…"
