"""Folds a model's chunks into one response. Knows no driver and no provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstractcore.types import GenerateResponse, Message, StreamChunk, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


class Collector:
    """Takes the chunks of one answer in order; `response()` is what has arrived so far."""

    def __init__(self, provider: str, model: str) -> None:
        self._provider = provider
        self._model = model
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._done: StreamChunk | None = None
        self._elapsed: float | None = None
        self._spent = Usage()
        self._warnings: list[str] = []
        self.parsed: Any = None

    def add(self, chunk: StreamChunk) -> None:
        """Take the next chunk."""
        phase = chunk.phase
        if phase == "generating":
            self._content.append(chunk.content)
        elif phase == "thinking":
            self._reasoning.append(chunk.content)
        elif phase == "tool_calling" and chunk.tool_call is not None:
            self._tool_calls.append(chunk.tool_call)
        elif phase == "done":
            self._done = chunk

    def next_round(self) -> None:
        """Begin the next answer of the same turn: its text is new, the usage is summed."""
        self._spent = self.response().usage
        self._content, self._reasoning, self._tool_calls = [], [], []
        self._done = None

    def answered_by(self, provider: str, model: str) -> None:
        """Note who answers from here, where that is not known from the beginning."""
        self._provider, self._model = provider, model

    def warn(self, warning: str) -> None:
        """Add a line to the warnings of the turn, unless it is there."""
        if warning not in self._warnings:
            self._warnings.append(warning)

    @property
    def is_whole(self) -> bool:
        """Whether the end of the answer has been taken."""
        return self._done is not None

    @property
    def has_calls(self) -> bool:
        """Whether the answer calls a tool."""
        return bool(self._tool_calls)

    def end(self, elapsed: float) -> None:
        """Note how long the answer took, in seconds."""
        self._elapsed = elapsed

    @property
    def content(self) -> str:
        """The text of the answer so far."""
        return "".join(self._content)

    def response(self) -> GenerateResponse:
        """Give the response; before the end of the answer it is what has arrived."""
        done = self._done or StreamChunk("done")
        end: Mapping[str, Any] = done.metadata or {}
        return GenerateResponse(
            content=self.content,
            reasoning="".join(self._reasoning) or None,
            tool_calls=list(self._tool_calls),
            finish_reason=done.finish_reason,
            usage=self._spent + (done.usage or Usage()),
            model=end.get("model") or self._model,
            provider=self._provider,
            request_id=end.get("request_id") or end.get("response_id"),
            gen_time=None if self._elapsed is None else self._elapsed * 1000.0,
            warnings=[*self._warnings, *end.get("warnings", ())],
            raw=end.get("raw"),
            parsed=self.parsed,
            provider_data=end.get("provider_data"),
        )


def assistant_message(response: GenerateResponse) -> Message:
    """Give the response as it stands in a history."""
    message: Message = {"role": "assistant", "content": response.content}
    if response.reasoning:
        message["reasoning"] = response.reasoning
    if response.tool_calls:
        message["tool_calls"] = [call.as_dict() for call in response.tool_calls]
    if response.provider_data:
        message["provider_data"] = dict(response.provider_data)
    return message
