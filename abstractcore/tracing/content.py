"""Messages, answers and tools as the JSON that the conventions for generative AI have for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abstractcore.types import GenerateRequest, GenerateResponse, Message

_FINISH = {"tool_calls": "tool_call"}


def asked(request: GenerateRequest) -> dict[str, str | None]:
    """Give what *request* says, as attributes."""
    system = [message for message in request.messages if message["role"] == "system"]
    others = [message for message in request.messages if message["role"] != "system"]
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        }
        for tool in request.tools
    ]
    return {
        "gen_ai.system_instructions": _json([part for each in system for part in _said(each["content"])]),
        "gen_ai.input.messages": _json([_message(each) for each in others]),
        "gen_ai.tool.definitions": _json(tools),
    }


def answered(response: GenerateResponse) -> dict[str, str | None]:
    """Give what *response* says, as attributes."""
    parts = _reasoning(response.reasoning)
    if response.content:
        parts += _said(response.content)
    parts += [_call(call.as_dict()) for call in response.tool_calls]
    reason = response.finish_reason
    message: dict[str, Any] = {"role": "assistant", "parts": parts}
    if reason is not None:
        message["finish_reason"] = _FINISH.get(reason, reason)
    return {"gen_ai.output.messages": _json([message])}


def task(text: str) -> dict[str, str | None]:
    """Give what an agent or a workflow is told to do, as attributes."""
    return {"gen_ai.input.messages": _json([{"role": "user", "parts": _said(text)}])}


def arguments(given: Mapping[str, Any]) -> str:
    """Write the arguments of a tool call."""
    return _json(given) or "{}"


def _message(message: Message) -> dict[str, Any]:
    if message["role"] == "tool":
        result = {
            "type": "tool_call_response",
            "id": message.get("tool_call_id"),
            "response": message["content"],
        }
        return {"role": "tool", "parts": [result]}
    parts = _reasoning(message.get("reasoning"))
    parts += _said(message["content"]) if message["content"] else []
    parts += [_call(call) for call in message.get("tool_calls", ())]
    return {"role": message["role"], "parts": parts}


def _said(content: str | Sequence[Any]) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return [_part(part) for part in content]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "content": part["text"]}
    image = {"modality": "image", "mime_type": part.get("media_type")}
    if "url" in part:
        return {"type": "uri", **image, "uri": part["url"]}
    return {"type": "blob", **image, "content": part.get("data", "")}


def _reasoning(text: str | None) -> list[dict[str, Any]]:
    return [{"type": "reasoning", "content": text}] if text else []


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "tool_call",
        "id": call["id"],
        "name": call["name"],
        "arguments": call.get("arguments_raw", call["arguments"]),
    }


def _json(value: Iterable[Any]) -> str | None:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str) if value else None
