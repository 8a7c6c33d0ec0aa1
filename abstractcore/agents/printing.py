"""A live run, printed: who speaks, what is called, and the text as it comes."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, overload

from abstractcore.streams import AsyncStream, Stream
from abstractcore.types import StreamChunk

_WIDTH = 100


class _Page:
    """Writes chunks; a line begins with the agent's name when another one speaks."""

    def __init__(self) -> None:
        self._speaker: tuple[Any, ...] | None = None

    def take(self, chunk: StreamChunk) -> None:
        """Write the next chunk."""
        if chunk.is_text():
            self._begin(chunk, "(thinking) " if chunk.phase == "thinking" else "")
            print(chunk.content, end="", flush=True)
        elif chunk.tool_call is not None:
            self._begin(chunk, call_line(chunk))

    def _begin(self, chunk: StreamChunk, mark: str) -> None:
        speaker = (chunk.agent, chunk.iteration, chunk.phase)
        if speaker == self._speaker and chunk.is_text():
            return
        print(("" if self._speaker is None else "\n") + _name(chunk) + mark, end="")
        self._speaker = speaker


def _name(chunk: StreamChunk) -> str:
    return f"[{chunk.agent}] " if chunk.agent else ""


def call_line(chunk: StreamChunk) -> str:
    """Give one line for a tool call, or for its result."""
    call = chunk.tool_call
    assert call is not None
    if not chunk.content:
        text = f"{call.name}({json.dumps(call.arguments, ensure_ascii=False)})"
    else:
        text = f"{call.name} -> {chunk.content}".replace("\n", " ")
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"


@overload
def pretty_print(stream: Stream) -> str: ...
@overload
def pretty_print(stream: AsyncStream) -> Coroutine[Any, Any, str]: ...
def pretty_print(stream: Stream | AsyncStream) -> Any:
    """Print a run as it goes on, and give its final text: `pretty_print(agent.run(task, stream=True))`.

    For an async stream, await it.
    """
    if isinstance(stream, AsyncStream):
        return _printed(stream)
    page = _Page()
    for chunk in stream:
        page.take(chunk)
    print()
    return stream.response.content


async def _printed(stream: AsyncStream) -> str:
    page = _Page()
    async for chunk in stream:
        page.take(chunk)
    print()
    return stream.response.content
