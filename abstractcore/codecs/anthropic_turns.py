"""A history as the turns of the Anthropic Messages wire.

Knows what that API refuses in a turn: an empty text, a tool result that is not the first thing
after its call, an id with other characters, a thought without its signature.
https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Literal

from abstractcore.codecs.json_text import as_array, as_object, is_object
from abstractcore.types import ContentPart, Message, ToolCallDict

LateSystem = Literal["user", "system"]
_NOT_IN_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def write_turns(
    messages: Sequence[Message], *, codec: str, late_system: LateSystem
) -> tuple[str, list[dict[str, Any]]]:
    """Give the system prompt, which is all system messages at the head, and the turns after it.

    Neighbours of one role are one turn, as the API itself would read them, and the results of a
    turn's tools come first in the answer to it. What *codec* keeps in `provider_data` goes back
    as it came.
    """
    head = list(takewhile(lambda message: message["role"] == "system", messages))
    turns: list[dict[str, Any]] = []
    for message in messages[len(head) :]:
        role = {"tool": "user", "system": late_system}.get(message["role"], message["role"])
        _add(turns, role, _blocks(message, codec))
    for turn in turns:
        turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
        turn["content"] = turn["content"] or ""  # an empty prompt is the API's to judge
    return "\n\n".join(filter(None, map(_text, head))), turns


def calls_without_a_thought(turns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the tool calls that wait for an answer were begun without a thought, as another wire's are.

    Up to Claude 4.5 such a turn is refused while thinking is on.
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    first: Mapping[str, Any] | None = None
    for turn in reversed(turns):
        if turn["role"] == "assistant":
            first = turn
        elif not any(_is(block, "tool_result") for block in turn["content"]):
            break
    return (
        first is not None
        and first is not turns[-1]
        and not _is(first["content"][0], "thinking", "redacted_thinking")
    )


def _is(block: Any, *types: str) -> bool:
    return as_object(block).get("type") in types


def _add(turns: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"] += blocks
    elif blocks or role == "user":
        turns.append({"role": role, "content": blocks})


def _blocks(message: Message, codec: str) -> list[dict[str, Any]]:
    if message["role"] == "assistant":
        return _answered(message, codec)
    content = _content(message.get("content", ""))
    return [_tool_result(message, content)] if message["role"] == "tool" else content


def _content(content: str | Sequence[ContentPart]) -> list[dict[str, Any]]:
    parts: Iterable[Mapping[str, Any]] = (
        [{"type": "text", "text": content}] if isinstance(content, str) else content
    )
    return [_image(part) if part["type"] == "image" else dict(part) for part in parts if not _is_empty(part)]


def _is_empty(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "text" and not block.get("text")


def _text(message: Message) -> str:
    content = message.get("content", "")
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    if url := part.get("url"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"media_type": part.get("media_type", "image/png"), "data": part.get("data", "")}
    return {"type": "image", "source": {"type": "base64", **source}}


def _tool_result(message: Message, content: list[dict[str, Any]]) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": _wire_id(message.get("tool_call_id", ""))}
    return result | ({"content": content} if content else {})


# ---- what the model said -----------------------------------------------------------------------


def _answered(message: Message, codec: str) -> list[dict[str, Any]]:
    """Give the blocks as they came if the message still says the same, else what it says now.

    Reasoning that came over another wire has no signature, and is left out.
    """
    calls = [_tool_use(call) for call in message.get("tool_calls", ())]
    data = as_object(as_object(message.get("provider_data")).get(codec))
    kept = [block for block in as_array(data.get("content")) if is_object(block)]
    if kept and _says(kept) == (_text(message), _without_ids(calls)):
        return _sent_back(kept, calls)
    return [*_content(message.get("content", "")), *calls]


def _says(blocks: list[dict[str, Any]]) -> tuple[str, list[Any]]:
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    return text, _without_ids(block for block in blocks if block.get("type") == "tool_use")


def _without_ids(calls: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [(call.get("name"), call.get("input")) for call in calls]


def _sent_back(kept: list[dict[str, Any]], calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the blocks unmodified but for the ids of calls, which the history may have made unique."""
    ids = iter(call["id"] for call in calls)
    blocks = [{**block, "id": next(ids)} if block.get("type") == "tool_use" else block for block in kept]
    return [block for block in blocks if not (_is_empty(block) or _is_unsigned(block))]


def _is_unsigned(block: Mapping[str, Any]) -> bool:
    """Whether it is a thought that max_tokens cut off before its signature: the API would refuse it."""
    return block.get("type") == "thinking" and not block.get("signature")


def _tool_use(call: ToolCallDict) -> dict[str, Any]:
    arguments = tool_input(call["arguments"], call.get("arguments_raw"))
    return {"type": "tool_use", "id": _wire_id(call["id"]), "name": call["name"], "input": arguments}


def tool_input(arguments: dict[str, Any], raw: str | None) -> dict[str, Any]:
    """Give a call's input, which the wire wants to be an object whatever the model wrote."""
    return arguments if raw is None else {"arguments": raw}


def _wire_id(call_id: str) -> str:
    """Give the id in the characters that the API takes; different ids stay different."""
    return _NOT_IN_AN_ID.sub(lambda found: f"_{ord(found.group()):x}_", call_id) or "_"
