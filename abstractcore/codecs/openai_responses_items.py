"""A history as the input items of the Responses wire.

Knows what that API refuses among its items: a reasoning item that it neither stores nor finds
whole in the request, one that nothing follows, a call's id of more than 64 characters.
https://platform.openai.com/docs/guides/conversation-state
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import takewhile
from typing import Any, cast

from abstractcore.codecs.json_text import as_array, as_object, is_object
from abstractcore.codecs.openai_fields import arguments_text, image_url
from abstractcore.codecs.tool_call_parts import read_arguments
from abstractcore.types import ContentPart, Message, ToolCallDict

_MAX_CALL_ID = 64
_TEXT_FIELDS = {"output_text": "text", "refusal": "refusal"}


def write_items(
    messages: Sequence[Message], *, codec: str, is_stored: bool
) -> tuple[str, list[dict[str, Any]]]:
    """Give the instructions, which are the system texts at the head, and the items after them.

    A later system message keeps its place. What *codec* keeps in `provider_data` goes back as it
    came; *is_stored*: the server knows the items of its past answers by their ids.
    """
    head = list(takewhile(_is_instruction, messages))
    items = [item for message in messages[len(head) :] for item in _items(message, codec, is_stored)]
    return "\n\n".join(filter(None, (str(message["content"]) for message in head))), items


def _is_instruction(message: Message) -> bool:
    return message["role"] == "system" and isinstance(message.get("content"), str)


def _items(message: Message, codec: str, is_stored: bool) -> list[dict[str, Any]]:
    if message["role"] == "assistant":
        return _answered(message, codec, is_stored)
    content = message.get("content", "")
    if message["role"] == "tool":
        output = content if isinstance(content, str) else _parts(content, "input_text")
        call_id = _wire_id(message.get("tool_call_id", ""))
        return [{"type": "function_call_output", "call_id": call_id, "output": output}]
    return [{"type": "message", "role": message["role"], "content": _parts(content, "input_text")}]


def _parts(content: str | Iterable[ContentPart], text_type: str) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": text_type, "text": content}]
    return [_part(part, text_type) for part in content]


def _part(part: ContentPart, text_type: str) -> dict[str, Any]:
    if part["type"] == "image":
        # "auto" is the default, and the API's schema asks for it to be said.
        return {"type": "input_image", "image_url": image_url(part), "detail": "auto"}
    return {**part, "type": text_type} if part["type"] == "text" else dict(part)


# ---- what the model said -----------------------------------------------------------------------


def _answered(message: Message, codec: str, is_stored: bool) -> list[dict[str, Any]]:
    """Give the items as they came if the message still says the same, else what it says now.

    Reasoning that came over another wire has no item, and is left out.
    """
    calls = [_call(call) for call in message.get("tool_calls", ())]
    data = as_object(as_object(message.get("provider_data")).get(codec))
    kept = [item for item in as_array(data.get("output")) if is_object(item)]
    if kept and _can_go_back(kept, is_stored) and _says(kept) == (_text(message), _meant(calls)):
        return _sent_back(kept, calls)
    return [*_spoken(message), *calls]


def _spoken(message: Message) -> list[dict[str, Any]]:
    """Give the message without an id, as OpenAI's own Codex sends it; a turn of calls alone has none."""
    content = message.get("content", "")
    if not content:
        return []
    return [{"type": "message", "role": "assistant", "content": _parts(content, "output_text")}]


def _call(call: ToolCallDict) -> dict[str, Any]:
    return {
        "type": "function_call",
        "call_id": _wire_id(call["id"]),
        "name": call["name"],
        "arguments": arguments_text(call),
    }


def _can_go_back(kept: Iterable[Mapping[str, Any]], is_stored: bool) -> bool:
    """Whether each reasoning item is all here, since an id alone is found only where it is stored.

    OpenAI encrypts the reasoning; servers of open models give it as content.
    """
    reasoning = (item for item in kept if item.get("type") == "reasoning")
    return is_stored or all(item.get("encrypted_content") or item.get("content") for item in reasoning)


def _says(items: Iterable[Mapping[str, Any]]) -> tuple[str, list[Any]]:
    messages = (item for item in items if item.get("type") == "message")
    parts = (as_object(part) for item in messages for part in as_array(item.get("content")))
    text = "".join(str(part.get(_TEXT_FIELDS.get(str(part.get("type")), ""), "")) for part in parts)
    return text, _meant(item for item in items if item.get("type") == "function_call")


def _meant(calls: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [(call.get("name"), read_arguments(str(call.get("arguments") or ""))) for call in calls]


def _text(message: Message) -> str:
    content = message.get("content", "")
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def _sent_back(kept: list[dict[str, Any]], calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the items unmodified but for the ids of calls, which the history may have made unique."""
    while kept and kept[-1].get("type") == "reasoning":  # max_output_tokens cut off what belongs to it
        kept = kept[:-1]
    ids = iter([cast("str", call["call_id"]) for call in calls])
    return [{**item, "call_id": next(ids)} if item.get("type") == "function_call" else item for item in kept]


def _wire_id(call_id: str) -> str:
    """Give the id, or a short one in its place; different ids stay different."""
    if len(call_id) <= _MAX_CALL_ID:
        return call_id
    return f"call_{sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"
