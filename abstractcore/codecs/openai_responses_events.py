"""The answers of the Responses wire, whole or streamed, as chunks.

Knows the output items of a response and the events that build them:
https://platform.openai.com/docs/api-reference/responses-streaming. A whole response is read as
the last event of a stream that brought nothing before it, so that both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

from abstractcore.codecs.framed_stream import FramedStream
from abstractcore.codecs.framing import SSEDecoder
from abstractcore.codecs.http_errors import error_in_body
from abstractcore.codecs.json_text import (
    as_array,
    as_count,
    as_object,
    as_text,
    is_array,
    is_object,
    parse_event,
    storable,
)
from abstractcore.codecs.tool_call_parts import ToolCallParts
from abstractcore.errors import ResponseError
from abstractcore.types import FinishReason, Phase, StreamChunk, Usage

_FINISH_REASONS: dict[str, FinishReason] = {
    "completed": "stop",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
_PHASES: dict[str, Phase] = {
    "output_text": "generating",
    "refusal": "generating",
    "summary_text": "thinking",
    "reasoning_text": "thinking",
}
# Where a part of this kind holds its text.
_TEXT_FIELDS = {"output_text": "text", "refusal": "refusal", "summary_text": "text", "reasoning_text": "text"}


class _TextEvent(NamedTuple):
    """An event about one part's text: its next piece, or all of it."""

    kind: str
    field: str
    is_whole: bool = False


_TEXT_EVENTS = {
    "response.output_text.delta": _TextEvent("output_text", "delta"),
    "response.output_text.done": _TextEvent("output_text", "text", is_whole=True),
    "response.refusal.delta": _TextEvent("refusal", "delta"),
    "response.refusal.done": _TextEvent("refusal", "refusal", is_whole=True),
    "response.reasoning_summary_text.delta": _TextEvent("summary_text", "delta"),
    "response.reasoning_summary_text.done": _TextEvent("summary_text", "text", is_whole=True),
    "response.reasoning_text.delta": _TextEvent("reasoning_text", "delta"),
    "response.reasoning_text.done": _TextEvent("reasoning_text", "text", is_whole=True),
}
_STATUSES = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}


class _Item:
    """An output item that is being put together."""

    __slots__ = ("arguments", "data", "given", "is_done", "pieces")

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.is_done = False
        self.given: set[tuple[str, int]] = set()  # the parts of which text has been given
        self.pieces: list[str] = []
        self.arguments: Any = None

    def end(self, data: dict[str, Any]) -> None:
        """Take the item as it is in the end; what it lacks of a call was said before."""
        begun, self.data = self.data, data
        if begun.get("type") != "function_call":
            return
        told = {**begun, "arguments": self.arguments or "".join(self.pieces) or begun.get("arguments")}
        missing = {
            field: told.get(field) for field in ("call_id", "name", "arguments") if not data.get(field)
        }
        self.data = {**data, **{field: value for field, value in missing.items() if value}}

    def is_plain(self) -> bool:
        """Whether a message of ours says all that the item does."""
        kind = self.data.get("type")
        # A message's phase is to be sent back too: openai-python, ResponseOutputMessage.phase.
        return kind == "function_call" or (kind == "message" and not self.data.get("phase"))


class ResponsesAnswer:
    """One answer while it is read: what spans its events."""

    __slots__ = ("_has_refused", "_index_by_id", "_items", "_last_thought", "_name", "_response", "has_ended")

    def __init__(self, name: str) -> None:
        self.has_ended = False
        self._name = name
        self._response: dict[str, Any] = {}
        self._items: dict[int, _Item] = {}
        self._index_by_id: dict[str, int] = {}
        self._last_thought: tuple[_Item, str, int] | None = None
        self._has_refused = False

    def read(self, event: dict[str, Any]) -> list[StreamChunk]:
        """Read an event; what we do not know says nothing."""
        name = str(event.get("type"))
        if known := _TEXT_EVENTS.get(name):
            part = as_count(event.get("content_index")) or as_count(event.get("summary_index")) or 0
            return self._text(self._item(event), known.kind, part, event.get(known.field), known.is_whole)
        if reader := self._READERS.get(name):
            return reader(self, event)
        if name == "error" or event.get("error"):
            raise error_in_body(event.get("error") or event)
        return []

    def read_whole(self, body: dict[str, Any]) -> list[StreamChunk]:
        """Read a whole response."""
        return self._end({"response": body})

    def _begin_item(self, event: dict[str, Any]) -> list[StreamChunk]:
        data = event.get("item")
        if is_object(data):
            index = as_count(event.get("output_index"))
            self._add(len(self._items) if index is None else index, data)
        return []

    def _add(self, index: int, data: dict[str, Any]) -> _Item:
        item = self._items[index] = _Item(data)
        if name := as_text(data.get("id")):
            self._index_by_id[name] = index
        return item

    def _item(self, event: dict[str, Any]) -> _Item:
        """Find the item of an event: by its index, which some leave out, then by its id, else the last one.

        Ids alone will not do: some servers give a new one in each event.
        """
        index = as_count(event.get("output_index"))
        if index is None:
            name = as_text(event.get("item_id")) or as_text(as_object(event.get("item")).get("id"))
            index = self._index_by_id.get(name or "", max(self._items, default=0))
        return self._items.get(index) or self._add(index, {})

    def _text(self, item: _Item, kind: str, part: int, text: Any, is_whole: bool) -> list[StreamChunk]:
        """Give a part's text; all of it is given only when no piece of it was."""
        if text is not None and not isinstance(text, str):
            raise ResponseError("the answer's text is not text")
        if not text or (is_whole and (kind, part) in item.given):
            return []
        item.given.add((kind, part))
        phase = _PHASES[kind]
        if phase == "thinking":
            thought = (item, kind, part)
            if self._last_thought not in (None, thought):
                text = "\n\n" + text
            self._last_thought = thought
        elif kind == "refusal":
            self._has_refused = True
        return [StreamChunk(phase, text)]

    def _whole_part(self, event: dict[str, Any]) -> list[StreamChunk]:
        part, index = as_object(event.get("part")), as_count(event.get("content_index")) or 0
        kind = str(part.get("type"))
        field = _TEXT_FIELDS.get(kind)
        return [] if field is None else self._text(self._item(event), kind, index, part.get(field), True)

    def _arguments(self, event: dict[str, Any]) -> list[StreamChunk]:
        delta = event.get("delta")
        if isinstance(delta, str):
            self._item(event).pieces.append(delta)
        return []

    def _whole_arguments(self, event: dict[str, Any]) -> list[StreamChunk]:
        self._item(event).arguments = event.get("arguments")
        return []

    def _end_item(self, event: dict[str, Any]) -> list[StreamChunk]:
        data = event.get("item")
        if not is_object(data):
            raise ResponseError("the answer's output item is not an object")
        return self._finish(self._item(event), data)

    def _finish(self, item: _Item, data: dict[str, Any]) -> list[StreamChunk]:
        """Take an item as it is in the end, and give the texts of which nothing had come."""
        if item.is_done:
            return []
        if data.get("type") == "message" and not is_array(data.get("content", [])):
            raise ResponseError("the answer's message holds no list of parts")
        item.is_done = True
        item.end(data)
        streamed = {kind for kind, _ in item.given}
        chunks: list[StreamChunk] = []
        for place in ("summary", "content"):
            for index, part in enumerate(map(as_object, as_array(data.get(place)))):
                kind = str(part.get("type"))
                if kind in _PHASES and kind not in streamed:
                    chunks += self._text(item, kind, index, part.get(_TEXT_FIELDS[kind]), True)
        return chunks

    def _end(self, event: dict[str, Any]) -> list[StreamChunk]:
        """Read the event that ends the stream: it repeats the response, with its output or without."""
        response = event.get("response")
        if not is_object(response):
            raise ResponseError("the answer's last event holds no response")
        status = as_text(response.get("status")) or _STATUSES.get(str(event.get("type")))
        if response.get("error") or status == "failed":
            error = response.get("error") or {"message": "the response failed"}
            raise error_in_body(error, request_id=as_text(response.get("id")))
        output = response.get("output")
        if not self._items and not is_array(output):
            raise ResponseError("the answer holds no list of output items")
        self._response = response if status is None else {**response, "status": status}
        self.has_ended = True
        return self._rest(as_array(output))

    def _rest(self, output: list[Any]) -> list[StreamChunk]:
        """Give what no event has brought; of a stream that brought items, only what is open among them."""
        if not self._items:
            events = [{"output_index": index, "item": data} for index, data in enumerate(output)]
            return [chunk for event in events for chunk in self._end_item(event)]
        chunks: list[StreamChunk] = []
        for index, item in self._items.items():
            data = as_object(output[index]) if index < len(output) else {}
            if data and data.get("type") == item.data.get("type", data.get("type")):
                chunks += self._finish(item, data)
        return chunks

    def done(self) -> list[StreamChunk]:
        """Give the tool calls, and the chunk that ends the answer."""
        items = [self._items[index] for index in sorted(self._items)]
        for item in items:
            if not item.is_done:
                item.end(dict(item.data))
        calls = _calls(item.data for item in items)
        return [
            *calls,
            StreamChunk(
                "done",
                finish_reason=self._finish_reason(has_calls=bool(calls)),
                usage=_usage(self._response.get("usage")),
                metadata=self._metadata(items),
            ),
        ]

    def _raw_finish_reason(self) -> str | None:
        details = as_object(self._response.get("incomplete_details"))
        return as_text(details.get("reason")) or as_text(self._response.get("status"))

    def _finish_reason(self, *, has_calls: bool) -> FinishReason:
        raw = self._raw_finish_reason()
        reason = _FINISH_REASONS.get(raw or "", "other")
        if has_calls and (reason == "stop" or raw is None):
            return "tool_calls"
        return "content_filter" if self._has_refused and reason == "stop" else reason

    def _metadata(self, items: list[_Item]) -> dict[str, Any]:
        response, output = self._response, [item.data for item in items]
        # Half an answer would be refused when it comes back.
        goes_back = all(item.is_done for item in items) and not all(item.is_plain() for item in items)
        kept = storable(output) if goes_back else None
        known = {
            "model": as_text(response.get("model")),
            "response_id": as_text(response.get("id")),
            "raw_finish_reason": self._raw_finish_reason(),
            "raw": response if response.get("output") else {**response, "output": output},
            "provider_data": {self._name: {"output": kept}} if kept else None,
        }
        return {name: value for name, value in known.items() if value is not None}

    _READERS: ClassVar[dict[str, Callable[[Any, dict[str, Any]], list[StreamChunk]]]] = {
        "response.output_item.added": _begin_item,
        "response.output_item.done": _end_item,
        "response.content_part.done": _whole_part,
        "response.function_call_arguments.delta": _arguments,
        "response.function_call_arguments.done": _whole_arguments,
        **dict.fromkeys(_STATUSES, _end),
    }


def _calls(items: Iterable[dict[str, Any]]) -> list[StreamChunk]:
    parts = ToolCallParts()
    for item in items:
        if item.get("type") == "function_call":
            parts.add([{"id": item.get("call_id") or item.get("id"), "function": item}], are_whole=True)
    return [StreamChunk("tool_calling", tool_call=call) for call in parts.calls()]


def _usage(usage: Any) -> Usage | None:
    if not is_object(usage):
        return None
    read, written = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    total = as_count(usage.get("total_tokens"))
    if total is None and read is not None and written is not None:
        total = read + written
    details = as_object(usage.get("input_tokens_details"))
    return Usage(
        read,
        written,
        total,
        as_count(details.get("cached_tokens")),
        as_count(as_object(usage.get("output_tokens_details")).get("reasoning_tokens")),
        as_count(details.get("cache_write_tokens")),
    )


class ResponsesStream(FramedStream):
    """Reads one streamed answer. The event that repeats the response ends it; there is no `[DONE]`."""

    __slots__ = ("_answer",)

    def __init__(self, name: str) -> None:
        super().__init__(SSEDecoder())
        self._answer = ResponsesAnswer(name)

    def _event(self, text: str) -> Iterable[StreamChunk]:
        if not text.strip() or text.strip() == "[DONE]":  # what gateways add from the other wire
            return ()
        chunks = self._answer.read(parse_event(text))
        if not self._answer.has_ended:
            return chunks
        self.finished = True
        return [*chunks, *self._answer.done()]
