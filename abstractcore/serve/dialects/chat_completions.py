"""OpenAI's Chat Completions, as a server speaks it.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abstractcore.codecs.openai_fields import arguments_text
from abstractcore.serve.dialects.base import (
    Asked,
    Dialect,
    Refusal,
    Stamp,
    data_event,
    in_bytes,
    is_known,
    json_text,
    total,
)
from abstractcore.serve.dialects.openai_words import error_of, not_heard, schema_of, tool_choice_of
from abstractcore.serve.dialects.reading import (
    effort,
    left_over,
    model_of,
    need,
    not_taken,
    objects,
    picked,
    take,
    unsupported,
)
from abstractcore.types import FinishReason, GenerateResponse, StreamChunk, ToolCall, Usage

_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",  # not OpenAI's own; many servers take it
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
_READ = (
    *_SAMPLING, "model", "messages", "stream", "stream_options", "tools", "tool_choice", "response_format",
    "reasoning_effort", "n", "modalities",
)  # fmt: skip
_NOT_TAKEN = (
    "logprobs",
    "top_logprobs",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "logit_bias",
)
# What a message of ours knows; a client's other fields stay out of it.
_OF_A_MESSAGE = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning", "reasoning_content")
_FINISH_REASONS: Mapping[FinishReason | None, str] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def read(body: Mapping[str, Any]) -> Asked:
    """Read a request."""
    not_taken(body, _NOT_TAKEN)
    if body.get("n") not in (None, 1):
        unsupported("n", "one answer is given at a time")
    if body.get("modalities") not in (None, ["text"]):
        unsupported("modalities", "answers are text")
    options = take(body, "stream_options", dict) or {}
    sampling = picked(body, _SAMPLING)
    if (thinking := effort(body.get("reasoning_effort"), "reasoning_effort")) is not None:
        sampling["thinking"] = thinking
    return Asked(
        model=model_of(body),
        stream=bool(take(body, "stream", bool)),
        messages=[_message(message) for message in objects(need(body, "messages", list), "messages")],
        tools=[] if body.get("tools") is None else objects(body["tools"], "tools"),
        tool_choice=tool_choice_of(body.get("tool_choice")),
        schema=schema_of(body.get("response_format"), "response_format"),
        sampling=sampling,
        ignored=(*left_over(body, _READ), *not_heard(body)),
        with_usage=bool(options.get("include_usage")),
    )


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a message that ours has; a refusal is what the model said."""
    kept = {name: message[name] for name in _OF_A_MESSAGE if name in message}
    content = message.get("content")
    if isinstance(content, list):
        kept["content"] = [_part(part) for part in content]
    elif content is None and isinstance(message.get("refusal"), str):
        kept["content"] = message["refusal"]
    return kept


def _part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type") == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    return part


def write(asked: Asked, response: GenerateResponse, stamp: Stamp) -> dict[str, Any]:
    """Write a whole answer."""
    message: dict[str, Any] = {"role": "assistant", "content": response.content, "refusal": None}
    if response.reasoning:
        message["reasoning_content"] = response.reasoning  # as DeepSeek, vLLM and others say it
    if response.tool_calls:
        message["content"] = response.content or None
        message["tool_calls"] = [_tool_call(call) for call in response.tool_calls]
    reason = _FINISH_REASONS.get(response.finish_reason, "stop")
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    body = {**_head(stamp, "chat.completion"), "choices": [choice]}
    if is_known(response.usage):
        body["usage"] = usage_of(response.usage)
    return body


def _head(stamp: Stamp, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{stamp.id}", "object": kind, "created": stamp.created, "model": stamp.model}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments_text(call.as_dict())}
    return {"id": call.id, "type": "function", "function": function}


def usage_of(usage: Usage) -> dict[str, Any]:
    """Write the tokens; the wire wants numbers, so that a part which nobody told is 0."""
    wire: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": total(usage),
    }
    cache = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    if told := {name: count for name, count in cache.items() if count is not None}:
        wire["prompt_tokens_details"] = told
    if usage.reasoning_tokens is not None:
        wire["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return wire


class ChatWriter:
    """Writes one streamed answer."""

    def __init__(self, asked: Asked, stamp: Stamp) -> None:
        self._head = _head(stamp, "chat.completion.chunk")
        self._with_usage = asked.with_usage
        # A chunk of text is most of what is written: all but the text is written once.
        begin, _, end = json_text(self._chunk({"\0": "\0"})).partition('"\\u0000":"\\u0000"')
        self._around = f"data: {begin}", f"{end}\n\n"
        self._calls = 0

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head, "choices": [choice], **({"usage": None} if self._with_usage else {})}

    def begin(self) -> bytes:
        """Give the chunk that says who speaks."""
        return data_event(self._chunk({"role": "assistant", "content": "", "refusal": None}))

    def add(self, chunk: StreamChunk) -> bytes:
        """Give a piece of text, of reasoning, or a tool call, which comes whole."""
        if chunk.tool_call is not None:
            call = {"index": self._calls, **_tool_call(chunk.tool_call)}
            self._calls += 1
            return data_event(self._chunk({"tool_calls": [call]}))
        if not chunk.content:
            return b""
        field = "reasoning_content" if chunk.phase == "thinking" else "content"
        begin, end = self._around
        return in_bytes(f'{begin}"{field}":{json_text(chunk.content)}{end}')

    def end(self, response: GenerateResponse) -> bytes:
        """Give the reason, the tokens where they were asked for, and the mark of the end."""
        events = data_event(self._chunk({}, _FINISH_REASONS.get(response.finish_reason, "stop")))
        if self._with_usage:
            usage = usage_of(response.usage) if is_known(response.usage) else None
            events += data_event({**self._head, "choices": [], "usage": usage})
        return events + b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> bytes:
        """Give the error; the mark of the end does not follow."""
        return data_event(error_of(refusal, ""))


CHAT_COMPLETIONS = Dialect("chat_completions", read, write, ChatWriter, error_of)
