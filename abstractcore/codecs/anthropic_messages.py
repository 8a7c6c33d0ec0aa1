"""The Anthropic Messages wire: Anthropic's, and that of the servers that offer its endpoint.

Knows the fields of a request. The differences between servers are fields of `AnthropicMessages`;
which model takes which is not known here. https://platform.claude.com/docs/en/api/messages/create
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from abstractcore.codecs.answer_tool import ANSWER_TOOL, with_answer_tool
from abstractcore.codecs.anthropic_events import MessageAnswer, MessageStream, read_failure
from abstractcore.codecs.anthropic_turns import LateSystem, calls_without_a_thought, write_turns
from abstractcore.codecs.base import StreamDecoder, WireRequest
from abstractcore.codecs.closed_schema import closed
from abstractcore.codecs.framing import is_event_stream
from abstractcore.codecs.json_text import as_object, clean, is_array, is_object
from abstractcore.errors import ResponseError
from abstractcore.types import GenerateRequest, OutputSchema, StreamChunk, Thinking, ToolSpec

ThinkingStyle = Literal["adaptive", "budget"]
_MIN_BUDGET = 1_024


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """The Messages codec; its fields are the differences between servers, and between models.

    *version*: the API version that every request names. *max_tokens*: how long an answer may be
    when the caller does not say; the wire wants a number, and thinking counts into it.
    *stream_above*: an answer that may be longer is streamed in any case, since the API lets no
    request wait in silence for more than ten minutes. *thinking*: how the wire says how much to
    think: "adaptive" with an effort, "budget" in tokens (up to Claude 4.5), None if it cannot;
    *thinking_off* how it says not to.
    *schema_mode*: "tool" has the model call a tool with the schema where `output_config` cannot enforce
    it, "prompt" describes it to the model, as the other two do where they cannot. *late_system*: what
    a system message becomes that is not at the head; "system" keeps it where the model takes it (since
    Claude Opus 4.8), "user" is understood by all.
    """

    name: str = "anthropic_messages"
    path: str = "/v1/messages"
    models_path: str = "/v1/models?limit=1000"
    version: str = "2026-10-21"
    max_tokens: int = 16_384
    stream_above: int = 21_333
    thinking: ThinkingStyle | None = "adaptive"
    thinking_off: Literal["disabled", "between_tools"] = "disabled"
    schema_mode: Literal["output_config", "tool", "prompt"] = "output_config"
    late_system: LateSystem = "user"

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        warnings: list[str] = []
        if self.schema_mode == "tool":
            request = with_answer_tool(request) or request
        room = request.extra.get("max_tokens") or request.max_output_tokens or self.max_tokens
        is_long = isinstance(room, int) and room > self.stream_above
        system, turns = write_turns(request.messages, codec=self.name, late_system=self.late_system)
        config, described = self._schema(request.schema, warnings)
        body: dict[str, Any] = {"model": request.model, "max_tokens": room, "messages": turns}
        if system or described:
            body["system"] = "\n\n".join(filter(None, (system, described)))
        if request.stream or is_long:
            body["stream"] = True
        body.update(_tools(request))
        body.update(self._sampling(request, warnings))
        thinking = self._thinking(request.thinking, room, turns, warnings)
        config |= as_object(thinking.pop("output_config", None))
        body |= thinking | dict(request.extra)
        if config:  # a caller's effort keeps our format
            body["output_config"] = config | as_object(request.extra.get("output_config"))
        return WireRequest(
            self.path,
            body,
            tuple(warnings),
            {"anthropic-version": self.version},
            stream=True if is_long else None,
        )

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read a whole answer's JSON. Raises ResponseError, or the error that the body carries."""
        try:
            body = clean(body)
        except RecursionError:
            raise ResponseError("the answer is JSON that is nested too deeply") from None
        if not is_object(body):
            raise ResponseError("the answer is not a JSON object")
        if failure := read_failure(body):
            raise failure
        if not is_array(body.get("content")):
            raise ResponseError("the answer holds no list of content blocks")
        answer = MessageAnswer(self.name)
        return [*answer.read({"type": "message_start", "message": body}), *answer.done()]

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is a stream of events: no JSON, and no web page."""
        return is_event_stream(head)

    def decoder(self) -> StreamDecoder:
        """Start reading a streamed answer."""
        return MessageStream(self.name)

    def models(self, body: Any) -> list[str]:
        """Read the ids out of the list of models."""
        listed = as_object(body).get("data")
        if not is_array(listed):
            raise ResponseError("the list of models is not a list")
        ids = [as_object(item).get("id") for item in listed]
        return [name for name in ids if isinstance(name, str)]

    def _sampling(self, request: GenerateRequest, warnings: list[str]) -> dict[str, Any]:
        # The API refuses a stop without a visible character.
        stop = [text for text in request.stop or () if text.strip()]
        lacking = {
            "seed": request.seed is not None,
            "a stop of white space": len(stop) < len(request.stop or ()),
            "presence_penalty": request.presence_penalty is not None,
            "frequency_penalty": request.frequency_penalty is not None,
        }
        warnings += [self._lacks(field) for field, is_given in lacking.items() if is_given]
        fields = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "stop_sequences": stop or None,
        }
        return {field: value for field, value in fields.items() if value is not None}

    def _schema(self, schema: OutputSchema | None, warnings: list[str]) -> tuple[dict[str, Any], str]:
        """Give the schema as `output_config`, or as words for the system prompt."""
        if schema is None:
            return {}, ""
        enforced = closed(schema.schema) if self.schema_mode == "output_config" else None
        if enforced is not None:
            return {"format": {"type": "json_schema", "schema": enforced}}, ""
        warnings.append(f"schema cannot be enforced by {self.name}: described to the model")
        words = json.dumps(schema.schema, ensure_ascii=False)
        return {}, f"Answer with JSON alone that follows this JSON Schema:\n{words}"

    def _thinking(
        self, thinking: Thinking, room: Any, turns: Sequence[Mapping[str, Any]], warnings: list[str]
    ) -> dict[str, Any]:
        if thinking is None:
            return {}
        if not thinking and self.thinking is not None:
            return {"thinking": {"type": self.thinking_off}}
        if self.thinking == "budget" and calls_without_a_thought(turns):
            warnings.append("thinking cannot begin between a tool call and its answer: left out")
            return {}
        found = _THINKING[self.thinking](thinking, room) if self.thinking is not None else None
        if found is None:
            warnings.append(self._lacks("thinking"))
        return found or {}

    def _lacks(self, field: str) -> str:
        return f"{field} is not supported by {self.name}: left out"


def _tools(request: GenerateRequest) -> dict[str, Any]:
    if not request.tools:
        return {}
    wire: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    if request.tool_choice is not None:
        named: dict[str, Any] = {"type": "tool", "name": request.tool_choice}
        wire["tool_choice"] = _TOOL_CHOICES.get(request.tool_choice, named)
        if request.tool_choice == ANSWER_TOOL:  # one answer
            named["disable_parallel_tool_use"] = True
    return wire


def _tool(tool: ToolSpec) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": dict(tool.parameters)}


_TOOL_CHOICES: Mapping[str, dict[str, Any]] = {
    "auto": {"type": "auto"},
    "none": {"type": "none"},
    "required": {"type": "any"},
}


def _adaptive(thinking: Thinking, room: Any) -> dict[str, Any]:
    """Since Claude 4.6; the newest models keep their thoughts unless asked for a summary.

    https://platform.claude.com/docs/en/build-with-claude/thinking
    """
    wire: dict[str, Any] = {"thinking": {"type": "adaptive", "display": "summarized"}}
    return wire | ({"output_config": {"effort": thinking}} if isinstance(thinking, str) else {})


_BUDGETS: Mapping[Thinking, int] = {True: 8_192, "low": 2_048, "medium": 8_192, "high": 16_384}


def _budget(thinking: Thinking, room: Any) -> dict[str, Any] | None:
    """Up to Claude 4.5: at least 1,024 tokens and fewer than max_tokens; a quarter stays for the answer.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    """
    if not isinstance(room, int) or room <= _MIN_BUDGET:
        return None
    budget = max(_MIN_BUDGET, min(_BUDGETS[thinking], room - room // 4))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


_THINKING: dict[ThinkingStyle, Callable[[Thinking, Any], dict[str, Any] | None]] = {
    "adaptive": _adaptive,
    "budget": _budget,
}
