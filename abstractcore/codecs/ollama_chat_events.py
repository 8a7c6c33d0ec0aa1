"""The answers of Ollama's chat wire, whole or as JSON lines, as chunks.

Knows the fields of an answer: https://docs.ollama.com/api/chat. A whole body is read as one line,
so that both ways give the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from abstractcore.codecs.framed_stream import FramedStream
from abstractcore.codecs.framing import NDJSONDecoder
from abstractcore.codecs.http_errors import error_in_body
from abstractcore.codecs.json_text import as_array, as_count, as_text, is_object, parse_event
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.codecs.tool_call_parts import ToolCallParts
from abstractcore.errors import APIError, ResponseError
from abstractcore.types import FinishReason, StreamChunk, Usage

# "load" and "unload" answer a request without messages; a runner that broke off gives no reason.
_FINISH_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
# An error in mid-stream is a text alone. These are what the server answers with a status when no
# line has been sent yet: https://github.com/ollama/ollama/blob/main/server/routes.go
_STATUS_BY_WORDING = (
    (re.compile(r"\bmodel\b.*\bnot found\b"), 404),
    (re.compile(r"\bdoes not support\b"), 400),
    (re.compile(r"(?:exceeds?|longer than) (?:the |available |maximum )*context\b"), 400),
    (re.compile(r"\bunauthorized\b"), 401),
    (re.compile(r"\bserver busy\b"), 503),
)


class OllamaAnswer:
    """One answer while it is read: what spans its lines."""

    __slots__ = ("_calls", "_has_message", "_last", "_model", "is_done")

    def __init__(self) -> None:
        self._calls = ToolCallParts()
        self._has_message = False
        self._last: dict[str, Any] = {}
        self._model: str | None = None
        self.is_done = False

    def read(self, event: dict[str, Any]) -> list[StreamChunk]:
        """Read one line, or a whole body. Raises the error that it carries."""
        if error := event.get("error"):  # such a line has no `done`
            raise _failure(error, event)
        self._last = event
        self._model = as_text(event.get("model")) or self._model
        message = event.get("message")
        chunks = [] if message is None else self._message(message)
        if event.get("done"):
            self.is_done = True
            chunks += self.end()
        return chunks

    def _message(self, message: Any) -> list[StreamChunk]:
        if not is_object(message):
            raise ResponseError("the answer's message is not an object")
        self._has_message = True
        chunks: list[StreamChunk] = []
        if thought := as_text(message.get("thinking")):
            chunks.append(StreamChunk("thinking", thought))
        if content := message.get("content"):
            if not isinstance(content, str):
                raise ResponseError("the answer's content is not text")
            chunks.append(StreamChunk("generating", content))
        if calls := message.get("tool_calls"):
            self._calls.add(as_array(calls), are_whole=True)
        return chunks

    def end(self) -> list[StreamChunk]:
        """Give the tool calls, and the chunk that ends the answer."""
        if not self._has_message:
            raise ResponseError("the answer holds no message")
        calls = self._calls.calls()
        reason = as_text(self._last.get("done_reason"))
        known = {"model": self._model, "raw_finish_reason": reason, "raw": self._last}
        done = StreamChunk(
            "done",
            finish_reason=_finish_reason(reason, has_calls=bool(calls)),
            usage=_usage(self._last),
            metadata={name: value for name, value in known.items() if value is not None},
        )
        return [*(StreamChunk("tool_calling", tool_call=call) for call in calls), done]


class OllamaStream(FramedStream):
    """Reads one streamed answer. Only a line that is `done` ends it."""

    __slots__ = ("_answer",)

    def __init__(self, marks: TextMarks | None = None) -> None:
        super().__init__(NDJSONDecoder(), marks)
        self._answer = OllamaAnswer()

    def _event(self, text: str) -> Iterable[StreamChunk]:
        chunks = self._answer.read(parse_event(text))
        self.finished = self._answer.is_done
        return chunks


def _failure(error: Any, event: dict[str, Any]) -> APIError:
    if not isinstance(error, str):
        return error_in_body(error)
    told = as_count(event.get("status"))
    words = error[:1_000]
    meant = (status for wording, status in _STATUS_BY_WORDING if wording.search(words))
    return error_in_body({"message": error, "status": told or next(meant, None)})


def _finish_reason(reason: str | None, *, has_calls: bool) -> FinishReason:
    # The server says "stop" of an answer that calls tools.
    if has_calls and reason in (None, "stop", "tool_calls"):
        return "tool_calls"
    return _FINISH_REASONS.get(reason or "", "other")


def _usage(event: dict[str, Any]) -> Usage | None:
    """Read the counts; the server leaves out one that is 0, or that it does not know."""
    read, written = as_count(event.get("prompt_eval_count")), as_count(event.get("eval_count"))
    if read is None and written is None:
        return None
    return Usage(read, written, None if read is None or written is None else read + written)
