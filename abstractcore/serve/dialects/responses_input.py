"""Reads the input items of a Responses request as messages of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abstractcore.codecs.json_text import as_array, as_object
from abstractcore.serve.dialects.reading import need, objects, plain, refuse, unsupported

# Their name in `provider_data`: what the codec of that wire sends back as it came.
_CODEC = "openai_responses"
_TEXTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def read_input(instructions: str | None, given: Any) -> list[dict[str, Any]]:
    """Read the instructions and the input, a text or a list of items."""
    messages: list[dict[str, Any]] = []
    if instructions is not None:
        messages.append({"role": "system", "content": instructions})
    if given is None:
        refuse("input", "this field is required")
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    said: list[dict[str, Any]] = []
    for index, item in enumerate(objects(given, "input")):
        where = f"input[{index}]"
        if _is_answered(item):
            said.append(_checked(item, where))
            continue
        messages += _answer(said)
        said = []
        messages.append(_message(item, where))
    return [*messages, *_answer(said)]


def _kind(item: Mapping[str, Any]) -> Any:
    return item.get("type", "message")


def _is_answered(item: Mapping[str, Any]) -> bool:
    """Whether the model made this item: such that follow each other are one message."""
    kind = _kind(item)
    return kind in ("reasoning", "function_call") or (kind == "message" and item.get("role") == "assistant")


def _message(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = _kind(item)
    if kind == "function_call_output":
        output = item.get("output")
        call_id = need(item, "call_id", str, f"{where}.")
        return {"role": "tool", "tool_call_id": call_id, "content": _content(output, f"{where}.output")}
    if kind != "message":
        unsupported(f"{where}.type", f"an item of type {str(kind)[:40]!r} cannot be passed on")
    role = need(item, "role", str, f"{where}.")
    return {"role": role, "content": _content(item.get("content"), f"{where}.content")}


def _content(content: Any, where: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    return plain([_part(part, f"{where}[{index}]") for index, part in enumerate(objects(content, where))])


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = str(part.get("type"))
    if kind in _TEXTS:
        return {"type": "text", "text": need(part, _TEXTS[kind], str, f"{where}.")}
    if kind != "input_image":
        unsupported(f"{where}.type", f"a part of type {kind[:40]!r} cannot be passed on")
    return {"type": "image", "url": need(part, "image_url", str, f"{where}.")}


# ---- what the model said -----------------------------------------------------------------------


def _checked(item: dict[str, Any], where: str) -> dict[str, Any]:
    kind = _kind(item)
    if kind == "function_call":
        for field in ("call_id", "name", "arguments"):
            need(item, field, str, f"{where}.")
    elif kind == "message":
        return {**item, "type": "message", "content": _content(item.get("content"), f"{where}.content")}
    return item


def _answer(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the items of one answer as a message.

    Where its reasoning is encrypted, the items go on as they came, to a model that reads them.
    """
    if not items:
        return []
    messages = [item for item in items if item["type"] == "message"]
    thoughts = "".join(_thought(item) for item in items if item.get("type") == "reasoning")
    calls = [_call(item) for item in items if item.get("type") == "function_call"]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_text(item) for item in messages)}
    message |= {"reasoning": thoughts} if thoughts else {}
    message |= {"tool_calls": calls} if calls else {}
    if any(item.get("encrypted_content") for item in items):
        message["provider_data"] = {_CODEC: {"output": [_as_it_came(item) for item in items]}}
    return [message]


def _text(item: Mapping[str, Any]) -> str:
    content = item["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _as_it_came(item: Mapping[str, Any]) -> dict[str, Any]:
    if item.get("type") != "message":
        return dict(item)
    part = {"type": "output_text", "text": _text(item), "annotations": []}
    return {**item, "content": [part]}


def _thought(item: Mapping[str, Any]) -> str:
    parts = [*as_array(item.get("summary")), *as_array(item.get("content"))]
    return "".join(text for part in parts if isinstance(text := as_object(part).get("text"), str))


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": item["call_id"], "name": item["name"], "arguments": item["arguments"]}
