"""Anthropic's Messages, as a server speaks it.

https://platform.claude.com/docs/en/api/messages/create and …/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from abstractcore.codecs.anthropic_turns import tool_input
from abstractcore.codecs.json_text import as_array, as_object
from abstractcore.serve.dialects.anthropic_turns import read_turns
from abstractcore.serve.dialects.base import (
    Asked,
    Dialect,
    Refusal,
    RefusalKind,
    Stamp,
    json_text,
    named_event,
)
from abstractcore.serve.dialects.openai_words import schema_of
from abstractcore.serve.dialects.reading import (
    effort,
    left_over,
    model_of,
    need,
    not_taken,
    objects,
    picked,
    refuse,
    take,
    unsupported,
)
from abstractcore.types import FinishReason, GenerateResponse, OutputSchema, StreamChunk, Thinking, ToolCall

_SAMPLING = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
}
_READ = (
    *_SAMPLING, "model", "messages", "system", "stream", "tools", "tool_choice", "thinking", "output_config",
    "output_format", "metadata",
)  # fmt: skip
_STOP_REASONS: Mapping[FinishReason | None, str] = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# https://platform.claude.com/docs/en/api/errors
_ERRORS: Mapping[RefusalKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "context_length": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "quota": "billing_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "unsupported": "invalid_request_error",
    "unknown_url": "not_found_error",
    "server": "api_error",
}


def read(body: Mapping[str, Any]) -> Asked:
    """Read a request."""
    not_taken(body, ("mcp_servers", "container"))
    need(body, "max_tokens", int)
    sampling = picked(body, _SAMPLING)
    choice = take(body, "tool_choice", dict)
    config = take(body, "output_config", dict) or {}
    if (thinking := _thinking(take(body, "thinking", dict), config)) is not None:
        sampling["thinking"] = thinking
    return Asked(
        model=model_of(body),
        stream=bool(take(body, "stream", bool)),
        messages=read_turns(body.get("system"), objects(need(body, "messages", list), "messages")),
        tools=_tools(body.get("tools")),
        tool_choice=_tool_choice(choice),
        schema=_schema(config.get("format") or body.get("output_format")),
        sampling=sampling,
        ignored=(*left_over(body, _READ), *_not_heard(choice)),
    )


def _tools(given: Any) -> list[dict[str, Any]]:
    tools = [] if given is None else objects(given, "tools")
    for index, tool in enumerate(tools):
        if tool.get("type") not in (None, "custom"):
            unsupported(f"tools[{index}].type", "this gateway runs no tools of its own")
    return [{**tool, "type": "custom"} for tool in tools]


def _tool_choice(choice: Mapping[str, Any] | None) -> str | None:
    if choice is None:
        return None
    if choice.get("type") == "tool":
        return need(choice, "name", str, "tool_choice.")
    named = _TOOL_CHOICES.get(str(choice.get("type")))
    return named or refuse("tool_choice.type", "expected auto, any, tool or none")


def _not_heard(choice: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Name the wish for one call at a time, which no model is told."""
    is_wished = choice is not None and choice.get("disable_parallel_tool_use") is True
    return ("tool_choice.disable_parallel_tool_use",) if is_wished else ()


def _schema(wanted: Any) -> OutputSchema | None:
    """Read the format of the answer, which has no name on this wire."""
    return schema_of(
        {"name": "answer", **wanted} if isinstance(wanted, dict) else wanted, "output_config.format"
    )


def _thinking(given: Mapping[str, Any] | None, config: Mapping[str, Any]) -> Thinking:
    """Read how much to think; a budget of tokens is the nearest effort."""
    wanted = effort(config.get("effort"), "output_config.effort")
    if given is None:
        return None
    kind, budget = given.get("type"), given.get("budget_tokens")
    if kind not in ("enabled", "adaptive", "disabled"):
        refuse("thinking.type", "expected enabled, adaptive or disabled")
    if kind == "disabled":
        return False
    if wanted or not isinstance(budget, int):
        return wanted or True
    return "low" if budget <= 2_048 else "medium" if budget <= 8_192 else "high"


# ---- the answer ------------------------------------------------------------------------------


def write(asked: Asked, response: GenerateResponse, stamp: Stamp) -> dict[str, Any]:
    """Write a whole answer; what an Anthropic model said goes on as it came, signed thoughts too."""
    kept = as_object(as_object(response.provider_data).get("anthropic_messages")).get("content")
    return {
        **_head(stamp),
        "content": as_array(kept) or list(_blocks(response)),
        "stop_reason": _STOP_REASONS.get(response.finish_reason, "end_turn"),
        "usage": _usage(response),
    }


def _head(stamp: Stamp) -> dict[str, Any]:
    return {
        "id": f"msg_{stamp.id}",
        "type": "message",
        "role": "assistant",
        "model": stamp.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def _blocks(response: GenerateResponse) -> Iterable[dict[str, Any]]:
    if response.reasoning:
        yield {"type": "thinking", "thinking": response.reasoning, "signature": ""}
    if response.content:
        yield {"type": "text", "text": response.content}
    for call in response.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}


def _input(call: ToolCall) -> dict[str, Any]:
    return tool_input(call.arguments, call.arguments_raw)


def _usage(response: GenerateResponse) -> dict[str, Any]:
    """Write the tokens: on this wire those of a cache stand beside the others of the prompt."""
    usage = response.usage
    cache = {
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }
    told = {name: count for name, count in cache.items() if count is not None}
    return {
        "input_tokens": max(0, (usage.input_tokens or 0) - sum(told.values())),
        "output_tokens": usage.output_tokens or 0,
        **told,
    }


class MessagesWriter:
    """Writes one streamed answer: blocks one after the other, each begun, added to and stopped."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._stamp = stamp
        self._index = -1
        self._open: str | None = None

    def begin(self) -> bytes:
        """Give the empty message; what it took to read the prompt is told at the end."""
        return named_event({"type": "message_start", "message": _head(self._stamp)})

    def add(self, chunk: StreamChunk) -> bytes:
        """Give a piece of text or of thought, or a whole tool call."""
        if chunk.tool_call is not None:
            return self._call(chunk.tool_call)
        if not chunk.content:
            return b""
        if chunk.phase == "thinking":
            opened = self._into("thinking", {"thinking": "", "signature": ""})
            return opened + self._delta("thinking_delta", thinking=chunk.content)
        return self._into("text", {"text": ""}) + self._delta("text_delta", text=chunk.content)

    def end(self, response: GenerateResponse) -> bytes:
        """Give the reason, the tokens and the stop."""
        reason = _STOP_REASONS.get(response.finish_reason, "end_turn")
        delta = {"stop_reason": reason, "stop_sequence": None}
        told = named_event({"type": "message_delta", "delta": delta, "usage": _usage(response)})
        return self._stop() + told + named_event({"type": "message_stop"})

    def fail(self, refusal: Refusal) -> bytes:
        """Give the error; no stop follows."""
        return named_event(refuse_with(refusal, ""))

    def _call(self, call: ToolCall) -> bytes:
        opened = self._into("tool_use", {"id": call.id, "name": call.name, "input": {}}, anew=True)
        return opened + self._delta("input_json_delta", partial_json=json_text(_input(call))) + self._stop()

    def _into(self, kind: str, empty: Mapping[str, Any], *, anew: bool = False) -> bytes:
        if self._open == kind and not anew:
            return b""
        stopped = self._stop()
        self._index, self._open = self._index + 1, kind
        block = {"type": kind, **empty}
        return stopped + named_event(
            {"type": "content_block_start", "index": self._index, "content_block": block}
        )

    def _delta(self, kind: str, **fields: str) -> bytes:
        delta = {"type": kind, **fields}
        return named_event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _stop(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return named_event({"type": "content_block_stop", "index": self._index})


# ---- beside answers --------------------------------------------------------------------------


def refuse_with(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """Write an error's body."""
    error = {"type": _ERRORS[refusal.kind], "message": refusal.message}
    return {"type": "error", "error": error, "request_id": request_id or None}


def models_list(names: Iterable[str], created: str) -> dict[str, Any]:
    """Write the list of models; *created* is a time in ISO 8601."""
    data = [model_entry(name, created) for name in names]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return {"data": data, "has_more": False, "first_id": None, "last_id": None, **ends}


def model_entry(name: str, created: str) -> dict[str, Any]:
    """Write one model."""
    return {"type": "model", "id": name, "display_name": name, "created_at": created, "lifecycle": "active"}


MESSAGES = Dialect("messages", read, write, MessagesWriter, refuse_with)
