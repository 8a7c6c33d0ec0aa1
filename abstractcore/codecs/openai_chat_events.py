"""The answers of the Chat Completions wire, whole or streamed, as chunks.

Knows the fields of a completion and of its chunks, as OpenAI documents them and as other servers
write them: https://platform.openai.com/docs/api-reference/chat-streaming. A whole message is read
as one big delta, so that both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from abstractcore.codecs.answer_tool import ANSWER_TOOL
from abstractcore.codecs.framed_stream import FramedStream, cut_off
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
from abstractcore.codecs.openai_fields import told_charges
from abstractcore.codecs.reasoning_details import ReasoningDetails
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.codecs.tool_call_parts import ToolCallParts
from abstractcore.errors import ResponseError
from abstractcore.types import FinishReason, Phase, StreamChunk, Usage

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "eos": "stop",  # Together
    "model_length": "length",  # Mistral
}
# Mistral's thinking models answer in parts: https://docs.mistral.ai/capabilities/reasoning
_PART_FIELDS: dict[str, tuple[Phase, str]] = {
    "text": ("generating", "text"),
    "output_text": ("generating", "text"),
    "thinking": ("thinking", "thinking"),
    "reasoning": ("thinking", "text"),
}


class ChatAnswer:
    """One answer while it is read: what spans its events."""

    __slots__ = (
        "_calls",
        "_details",
        "_finish_event",
        "_has_answer_tool",
        "_has_refused",
        "_is_valid",
        "_last_event",
        "_name",
        "_tells_cost",
        "_usage",
        "raw_finish_reason",
    )

    def __init__(self, name: str, *, tells_cost: bool = False, has_answer_tool: bool = False) -> None:
        self._name = name
        self._tells_cost = tells_cost
        self._has_answer_tool = has_answer_tool
        self._calls = ToolCallParts(ANSWER_TOOL if has_answer_tool else None)
        self._details = ReasoningDetails()
        self._has_refused = False
        self._is_valid = False
        self._usage: dict[str, Any] | None = None
        self._last_event: dict[str, Any] = {}
        self._finish_event: dict[str, Any] = {}
        self.raw_finish_reason: str | None = None

    def read(self, event: dict[str, Any], field: str) -> list[StreamChunk]:
        """Read an event, whose message stands in *field*: `delta`, or `message` of a whole body."""
        if error := event.get("error"):
            raise error_in_body(error, request_id=as_text(event.get("id")))
        self._last_event = event
        if usage := event.get("usage"):
            self._usage = as_object(usage) or self._usage
        choices = event.get("choices")
        if not choices:
            return []
        choice = _first(choices)
        if choice is None:
            return []
        message = choice.get(field)
        if message is None and field == "message":
            raise ResponseError("the answer's choice holds no message")
        self._is_valid = True
        chunks = self._message(message, field) if message else []
        if reason := choice.get("finish_reason"):
            self._finish(reason, choice, event)
        return chunks

    def _message(self, message: Any, field: str) -> list[StreamChunk]:
        if not is_object(message):
            raise ResponseError(f"the answer's {field} is not an object")
        chunks: list[StreamChunk] = []
        # vLLM and OpenRouter say "reasoning"; DeepSeek and LM Studio say "reasoning_content".
        thought = message.get("reasoning") or message.get("reasoning_content")
        if thought and isinstance(thought, str):
            chunks.append(StreamChunk("thinking", thought))
        content = message.get("content")
        if content:
            if isinstance(content, str):
                chunks.append(StreamChunk("generating", content))
            else:
                chunks += _parts(content)
        if calls := message.get("tool_calls"):
            self._calls.add(as_array(calls), are_whole=field == "message")
            if self._has_answer_tool and (text := self._calls.new_text()):
                chunks.append(StreamChunk("generating", text))
        if call := message.get("function_call"):  # what tool calls were before 2023-11
            self._calls.add([{"index": 0, "function": call}])
        if details := message.get("reasoning_details"):
            self._details.add(details, are_whole=field == "message")
        if refusal := as_text(message.get("refusal")):
            self._has_refused = True
            chunks.append(StreamChunk("generating", refusal))
        return chunks

    def _finish(self, reason: Any, choice: dict[str, Any], event: dict[str, Any]) -> None:
        if reason == "error" or choice.get("error"):  # OpenRouter, when the provider behind it failed
            error = choice.get("error") or {"message": "the answer broke off"}
            raise error_in_body(error, request_id=as_text(event.get("id")))
        self.raw_finish_reason = str(reason)
        self._finish_event = event

    def done(self) -> list[StreamChunk]:
        """Give the tool calls, and the chunk that ends the answer."""
        if not self._is_valid:
            raise ResponseError("the answer holds no choice")
        calls = self._calls.calls()
        chunks = [StreamChunk("tool_calling", tool_call=call) for call in calls]
        chunks.append(
            StreamChunk(
                "done",
                finish_reason=self._finish_reason(has_calls=bool(calls)),
                usage=_usage(self._usage, tells_cost=self._tells_cost),
                metadata=self._metadata(),
            )
        )
        return chunks

    def _finish_reason(self, *, has_calls: bool) -> FinishReason:
        reason = _FINISH_REASONS.get(self.raw_finish_reason or "", "other")
        if has_calls:
            is_end = reason in ("stop", "tool_calls") or self.raw_finish_reason is None
            return "tool_calls" if is_end else reason
        if self._has_refused and reason == "stop":
            return "content_filter"
        if reason != "tool_calls":
            return reason
        return "stop" if self._calls.has_text else "other"

    def _metadata(self) -> dict[str, Any]:
        # The usage may come after the finish reason, in an event that has no choices.
        raw = dict(self._finish_event)
        raw.update((name, value) for name, value in self._last_event.items() if value or name not in raw)
        if self._usage is not None:
            raw["usage"] = self._usage
        details = storable(self._details.whole())
        known = {
            "model": as_text(raw.get("model")),
            "response_id": as_text(raw.get("id")),
            "raw_finish_reason": self.raw_finish_reason,
            "raw": raw,
            "provider_data": {self._name: {"reasoning_details": details}} if details else None,
        }
        return {name: value for name, value in known.items() if value is not None}


class ChatStream(FramedStream):
    """Reads one streamed answer. `[DONE]` ends it, or its bytes do after a finish reason."""

    __slots__ = ("_answer",)

    def __init__(self, answer: ChatAnswer, marks: TextMarks | None = None) -> None:
        super().__init__(SSEDecoder(), marks)
        self._answer = answer

    def _event(self, text: str) -> Iterable[StreamChunk]:
        if text[:1] != "{":
            if text.strip() == "[DONE]":
                self.finished = True
                return self._answer.done()
            if not text.strip():
                return ()
        return self._answer.read(parse_event(text), "delta")

    def _at_end(self) -> Iterable[StreamChunk]:
        if self._answer.raw_finish_reason is None:
            raise cut_off()
        return self._answer.done()


def _first(choices: Any) -> dict[str, Any] | None:
    """Give the choice that counts; of several answers we read the first."""
    if not is_array(choices):
        raise ResponseError("the answer's choices are not a list")
    for choice in choices:
        if not is_object(choice):
            raise ResponseError("the answer's choice is not an object")
        if not choice.get("index"):
            return choice
    return None


def _parts(content: Any) -> Iterable[StreamChunk]:
    if not is_array(content):
        raise ResponseError("the answer's content is neither text nor a list of parts")
    for part in content:
        if isinstance(part, str):
            yield StreamChunk("generating", part)
            continue
        phase, field = _PART_FIELDS.get(str(as_object(part).get("type")), ("generating", ""))
        text = as_object(part).get(field)
        if is_array(text):  # a Mistral thought is itself a list of text parts
            text = "".join(as_text(as_object(piece).get("text")) or "" for piece in text)
        if text and isinstance(text, str):
            yield StreamChunk(phase, text)


def _usage(usage: dict[str, Any] | None, *, tells_cost: bool) -> Usage | None:
    if usage is None:
        return None
    read, written = as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens"))
    total = as_count(usage.get("total_tokens"))
    if total is None and read is not None and written is not None:
        total = read + written
    details = as_object(usage.get("prompt_tokens_details"))
    return Usage(
        read,
        written,
        total,
        as_count(details.get("cached_tokens")),
        as_count(as_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        as_count(details.get("cache_write_tokens")),
        told_charges(usage) if tells_cost else (),
    )
