"""A service on a wire of its own: lines such as {"text": "Hel"}, the last of which is {"end": "stop"}.

The codec is pure: it turns a request into JSON and bytes into chunks. Connections, retries, deadlines and
both surfaces are abstractcore's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from abstractcore.codecs.base import StreamDecoder, WireRequest
from abstractcore.codecs.framed_stream import FramedStream
from abstractcore.codecs.framing import NDJSONDecoder
from abstractcore.codecs.json_text import is_object, parse_event
from abstractcore.errors import ResponseError
from abstractcore.plugins import Endpoint
from abstractcore.types import GenerateRequest, StreamChunk, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Lines:
    """The wire. A difference between two of its servers would be a field here."""

    name: str = "example_lines"
    models_path: str = "/models"

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request, and name what the wire has no word for."""
        tools = [{"name": tool.name, "parameters": dict(tool.parameters)} for tool in request.tools]
        body: dict[str, Any] = {"model": request.model, "talk": list(request.messages), "tools": tools}
        if request.schema is not None:
            body["schema"] = dict(request.schema.schema)
        wishes = ("temperature", "top_p", "top_k", "seed", "stop", "max_output_tokens", "thinking")
        lacking = [wish for wish in wishes if getattr(request, wish) is not None]
        told = tuple(f"{wish} is not supported by {self.name}: left out" for wish in lacking)
        return WireRequest("/talk", {**body, **request.extra}, told, stream=True)  # it knows no other way

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read an answer that is one JSON object."""
        if not is_object(body) or "end" not in body:
            raise ResponseError("the answer has no end")
        return _read(body)

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is an answer of this wire, and no web page."""
        return head.startswith(b"{")

    def decoder(self) -> StreamDecoder:
        """Begin to read a stream."""
        return _Stream()

    def models(self, body: Any) -> list[str]:
        """Read the list of models."""
        return [str(name) for name in body]


class _Stream(FramedStream):
    def __init__(self) -> None:
        super().__init__(NDJSONDecoder())

    def _event(self, text: str) -> Iterable[StreamChunk]:
        event = parse_event(text)
        self.finished = "end" in event
        return _read(event)


def _read(event: dict[str, Any]) -> list[StreamChunk]:
    chunks: list[StreamChunk] = []
    if event.get("text"):
        chunks.append(StreamChunk("generating", event["text"]))
    if call := event.get("call"):
        chunks.append(
            StreamChunk("tool_calling", tool_call=ToolCall(call["id"], call["name"], call["arguments"]))
        )
    if "end" in event:
        read, written = event.get("tokens", (None, None))
        total = None if read is None else read + written
        usage = Usage(read, written, total)
        chunks.append(StreamChunk("done", usage=usage, finish_reason=event["end"], metadata={"raw": event}))
    return chunks


LINES = Endpoint(Lines(), "http://localhost:9100", url_variables=("EXAMPLE_LINES_BASE_URL",), is_local=True)
