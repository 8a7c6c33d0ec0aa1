"""The official clients of OpenAI and Anthropic, with one face: what they sent and what they read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


@dataclass
class Said:
    """An answer, as the client's types tell it; *pieces* are the texts of a streamed one."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: tuple[int, int] | None = None
    model: str = ""
    pieces: list[str] = field(default_factory=list)


class Speaker:
    """One dialect, spoken by its vendor's client."""

    errors: Any
    finished: Any = ("stop", "length", "tool_calls", "content_filter")

    def __init__(self, url: str, **options: Any) -> None:
        self.client: Any = self._client(url, **{"max_retries": 0, "api_key": "not-a-key", **options})

    def _client(self, url: str, **options: Any) -> Any:
        return openai.OpenAI(base_url=f"{url}/v1", **options)

    def ask(self, prompt: str = "Hi", *, stream: bool = False, model: str = "scripted", **more: Any) -> Said:
        return self.told(self.stream(prompt, model, more)) if stream else self.whole(prompt, model, more)

    def whole(self, prompt: str, model: str, more: dict[str, Any]) -> Said:
        raise NotImplementedError

    def stream(self, prompt: str, model: str, more: dict[str, Any]) -> Any:
        raise NotImplementedError

    def told(self, stream: Any) -> Said:
        raise NotImplementedError

    def tools(self, choice: str | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def schema(self, schema: Any = SCHEMA) -> dict[str, Any]:
        raise NotImplementedError

    def after_a_call(self, said: Said, results: Sequence[str]) -> dict[str, Any]:
        raise NotImplementedError


class Chat(Speaker):
    errors = openai

    def _body(self, prompt: str, model: str, more: dict[str, Any]) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}

    def whole(self, prompt: str, model: str, more: dict[str, Any]) -> Said:
        answer = self.client.chat.completions.create(**self._body(prompt, model, more))
        (choice,) = answer.choices
        calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()]
        reasoning = getattr(choice.message, "reasoning_content", "")
        usage = answer.usage and (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        return Said(choice.message.content or "", reasoning, calls, choice.finish_reason, usage, answer.model)

    def stream(self, prompt: str, model: str, more: dict[str, Any]) -> Any:
        options = {"stream": True, "stream_options": {"include_usage": True}}
        return self.client.chat.completions.create(**self._body(prompt, model, more), **options)

    def told(self, stream: Any) -> Said:
        said = Said()
        for event in stream:
            said.model = event.model
            if event.usage:
                said.usage = (event.usage.prompt_tokens, event.usage.completion_tokens)
            for choice in event.choices:
                self._take(said, choice)
        return said

    def _take(self, said: Said, choice: Any) -> None:
        said.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
        if text := choice.delta.content:
            said.text += text
            said.pieces.append(text)
        for call in choice.delta.tool_calls or ():
            said.calls.append((call.id, call.function.name, call.function.arguments))
        said.finish_reason = choice.finish_reason or said.finish_reason

    def tools(self, choice: str | None = None) -> dict[str, Any]:
        function = {"name": "add", "description": "Adds.", "parameters": PARAMETERS}
        chosen = {"tool_choice": {"type": "function", "function": {"name": choice}}} if choice else {}
        return {"tools": [{"type": "function", "function": function}], **chosen}

    def schema(self, schema: Any = SCHEMA) -> dict[str, Any]:
        named = {"name": "place", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def after_a_call(self, said: Said, results: Sequence[str]) -> dict[str, Any]:
        calls = [
            {"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in said.calls
        ]
        messages: list[Any] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": calls},
        ]
        for (call_id, _, _), result in zip(said.calls, results, strict=True):
            messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        return {"messages": messages}


class Responses(Speaker):
    errors = openai
    finished = ("completed", "max_output_tokens", "completed", "content_filter")

    def _body(self, prompt: str, model: str, more: dict[str, Any]) -> dict[str, Any]:
        return {"model": model, "input": prompt, **more}

    def whole(self, prompt: str, model: str, more: dict[str, Any]) -> Said:
        return self._read(self.client.responses.create(**self._body(prompt, model, more)))

    def _read(self, answer: Any) -> Said:
        said = Said(text=answer.output_text, model=answer.model)
        for item in answer.output:
            if item.type == "function_call":
                said.calls.append((item.call_id, item.name, item.arguments))
            elif item.type == "reasoning":
                said.reasoning += "".join(part.text for part in item.content)
        details = answer.incomplete_details
        said.finish_reason = details.reason if details else answer.status
        said.usage = answer.usage and (answer.usage.input_tokens, answer.usage.output_tokens)
        return said

    def stream(self, prompt: str, model: str, more: dict[str, Any]) -> Any:
        return self.client.responses.create(**self._body(prompt, model, more), stream=True)

    def told(self, stream: Any) -> Said:
        pieces: list[str] = []
        numbers: list[int] = []
        last: Any = None
        for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
            last = event
        assert numbers == list(range(len(numbers)))
        if last.type == "response.failed":
            raise openai.APIError(last.response.error.message, None, body=None)  # type: ignore[arg-type]
        said = self._read(last.response)
        said.pieces = pieces
        return said

    def tools(self, choice: str | None = None) -> dict[str, Any]:
        chosen = {"tool_choice": {"type": "function", "name": choice}} if choice else {}
        tool = {"type": "function", "name": "add", "description": "Adds.", "parameters": PARAMETERS}
        return {"tools": [{**tool, "strict": False}], **chosen}

    def schema(self, schema: Any = SCHEMA) -> dict[str, Any]:
        wanted = {"type": "json_schema", "name": "place", "schema": schema, "strict": True}
        return {"text": {"format": wanted}}

    def after_a_call(self, said: Said, results: Sequence[str]) -> dict[str, Any]:
        items: list[Any] = [{"role": "user", "content": "Hi"}]
        for call_id, name, arguments in said.calls:
            call = {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
            items.append(call)
        for (call_id, _, _), result in zip(said.calls, results, strict=True):
            items.append({"type": "function_call_output", "call_id": call_id, "output": result})
        return {"input": items, "instructions": "Be brief."}


class Messages(Speaker):
    errors = anthropic
    finished = ("end_turn", "max_tokens", "tool_use", "refusal")

    def _client(self, url: str, **options: Any) -> Any:
        return anthropic.Anthropic(base_url=url, **options)

    def _body(self, prompt: str, model: str, more: dict[str, Any]) -> dict[str, Any]:
        messages = [{"role": "user", "content": prompt}]
        return {"model": model, "max_tokens": 100, "messages": messages, **more}

    def whole(self, prompt: str, model: str, more: dict[str, Any]) -> Said:
        return self._read(self.client.messages.create(**self._body(prompt, model, more)))

    def _read(self, answer: Any) -> Said:
        said = Said(model=answer.model, finish_reason=answer.stop_reason)
        for block in answer.content:
            if block.type == "text":
                said.text += block.text
            elif block.type == "thinking":
                said.reasoning += block.thinking
            else:
                said.calls.append((block.id, block.name, block.input))
        said.usage = (answer.usage.input_tokens, answer.usage.output_tokens)
        return said

    def stream(self, prompt: str, model: str, more: dict[str, Any]) -> Any:
        return self.client.messages.stream(**self._body(prompt, model, more))

    def told(self, stream: Any) -> Said:
        with stream as events:
            pieces = list(_texts(events))
            said = self._read(events.get_final_message())
        said.pieces = pieces
        return said

    def tools(self, choice: str | None = None) -> dict[str, Any]:
        chosen = {"tool_choice": {"type": "tool", "name": choice}} if choice else {}
        return {"tools": [{"name": "add", "description": "Adds.", "input_schema": PARAMETERS}], **chosen}

    def schema(self, schema: Any = SCHEMA) -> dict[str, Any]:
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}

    def after_a_call(self, said: Said, results: Sequence[str]) -> dict[str, Any]:
        used = [{"type": "tool_use", "id": i, "name": n, "input": a} for i, n, a in said.calls]
        told = [
            {"type": "tool_result", "tool_use_id": call_id, "content": result}
            for (call_id, _, _), result in zip(said.calls, results, strict=True)
        ]
        messages = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": used},
            {"role": "user", "content": told},
        ]
        return {"messages": messages, "system": "Be brief."}


def _texts(events: Any) -> Iterator[str]:
    for event in events:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            yield event.delta.text


SPEAKERS: dict[str, type[Speaker]] = {"chat_completions": Chat, "responses": Responses, "messages": Messages}
