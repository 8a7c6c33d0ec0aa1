"""The Chat Completions wire: OpenAI's, and that of most other servers.

Knows the fields of a request. The differences between servers are fields of `OpenAIChat`; which
server has which is written in the providers' table, and what a model family rejects is not known
here either. https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from abstractcore.codecs.answer_tool import with_answer_tool
from abstractcore.codecs.base import StreamDecoder, WireRequest
from abstractcore.codecs.framing import is_event_stream
from abstractcore.codecs.openai_chat_events import ChatAnswer, ChatStream
from abstractcore.codecs.openai_fields import (
    arguments_text,
    image_url,
    model_ids,
    reasoning_effort,
    schema_name,
    whole_answer,
)
from abstractcore.codecs.strict_schema import strict
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.codecs.tool_images import with_images_apart
from abstractcore.types import (
    ContentPart,
    GenerateRequest,
    Message,
    OutputSchema,
    StreamChunk,
    Thinking,
    ToolCallDict,
    ToolSpec,
)

SchemaMode = Literal["json_schema", "json_object", "structured_outputs", "tool"]
ThinkingStyle = Literal["reasoning_effort", "reasoning", "thinking_type", "chat_template_kwargs"]


@dataclass(frozen=True, slots=True)
class OpenAIChat:
    """The Chat Completions codec; its fields are the differences between servers.

    *schema_mode*: "tool" has the model call a tool with the schema, where there is nothing better; None
    describes it to the model, as "tool" does where it cannot. *thinking*: how the wire says whether to
    think, None if it cannot. *reasoning_details*: take OpenRouter's details back to it.
    *reasoning_back*: the field that gives a tool turn's reasoning back. *raw_arguments*: the server
    takes a past call's arguments as the model wrote them, also when they are not JSON (vLLM, SGLang
    and llama-server parse them and refuse).
    *think_marks*: the server may leave a `<think>` block at the beginning of the content;
    *think_opened*: its chat template opens the block. *strict_schema*: ask for strict mode where
    the schema can be strict. *tells_cost*: the usage says what the answer cost, in US dollars.
    """

    name: str = "openai_chat"
    path: str = "/chat/completions"
    models_path: str = "/models"
    max_tokens_field: str = "max_tokens"
    seed_field: str | None = "seed"
    top_k: bool = True
    penalties: bool = True
    stream_usage: bool = True
    schema_mode: SchemaMode | None = "json_schema"
    strict_schema: bool = False
    thinking: ThinkingStyle | None = None
    think_marks: bool = True
    think_opened: bool = False
    reasoning_details: bool = False
    reasoning_back: str | None = None
    raw_arguments: bool = True
    tells_cost: bool = False

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        lacking: list[str] = []
        if self.schema_mode == "tool":
            request = with_answer_tool(request) or request
        messages = [self._message(message) for message in with_images_apart(request.messages)]
        body: dict[str, Any] = {"model": request.model, "messages": messages}
        if request.stream:
            body["stream"] = True
            if self.stream_usage:
                body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
            if request.tool_choice is not None:
                body["tool_choice"] = _tool_choice(request.tool_choice)
        body.update(self._sampling(request, lacking))
        if request.schema is not None:
            body.update(self._schema(request.schema, lacking))
            if self.schema_mode not in ("json_schema", "structured_outputs"):
                _tell(messages, request.schema)
        if request.thinking is not None:
            body.update(self._thinking(request.thinking, lacking))
        body.update(request.extra)
        warnings = tuple(f"{field} is not supported by {self.name}: left out" for field in lacking)
        return WireRequest(self.path, body, warnings)

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read a whole answer's JSON. Raises ResponseError, or the error that the body carries."""
        answer = self._answer()
        chunks = [*answer.read(whole_answer(body), "message"), *answer.done()]
        marks = self._marks()
        return chunks if marks is None else list(marks.through(chunks))

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is a stream of events: no JSON, and no web page."""
        return is_event_stream(head)

    def decoder(self) -> StreamDecoder:
        """Start reading a streamed answer."""
        return ChatStream(self._answer(), self._marks())

    def models(self, body: Any) -> list[str]:
        """Read the ids out of the list of models."""
        return model_ids(body)

    def _answer(self) -> ChatAnswer:
        has_answer_tool = self.schema_mode == "tool"
        return ChatAnswer(self.name, tells_cost=self.tells_cost, has_answer_tool=has_answer_tool)

    def _marks(self) -> TextMarks | None:
        return TextMarks(think=True, tools=False, opened=self.think_opened) if self.think_marks else None

    def _sampling(self, request: GenerateRequest, lacking: list[str]) -> dict[str, Any]:
        takes_penalties = "{}" if self.penalties else None
        fields = (
            ("temperature", "temperature", request.temperature),
            ("top_p", "top_p", request.top_p),
            ("top_k", "top_k" if self.top_k else None, request.top_k),
            ("seed", self.seed_field, request.seed),
            ("stop", "stop", None if request.stop is None else list(request.stop)),
            ("max_output_tokens", self.max_tokens_field, request.max_output_tokens),
            ("presence_penalty", takes_penalties and "presence_penalty", request.presence_penalty),
            ("frequency_penalty", takes_penalties and "frequency_penalty", request.frequency_penalty),
        )
        given = [(ours, wire, value) for ours, wire, value in fields if value is not None]
        lacking += [ours for ours, wire, _ in given if wire is None]
        return {wire: value for _, wire, value in given if wire is not None}

    def _schema(self, schema: OutputSchema, lacking: list[str]) -> dict[str, Any]:
        if self.schema_mode in (None, "tool"):
            lacking.append("schema")
            return {}
        if self.schema_mode == "structured_outputs":  # vLLM's own; its row uses OpenAI's (docs/why.md)
            return {"structured_outputs": {"json": dict(schema.schema)}}
        if self.schema_mode == "json_object":
            return {"response_format": {"type": "json_object"}}
        wire: dict[str, Any] = {"name": schema_name(schema.name), "schema": dict(schema.schema)}
        if self.strict_schema and (strict_schema := strict(schema.schema)) is not None:
            wire.update(schema=strict_schema, strict=True)
        return {"response_format": {"type": "json_schema", "json_schema": wire}}

    def _thinking(self, thinking: Thinking, lacking: list[str]) -> dict[str, Any]:
        if self.thinking is None:
            lacking.append("thinking")
            return {}
        return _THINKING[self.thinking](thinking)

    def _message(self, message: Message) -> dict[str, Any]:
        role, content = message["role"], message.get("content", "")
        content = content if isinstance(content, str) else _parts(content)
        wire: dict[str, Any] = {"role": role, "content": content}
        if role == "tool":
            wire["tool_call_id"] = message.get("tool_call_id", "")
            return wire
        if name := message.get("name"):
            wire["name"] = name
        return self._assistant(message, wire) if role == "assistant" else wire

    def _assistant(self, message: Message, wire: dict[str, Any]) -> dict[str, Any]:
        if calls := message.get("tool_calls"):
            wire["content"] = wire["content"] or None
            wire["tool_calls"] = [self._tool_call(call) for call in calls]
            if self.reasoning_back is not None:
                wire[self.reasoning_back] = message.get("reasoning") or ""
        details = message.get("provider_data", {}).get(self.name, {}).get("reasoning_details")
        if details and self.reasoning_details:
            wire["reasoning_details"] = details
        return wire

    def _tool_call(self, call: ToolCallDict) -> dict[str, Any]:
        function = {"name": call["name"], "arguments": arguments_text(call, raw=self.raw_arguments)}
        return {"id": call["id"], "type": "function", "function": function}


def _parts(parts: Iterable[ContentPart]) -> list[dict[str, Any]]:
    return [_image(part) if part["type"] == "image" else dict(part) for part in parts]


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": image_url(part)}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _tell(messages: list[dict[str, Any]], schema: OutputSchema) -> None:
    """Show the model the schema that the wire cannot carry; JSON mode asks for the word in the prompt.

    https://api-docs.deepseek.com/guides/json_mode
    """
    words = f"Answer with JSON alone that follows this JSON Schema:\n{json.dumps(dict(schema.schema))}"
    first = messages[0] if messages else {}
    if first.get("role") == "system" and isinstance(first["content"], str):
        messages[0] = {**first, "content": f"{first['content']}\n\n{words}"}
    else:
        messages.insert(0, {"role": "system", "content": words})


def _effort(thinking: Thinking) -> dict[str, Any]:
    return {"reasoning_effort": reasoning_effort(thinking)}


def _reasoning(thinking: Thinking) -> dict[str, Any]:
    """OpenRouter: https://openrouter.ai/docs/use-cases/reasoning-tokens."""
    if thinking is True:
        return {"reasoning": {"enabled": True}}
    return {"reasoning": {"effort": thinking or "none"}}


def _thinking_type(thinking: Thinking) -> dict[str, Any]:
    """DeepSeek: https://api-docs.deepseek.com/guides/thinking_mode."""
    switch = {"thinking": {"type": "enabled" if thinking else "disabled"}}
    return switch | ({"reasoning_effort": thinking} if isinstance(thinking, str) else {})


def _template(thinking: Thinking) -> dict[str, Any]:
    """The servers that render a chat template: vLLM, SGLang, llama-server, LM Studio.

    Qwen's template asks `enable_thinking`, gpt-oss' asks `reasoning_effort`, which vLLM and SGLang
    also want beside it; a template skips what it does not know.
    https://docs.vllm.ai/en/latest/features/reasoning_outputs.html
    """
    switch: dict[str, Any] = {"enable_thinking": bool(thinking)}
    if not isinstance(thinking, str):
        return {"chat_template_kwargs": switch}
    return {"chat_template_kwargs": switch | {"reasoning_effort": thinking}, "reasoning_effort": thinking}


_THINKING: dict[ThinkingStyle, Callable[[Thinking], dict[str, Any]]] = {
    "reasoning_effort": _effort,
    "reasoning": _reasoning,
    "thinking_type": _thinking_type,
    "chat_template_kwargs": _template,
}
