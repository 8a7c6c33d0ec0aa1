"""Reads the turns of an Anthropic request as messages of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abstractcore.serve.dialects.reading import need, objects, plain, refuse, take, unsupported

# Their name in `provider_data`: what the codec of that wire sends back as it came.
_CODEC = "anthropic_messages"


def read_turns(system: Any, turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the system prompt and the turns."""
    messages: list[dict[str, Any]] = []
    if system is not None and system != []:
        blocks = _blocks(system, "system")
        text = "\n\n".join(_text(block, f"system[{index}]") for index, block in enumerate(blocks))
        messages.append({"role": "system", "content": text})
    for index, turn in enumerate(turns):
        where = f"messages[{index}]."
        role = need(turn, "role", str, where)
        if turn.get("content") is None:
            refuse(f"{where}content", "this field is required")
        blocks = _blocks(turn["content"], f"{where}content")
        if role == "assistant":
            messages.append(_assistant(blocks, f"{where}content"))
        elif role in ("user", "system"):
            messages += _asked(role, blocks, f"{where}content")
        else:
            refuse(f"{where}role", "expected user, assistant or system")
    return messages


def _blocks(content: Any, where: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content, where)


def _text(block: Mapping[str, Any], where: str) -> str:
    if block.get("type") != "text":
        refuse(where, "expected a block of text")
    return need(block, "text", str, f"{where}.")


def _asked(role: str, blocks: Sequence[Mapping[str, Any]], where: str) -> list[dict[str, Any]]:
    """Read a turn of the user: the results of tools first, each a message, and then the rest."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        here = f"{where}[{index}]"
        if block.get("type") == "tool_result":
            results.append(_result(block, here))
        else:
            parts.append(_part(block, here))
    return [*results, {"role": role, "content": plain(parts)}] if parts or not results else results


def _result(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    content = block.get("content")
    blocks = [] if content is None else _blocks(content, f"{where}.content")
    parts = [_part(inner, f"{where}.content[{index}]") for index, inner in enumerate(blocks)]
    call_id = need(block, "tool_use_id", str, f"{where}.")
    return {"role": "tool", "tool_call_id": call_id, "content": plain(parts) if parts else ""}


def _part(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": _text(block, where)}
    if kind != "image":
        unsupported(f"{where}.type", f"a block of type {str(kind)[:40]!r} cannot be passed on")
    source = need(block, "source", dict, f"{where}.")
    if source.get("type") == "url":
        return {"type": "image", "url": need(source, "url", str, f"{where}.source.")}
    data = need(source, "data", str, f"{where}.source.")
    return {"type": "image", "data": data, "media_type": take(source, "media_type", str, f"{where}.source.")}


def _assistant(blocks: Sequence[Mapping[str, Any]], where: str) -> dict[str, Any]:
    """Read a turn of the model; signed thoughts go on as they came, where an Anthropic model is next."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    is_signed = False
    for index, block in enumerate(blocks):
        here = f"{where}[{index}]"
        kind = block.get("type")
        if kind == "text":
            texts.append(_text(block, here))
        elif kind == "tool_use":
            calls.append(_call(block, f"{here}."))
        elif kind == "thinking":
            thoughts.append(need(block, "thinking", str, f"{here}."))
            is_signed = is_signed or bool(block.get("signature"))
        elif kind == "redacted_thinking":
            is_signed = True
        else:
            unsupported(f"{here}.type", f"a block of type {str(kind)[:40]!r} cannot be passed on")
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    message |= {"reasoning": "".join(thoughts)} if thoughts else {}
    message |= {"tool_calls": calls} if calls else {}
    kept = [dict(block) for block in blocks]
    return message | ({"provider_data": {_CODEC: {"content": kept}}} if is_signed else {})


def _call(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {
        "id": need(block, "id", str, where),
        "name": need(block, "name", str, where),
        "arguments": need(block, "input", dict, where),
    }
