"""What OpenAI's three wires have in common: the shape of an error, a tool choice, the list of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from abstractcore.serve.dialects.base import Refusal, RefusalKind
from abstractcore.serve.dialects.reading import need, refuse, unsupported
from abstractcore.types import OutputSchema

# https://platform.openai.com/docs/guides/error-codes
_ERRORS: Mapping[RefusalKind, tuple[str, str | None]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", "permission_denied"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "context_length": ("invalid_request_error", "context_length_exceeded"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "overloaded": ("server_error", "overloaded"),
    "timeout": ("server_error", "timeout"),
    "unsupported": ("invalid_request_error", "unsupported_parameter"),
    "unknown_url": ("invalid_request_error", "unknown_url"),
    "server": ("server_error", None),
}


def error_of(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Write an error's body."""
    kind, code = _ERRORS[refusal.kind]
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": code}}


def error_code(refusal: Refusal) -> str:
    """Give the one word for a failure."""
    kind, code = _ERRORS[refusal.kind]
    return code or kind


def tool_choice_of(value: Any) -> str | None:
    """Read "auto", "none", "required", or the function that is named."""
    if value is None or value in ("auto", "none", "required"):
        return value
    if not isinstance(value, Mapping):
        refuse("tool_choice", "expected auto, none, required or a function")
    choice = cast("Mapping[str, Any]", value)
    if choice.get("type") != "function":
        unsupported("tool_choice", "only a function can be chosen")
    function = choice.get("function", choice)
    if not isinstance(function, Mapping):
        refuse("tool_choice.function", "expected an object")
    return need(cast("Mapping[str, Any]", function), "name", str, "tool_choice.")


def not_heard(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the wish for one call at a time, which no model is told; a gateway's answer may have several."""
    return ("parallel_tool_calls",) if body.get("parallel_tool_calls") is False else ()


def schema_of(wanted: Any, where: str) -> OutputSchema | None:
    """Read the format that an answer is asked for in; *wanted* has name and schema in it or beside it."""
    if wanted is None:
        return None
    if not isinstance(wanted, Mapping):
        refuse(where, "expected an object")
    fields = cast("Mapping[str, Any]", wanted)
    kind = fields.get("type")
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return OutputSchema("answer", {"type": "object"})
    if kind != "json_schema":
        refuse(f"{where}.type", "expected text, json_object or json_schema")
    inner = fields.get("json_schema", fields)
    if not isinstance(inner, Mapping):
        refuse(f"{where}.json_schema", "expected an object")
    schema = need(cast("Mapping[str, Any]", inner), "schema", dict, f"{where}.")
    name = need(cast("Mapping[str, Any]", inner), "name", str, f"{where}.")
    return OutputSchema(name, cast("dict[str, Any]", schema))


def models_list(names: Iterable[str], created: int) -> dict[str, Any]:
    """Write the list of models."""
    return {"object": "list", "data": [model_entry(name, created) for name in names]}


def model_entry(name: str, created: int) -> dict[str, Any]:
    """Write one model."""
    return {"id": name, "object": "model", "created": created, "owned_by": "abstractcore"}
