"""The recorded answers of all four wires, each with the codec that reads it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.base import Codec
from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.openai_responses import OpenAIResponses
from tests.codecs.recorded import expected

FOLDER = Path(__file__).parent.parent / "codecs"
CODECS: dict[str, Callable[..., Codec]] = {
    "openai_chat": OpenAIChat,
    "openai_responses": OpenAIResponses,
    "anthropic_messages": AnthropicMessages,
    "ollama_chat": OllamaChat,
}


@cache
def streams(wire: str) -> list[Path]:
    """The recorded streams of *wire*."""
    return sorted(path for path in (FOLDER / wire).iterdir() if path.suffix in (".sse", ".ndjson"))


@cache
def answers(wire: str, *, streamed: bool) -> list[bytes]:
    """The bytes of the recorded answers of *wire*: of the streams, or of the whole bodies."""
    if streamed:
        return [path.read_bytes() for path in streams(wire)]
    whole = (path for path in (FOLDER / wire).glob("*.json") if not path.name.endswith(".expected.json"))
    return [path.read_bytes() for path in sorted(whole)]


def codec_of(path: Path) -> Codec:
    """The codec that a case wants: some ask for fields that differ from the defaults."""
    fields: dict[str, Any] = expected(path).get("codec", {})
    return CODECS[path.parent.name](**fields)
