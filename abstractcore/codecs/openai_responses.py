"""The Responses wire: OpenAI's own, and that of some other servers.

Knows the fields of a request. What a model family rejects is not known here.
https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from abstractcore.codecs.base import StreamDecoder, WireRequest
from abstractcore.codecs.framing import is_event_stream
from abstractcore.codecs.json_text import is_array, is_object
from abstractcore.codecs.openai_fields import (
    model_ids,
    reasoning_effort,
    schema_name,
    whole_answer,
)
from abstractcore.codecs.openai_responses_events import ResponsesAnswer, ResponsesStream
from abstractcore.codecs.openai_responses_items import write_items
from abstractcore.codecs.strict_schema import strict
from abstractcore.types import GenerateRequest, OutputSchema, StreamChunk, Thinking, ToolSpec

_ENCRYPTED_REASONING = "reasoning.encrypted_content"
_LACKING = ("top_k", "seed", "stop", "presence_penalty", "frequency_penalty")


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """The Responses codec; its fields are the differences between servers, and between models.

    Nothing is stored at the server unless `extra` says so, and the whole history is sent. A
    caller's `text`, `reasoning`, `include` and `tools` in `extra` stand beside ours.

    *encrypted_reasoning*: ask for reasoning in the form that can be sent back; models that do not
    reason refuse to be asked. *thinking*: whether effort can be asked for. *summary*: which
    summary of its reasoning to ask the model for when it is to think, None for none.
    *strict_schema*: ask for strict mode where the schema can be strict.
    """

    name: str = "openai_responses"
    path: str = "/responses"
    models_path: str = "/models"
    encrypted_reasoning: bool = True
    thinking: bool = True
    summary: Literal["auto", "concise", "detailed"] | None = "auto"
    strict_schema: bool = True

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        store = request.extra.get("store", False)
        instructions, items = write_items(request.messages, codec=self.name, is_stored=store is not False)
        body: dict[str, Any] = {"model": request.model, "input": items, "store": store}
        if instructions:
            body["instructions"] = instructions
        if request.stream:
            body["stream"] = True
        if store is False and self.encrypted_reasoning:
            body["include"] = [_ENCRYPTED_REASONING]
        body.update(_tools(request))
        body.update(_sampling(request))
        if request.schema is not None:
            body["text"] = {"format": self._format(request.schema)}
        if request.thinking is not None and self.thinking:
            body["reasoning"] = self._reasoning(request.thinking)
        warnings = tuple(
            f"{field} is not supported by {self.name}: left out" for field in self._lacking(request)
        )
        return WireRequest(self.path, _with_extra(body, request.extra), warnings)

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read a whole answer's JSON. Raises ResponseError, or the error that the body carries."""
        answer = ResponsesAnswer(self.name)
        return [*answer.read_whole(whole_answer(body)), *answer.done()]

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is a stream of events: no JSON, and no web page."""
        return is_event_stream(head)

    def decoder(self) -> StreamDecoder:
        """Start reading a streamed answer."""
        return ResponsesStream(self.name)

    def models(self, body: Any) -> list[str]:
        """Read the ids out of the list of models."""
        return model_ids(body)

    def _lacking(self, request: GenerateRequest) -> list[str]:
        lacking = [field for field in _LACKING if getattr(request, field) is not None]
        return [*lacking, "thinking"] if request.thinking is not None and not self.thinking else lacking

    def _format(self, schema: OutputSchema) -> dict[str, Any]:
        wire = {"type": "json_schema", "name": schema_name(schema.name)}
        if self.strict_schema and (strict_schema := strict(schema.schema)) is not None:
            return {**wire, "schema": strict_schema, "strict": True}
        return {**wire, "schema": dict(schema.schema)}

    def _reasoning(self, thinking: Thinking) -> dict[str, Any]:
        """https://platform.openai.com/docs/guides/reasoning#reasoning-summaries."""
        wire = {"effort": reasoning_effort(thinking)}
        return {**wire, "summary": self.summary} if thinking and self.summary is not None else wire


def _sampling(request: GenerateRequest) -> dict[str, Any]:
    fields = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_output_tokens": request.max_output_tokens,
    }
    return {field: value for field, value in fields.items() if value is not None}


def _tools(request: GenerateRequest) -> dict[str, Any]:
    if not request.tools:
        return {}
    wire: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    if request.tool_choice is not None:
        wire["tool_choice"] = _tool_choice(request.tool_choice)
    return wire


def _tool(tool: ToolSpec) -> dict[str, Any]:
    """Write a tool; left to itself, this API makes every argument required, as strict mode wants it.

    https://platform.openai.com/docs/guides/function-calling#strict-mode
    """
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": False,
    }


def _tool_choice(choice: str) -> str | dict[str, Any]:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


def _with_extra(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Add the caller's fields, which win; those that both have a part in hold both parts."""
    merged = {**body, **extra}
    for field in ("include", "tools"):
        ours, theirs = body.get(field), extra.get(field)
        if is_array(ours) and is_array(theirs):
            merged[field] = [*(item for item in ours if item not in theirs), *theirs]
    for field in ("text", "reasoning"):
        ours, theirs = body.get(field), extra.get(field)
        if is_object(ours) and is_object(theirs):
            merged[field] = {**ours, **theirs}
    return merged
