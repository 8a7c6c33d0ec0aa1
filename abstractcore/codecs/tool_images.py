"""The images of tool results, for a wire whose tool messages hold text alone.

https://platform.openai.com/docs/api-reference/chat/create: of the messages, only a user's may hold an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from abstractcore.types import ContentPart, Message

_TOLD: ContentPart = {"type": "text", "text": "(its image is in the next message of the user)"}


def with_images_apart(messages: Iterable[Message]) -> Iterator[Message]:
    """Give the messages; the images of a turn's tool results stand in a user's message after the results."""
    apart: list[ContentPart] = []
    for message in messages:
        if apart and message["role"] != "tool":
            yield {"role": "user", "content": apart}
            apart = []
        content = message.get("content", "")
        if message["role"] == "tool" and not isinstance(content, str):
            images = [part for part in content if part["type"] == "image"]
            if images:
                texts = [part for part in content if part["type"] != "image"]
                message = cast("Message", {**message, "content": [*texts, _TOLD]})
                apart += [_named(message), *images]
        yield message
    if apart:
        yield {"role": "user", "content": apart}


def _named(result: Message) -> ContentPart:
    return {"type": "text", "text": f"From the tool result {result.get('tool_call_id', '')}:"}
