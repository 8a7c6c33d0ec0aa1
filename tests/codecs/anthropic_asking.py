"""How the tests of the Messages wire encode a request, and what recorded answers look like in a history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import GenerateRequest, Message, ToolSpec
from tests.codecs.recorded import streamed

CASES = Path(__file__).parent / "anthropic_messages"
HI: list[Message] = [{"role": "user", "content": "hi"}]
ADD = ToolSpec("add", "Add two numbers.", {"type": "object", "properties": {"a": {"type": "integer"}}})
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def body_of(codec: AnthropicMessages | None = None, messages: Any = HI, **fields: Any) -> dict[str, Any]:
    """Encode, and leave out what every request has."""
    body = dict((codec or AnthropicMessages()).encode(GenerateRequest("m", messages, **fields)).body)
    json.dumps(body, allow_nan=False).encode()
    assert body.pop("model") == "m"
    if body["max_tokens"] == AnthropicMessages().max_tokens:
        del body["max_tokens"]
    if messages is HI:
        assert body.pop("messages") == [{"role": "user", "content": [text("hi")]}]
    return body


def turns_of(*messages: Any, **codec: Any) -> list[dict[str, Any]]:
    return body_of(AnthropicMessages(**codec), messages)["messages"]


def warnings_of(codec: AnthropicMessages | None = None, **fields: Any) -> tuple[str, ...]:
    return (codec or AnthropicMessages()).encode(GenerateRequest("m", HI, **fields)).warnings


def recorded(name: str) -> Message:
    """The answer of a recorded stream, as a history holds it."""
    collector = Collector("anthropic", "m")
    for chunk in streamed(AnthropicMessages(), [(CASES / f"{name}.sse").read_bytes()]):
        collector.add(chunk)
    return json.loads(json.dumps(assistant_message(collector.response())))


def blocks_of(name: str) -> list[dict[str, Any]]:
    return json.loads((CASES / f"{name}.json").read_bytes())["content"]
