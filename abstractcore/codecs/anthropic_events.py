"""The answers of the Anthropic Messages wire, whole or streamed, as chunks.

Knows the fields of a message and of the events that build one:
https://platform.claude.com/docs/en/build-with-claude/streaming. A whole message is read as the
first event of a stream that brings all of it, so that both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from abstractcore.codecs.answer_tool import ANSWER_TOOL
from abstractcore.codecs.anthropic_turns import tool_input
from abstractcore.codecs.framed_stream import FramedStream, cut_off
from abstractcore.codecs.framing import SSEDecoder
from abstractcore.codecs.http_errors import error_in_body
from abstractcore.codecs.json_text import (
    as_array,
    as_count,
    as_object,
    as_text,
    is_object,
    parse_event,
    storable,
)
from abstractcore.codecs.tool_call_parts import read_arguments, written
from abstractcore.errors import APIError, ResponseError
from abstractcore.types import FinishReason, Phase, StreamChunk, ToolCall, Usage

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "pause_turn": "other",
}
_PHASES: dict[str, Phase] = {"text": "generating", "thinking": "thinking"}
_DELTA_FIELDS = {"text_delta": "text", "thinking_delta": "thinking"}
# A message keeps what these say itself; any other block has to go back as it came.
_PLAIN_BLOCKS = frozenset({"text", "tool_use"})


class _Block:
    """A content block that is being put together: *data* as it came, with what its deltas add."""

    __slots__ = ("data", "is_answer", "is_known", "json", "kind", "pieces")

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = dict(data)
        self.kind = str(data.get("type"))
        self.pieces: dict[str, list[str]] = {}
        self.json: list[str] = []
        self.is_answer = self.kind == "tool_use" and data.get("name") == ANSWER_TOOL
        self.is_known = True  # False once a delta came that we cannot read: then it is not all here

    def begin(self) -> list[StreamChunk]:
        """Give the text that the block begins with, which in a whole message is all of it."""
        phase = _PHASES.get(self.kind)
        text = _string(self.data.get(self.kind)) if phase else ""
        return [StreamChunk(phase, text)] if phase and text else []

    def add(self, delta: dict[str, Any]) -> list[StreamChunk]:
        """Take a delta, and give its text."""
        kind = delta.get("type")
        if field := _DELTA_FIELDS.get(str(kind)):
            text = _string(delta.get(field))
            self.pieces.setdefault(field, []).append(text)
            return [StreamChunk(_PHASES[field], text)] if text else []
        if kind == "input_json_delta":
            text = _string(delta.get("partial_json"))
            self.json.append(text)
            return [StreamChunk("generating", text)] if self.is_answer and text else []
        elif kind == "signature_delta":
            self.data["signature"] = _string(delta.get("signature"))
        elif kind == "citations_delta":
            self.data["citations"] = [*(self.data.get("citations") or ()), delta.get("citation")]
        else:
            self.is_known = False
        return []

    def end(self) -> ToolCall | None:
        """Put the pieces into *data*; give the call if the block is one, with the id that it came with."""
        for field, pieces in self.pieces.items():
            self.data[field] = _string(self.data.get(field)) + "".join(pieces)
        arguments, raw = self._input()
        if self.json or "input" in self.data:
            self.data["input"] = tool_input(arguments, raw)
        if self.kind != "tool_use":
            return None
        call_id, name = as_text(self.data.get("id")), as_text(self.data.get("name"))
        return ToolCall(call_id or "", name or "", arguments, raw)

    def rest(self, call: ToolCall) -> list[StreamChunk]:
        """Give the text of an answer that came as an object, and so in no delta."""
        if "".join(self.json).strip():
            return []
        self.json = [written(call.arguments) if call.arguments_raw is None else call.arguments_raw]
        return [StreamChunk("generating", self.json[0])]

    def kept(self) -> dict[str, Any]:
        """Give the block as it goes back: an answer is a text there, since no result will follow it."""
        return {"type": "text", "text": "".join(self.json)} if self.is_answer else self.data

    def _input(self) -> tuple[dict[str, Any], str | None]:
        """Read the input: a stream brings it as pieces of JSON, a whole block as an object."""
        given, pieces = self.data.get("input"), "".join(self.json)
        if is_object(given) and not pieces.strip() and storable(given) == given:
            return given, None
        if not pieces.strip():
            pieces = given if isinstance(given, str) else written(given)
        return read_arguments(pieces)


class MessageAnswer:
    """One answer while it is read: what spans its events."""

    __slots__ = ("_blocks", "_call_ids", "_message", "_name", "_open", "_usage")

    def __init__(self, name: str) -> None:
        self._name = name
        self._message: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._blocks: list[_Block] = []
        self._open: dict[int | None, _Block] = {}
        self._call_ids: list[str] = []

    @property
    def raw_finish_reason(self) -> str | None:
        """The vendor's word for why the answer ended, None while it has not."""
        return as_text(as_object(self._message).get("stop_reason"))

    def read(self, event: dict[str, Any]) -> list[StreamChunk]:
        """Read an event; a `ping`, and what we do not know, says nothing."""
        reader = self._READERS.get(str(event.get("type")))
        if reader is not None:
            return reader(self, event)
        if failure := read_failure(event):
            raise failure
        return []

    def _begin(self, event: dict[str, Any]) -> list[StreamChunk]:
        message = as_object(event.get("message"))
        self._message = {name: value for name, value in message.items() if name not in ("content", "usage")}
        self._count(message.get("usage"))
        chunks: list[StreamChunk] = []
        for block in as_array(message.get("content")):
            chunks += self._begin_block({"content_block": block})
            chunks += self._end_block({})
        return chunks

    def _begin_block(self, event: dict[str, Any]) -> list[StreamChunk]:
        data = event.get("content_block")
        if not is_object(data):
            raise ResponseError("the answer's content block is not an object")
        chunks = self._end_block(event)  # a server that numbers every block 0
        self._message = as_object(self._message)
        block = self._open[_index(event)] = _Block(data)
        self._blocks.append(block)
        return [*chunks, *block.begin()]

    def _add(self, event: dict[str, Any]) -> list[StreamChunk]:
        block = self._open.get(_index(event))
        if block is None:
            raise ResponseError("the stream holds a delta of no content block")
        return block.add(as_object(event.get("delta")))

    def _end_block(self, event: dict[str, Any]) -> list[StreamChunk]:
        block = self._open.pop(_index(event), None)
        call = None if block is None else block.end()
        if block is None or call is None:
            return []
        if block.is_answer:
            return block.rest(call)
        block.data["id"] = self._unique(call.id)
        return [StreamChunk("tool_calling", tool_call=replace(call, id=block.data["id"]))]

    def _unique(self, call_id: str) -> str:
        """Give the id, or one of ours if it is missing or taken."""
        number = len(self._call_ids) + 1
        while not call_id or call_id in self._call_ids:
            call_id, number = f"call_{number}", number + 1
        self._call_ids.append(call_id)
        return call_id

    def _end(self, event: dict[str, Any]) -> list[StreamChunk]:
        self._message = as_object(self._message)
        told = as_object(event.get("delta")).items()
        self._message.update((name, value) for name, value in told if value is not None)
        self._count(event.get("usage"))
        return []

    def _count(self, usage: Any) -> None:
        """Take counts, which are cumulative; a later event leaves out those that it does not change."""
        if is_object(usage):
            told = {name: value for name, value in usage.items() if value is not None}
            self._usage = {**(self._usage or {}), **told}

    def done(self) -> list[StreamChunk]:
        """Give the chunk that ends the answer."""
        if self._message is None:
            raise ResponseError("the answer holds no message")
        chunks = [chunk for index in list(self._open) for chunk in self._end_block({"index": index})]
        metadata = {name: value for name, value in self._metadata().items() if value is not None}
        reason, usage = self._finish_reason(), _usage(self._usage)
        return [*chunks, StreamChunk("done", finish_reason=reason, usage=usage, metadata=metadata)]

    def _finish_reason(self) -> FinishReason:
        reason = _FINISH_REASONS.get(self.raw_finish_reason or "", "other")
        if self._call_ids:
            is_end = reason in ("stop", "tool_calls") or self.raw_finish_reason is None
            return "tool_calls" if is_end else reason
        if reason != "tool_calls":
            return reason
        return "stop" if any(block.is_answer for block in self._blocks) else "other"

    def _metadata(self) -> dict[str, Any]:
        message = as_object(self._message)
        content = [block.data for block in self._blocks]
        kept = storable([block.kept() for block in self._blocks]) if self._is_to_go_back() else None
        counted = {} if self._usage is None else {"usage": self._usage}
        return {
            "model": as_text(message.get("model")),
            "response_id": as_text(message.get("id")),
            "raw_finish_reason": self.raw_finish_reason,
            "raw": {**message, "content": content, **counted},
            "provider_data": {self._name: {"content": kept}} if kept else None,
        }

    def _is_to_go_back(self) -> bool:
        """Whether there is a thought or a server's tool, and all of it is here: half would be refused."""
        is_whole = all(block.is_known for block in self._blocks)
        return is_whole and any(block.kind not in _PLAIN_BLOCKS for block in self._blocks)

    _READERS: ClassVar[dict[str, Callable[[Any, dict[str, Any]], list[StreamChunk]]]] = {
        "message_start": _begin,
        "content_block_start": _begin_block,
        "content_block_delta": _add,
        "content_block_stop": _end_block,
        "message_delta": _end,
    }


class MessageStream(FramedStream):
    """Reads one streamed answer. `message_stop` ends it, or its bytes do after a stop reason."""

    __slots__ = ("_answer",)

    def __init__(self, name: str) -> None:
        super().__init__(SSEDecoder())
        self._answer = MessageAnswer(name)

    def _event(self, text: str) -> Iterable[StreamChunk]:
        if not text.strip() or text.strip() == "[DONE]":  # what gateways add from the other wire
            return ()
        event = parse_event(text)
        if event.get("type") != "message_stop":
            return self._answer.read(event)
        self.finished = True
        return self._answer.done()

    def _at_end(self) -> Iterable[StreamChunk]:
        if self._answer.raw_finish_reason is None:
            raise cut_off()
        return self._answer.done()


def read_failure(event: dict[str, Any]) -> APIError | None:
    """Give the error that a body or an event is, in Anthropic's shape or in that of a gateway."""
    error = event.get("error")
    if not error and event.get("type") != "error":
        return None
    return error_in_body(error or event, request_id=as_text(event.get("request_id")))


def _index(event: dict[str, Any]) -> int | None:
    index = event.get("index")
    return index if type(index) is int else None


def _string(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise ResponseError("the answer's text is not text")


def _usage(usage: dict[str, Any] | None) -> Usage | None:
    """The whole prompt is what was not cached, what was written to the cache and what was read from it."""
    if usage is None:
        return None
    read, written = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    cached = as_count(usage.get("cache_read_input_tokens"))
    kept = as_count(usage.get("cache_creation_input_tokens"))
    if read is not None:
        read += (cached or 0) + (kept or 0)
    total = None if read is None or written is None else read + written
    thought = as_count(as_object(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Usage(read, written, total, cached, thought, kept)
