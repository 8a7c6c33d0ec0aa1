"""Writes an answer as the items of a Responses object, whole or as the events that build it.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abstractcore.codecs.json_text import as_array, as_object
from abstractcore.codecs.openai_fields import arguments_text
from abstractcore.serve.dialects.base import Asked, Refusal, Stamp, is_known, named_event, total
from abstractcore.serve.dialects.openai_words import error_code
from abstractcore.types import FinishReason, GenerateResponse, StreamChunk, ToolCall, Usage

# Why an answer is not complete; with any other reason it is.
_INCOMPLETE: Mapping[FinishReason | None, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def write(asked: Asked, response: GenerateResponse, stamp: Stamp) -> dict[str, Any]:
    """Write a whole answer."""
    items = _Items(stamp)
    output: list[dict[str, Any]] = []
    if response.reasoning:
        output.append(items.reasoning(response.reasoning))
    if response.content:
        output.append(items.message(response.content))
    output += [items.call(call) for call in response.tool_calls]
    if output:
        output[-1]["status"] = _status_at_the_end(response)
    return _finished(asked, stamp, response, output)


def _status_at_the_end(response: GenerateResponse) -> str:
    return "incomplete" if response.finish_reason in _INCOMPLETE else "completed"


def _finished(
    asked: Asked, stamp: Stamp, response: GenerateResponse, output: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    reason = _INCOMPLETE.get(response.finish_reason)
    body = _object(asked, stamp, _status_at_the_end(response))
    body["output"] = _with_their_reasoning(response, output)
    body["incomplete_details"] = {"reason": reason} if reason else None
    body["usage"] = _usage(response.usage) if is_known(response.usage) else None
    return body


def _with_their_reasoning(
    response: GenerateResponse, output: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give the items, with the reasoning as the model's own service wrote it where that did.

    A client sends it back with the next turn, encrypted as it is.
    """
    theirs = as_array(as_object(as_object(response.provider_data).get("openai_responses")).get("output"))
    reasoning = [item for item in theirs if as_object(item).get("type") == "reasoning"]
    return [*reasoning, *(item for item in output if item["type"] != "reasoning")] if reasoning else [*output]


def _object(asked: Asked, stamp: Stamp, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{stamp.id}",
        "object": "response",
        "created_at": stamp.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": stamp.model,
        "output": [],
        "parallel_tool_calls": True,
        "store": False,
        "temperature": None,
        "top_p": None,
        "usage": None,
        **asked.echo,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": total(usage),
    }


class _Items:
    """Makes the items of one answer; each gets an id of its own."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self.count = 0

    def _new(self, kind: str, prefix: str, status: str, **fields: Any) -> dict[str, Any]:
        self.count += 1
        return {"id": f"{prefix}_{self._stamp.id}_{self.count}", "type": kind, "status": status, **fields}

    def reasoning(self, text: str | None) -> dict[str, Any]:
        """Make what the model thought; None begins one."""
        content = [] if text is None else [{"type": "reasoning_text", "text": text}]
        return self._new("reasoning", "rs", _status(text), summary=[], content=content)

    def message(self, text: str | None) -> dict[str, Any]:
        """Make what it said; None begins one."""
        content = [] if text is None else [output_text(text)]
        return self._new("message", "msg", _status(text), role="assistant", content=content)

    def call(self, call: ToolCall, status: str = "completed") -> dict[str, Any]:
        """Make a call of a function."""
        arguments = arguments_text(call.as_dict()) if status == "completed" else ""
        return self._new("function_call", "fc", status, call_id=call.id, name=call.name, arguments=arguments)


def _status(text: str | None) -> str:
    return "in_progress" if text is None else "completed"


def output_text(text: str) -> dict[str, Any]:
    """Make a part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _reasoning_text(text: str) -> dict[str, Any]:
    return {"type": "reasoning_text", "text": text}


class ResponsesWriter:
    """Writes one streamed answer: items one after the other, each added, filled and done."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._asked = asked
        self._stamp = stamp
        self._items = _Items(stamp)
        self._number = -1
        self._done: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._text: list[str] = []

    def begin(self) -> bytes:
        """Give the empty response."""
        begun = _object(self._asked, self._stamp, "in_progress")
        return self._event("response.created", response=begun) + self._event(
            "response.in_progress", response=begun
        )

    def add(self, chunk: StreamChunk) -> bytes:
        """Give a piece of text or of reasoning, or a whole call."""
        if chunk.tool_call is not None:
            return self._call(chunk.tool_call)
        if not chunk.content:
            return b""
        is_thought = chunk.phase == "thinking"
        opened = self._into("reasoning" if is_thought else "message")
        self._text.append(chunk.content)
        if is_thought:
            return opened + self._in_part("response.reasoning_text.delta", delta=chunk.content)
        return opened + self._in_part("response.output_text.delta", delta=chunk.content, logprobs=[])

    def end(self, response: GenerateResponse) -> bytes:
        """Give the whole response, complete or cut off."""
        stopped = self._stop(_status_at_the_end(response))
        whole = _finished(self._asked, self._stamp, response, self._done)
        return stopped + self._event(f"response.{whole['status']}", response=whole)

    def fail(self, refusal: Refusal) -> bytes:
        """Give the failed response, with what had come."""
        stopped = self._stop("incomplete")
        failed = _object(self._asked, self._stamp, "failed")
        failed["output"] = self._done
        failed["error"] = {"code": error_code(refusal), "message": refusal.message}
        return stopped + self._event("response.failed", response=failed)

    # ---- one item --------------------------------------------------------------------------

    def _into(self, kind: str) -> bytes:
        if self._open is not None and self._open["type"] == kind:
            return b""
        stopped = self._stop()
        item = self._items.message(None) if kind == "message" else self._items.reasoning(None)
        self._open = item
        part = output_text("") if kind == "message" else _reasoning_text("")
        return stopped + self._of_item("response.output_item.added", item=item) + self._in_part(
            "response.content_part.added", part=part
        )  # fmt: skip

    def _stop(self, status: str = "completed") -> bytes:
        item, text = self._open, "".join(self._text)
        if item is None:
            return b""
        if item["type"] == "message":
            part = output_text(text)
            told = self._in_part("response.output_text.done", text=text, logprobs=[])
        else:
            part = _reasoning_text(text)
            told = self._in_part("response.reasoning_text.done", text=text)
        told += self._in_part("response.content_part.done", part=part)
        whole = {**item, "status": status, "content": [part]}
        told += self._of_item("response.output_item.done", item=whole)
        self._done.append(whole)
        self._open, self._text = None, []
        return told

    def _call(self, call: ToolCall) -> bytes:
        told = self._stop()
        begun = self._open = self._items.call(call, "in_progress")
        told += self._of_item("response.output_item.added", item=begun)
        arguments, item_id = arguments_text(call.as_dict()), begun["id"]
        told += self._of_item(
            "response.function_call_arguments.delta", item_id=item_id, delta=arguments
        ) + self._of_item(
            "response.function_call_arguments.done", item_id=item_id, name=call.name, arguments=arguments
        )
        whole = {**begun, "status": "completed", "arguments": arguments}
        told += self._of_item("response.output_item.done", item=whole)
        self._done.append(whole)
        self._open = None
        return told

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._number += 1
        return named_event({"type": kind, "sequence_number": self._number, **fields})

    def _of_item(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, output_index=len(self._done), **fields)

    def _in_part(self, kind: str, **fields: Any) -> bytes:
        item_id = "" if self._open is None else self._open["id"]
        return self._of_item(kind, item_id=item_id, content_index=0, **fields)
