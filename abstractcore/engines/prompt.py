"""A request as the prompt of a model in this process, and what of it cannot be said.

Knows how chat templates read messages. Knows no runtime.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from abstractcore.engines.runtime import Prompt
from abstractcore.errors import ConfigurationError, UnsupportedFeatureError
from abstractcore.tools.prompted import prompted
from abstractcore.tools.strict_json import plain

if TYPE_CHECKING:
    from abstractcore.types import GenerateRequest, Message, ToolCallDict, ToolSpec

_SAMPLING = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")


def write_prompt(request: GenerateRequest, sees: Callable[[], bool] = bool) -> tuple[Prompt, tuple[str, ...]]:
    """Give the prompt of *request*, and a warning for each thing that was left out.

    Raises UnsupportedFeatureError for an image, unless *sees* tells that the model reads them.
    """
    extra = _plain(request.extra)
    template = {**_template_words(request), **_template_extra(extra)}
    offers_tools = bool(request.tools) and request.tool_choice != "none"
    prompt = Prompt(
        messages=_messages(request.messages, sees),
        tools=[_tool(tool) for tool in request.tools] if offers_tools else (),
        template=template,
        sampling={name: value for name in _SAMPLING if (value := getattr(request, name)) is not None},
        max_output_tokens=request.max_output_tokens,
        stop=tuple(request.stop or ()),
        schema=None if request.schema is None else _json(request.schema.schema),
        described=_messages(prompted(request).messages, sees) if _has_tools(request) else None,
        extra=extra,
    )
    if request.tool_choice in (None, "auto", "none"):
        return prompt, ()
    return prompt, ("tool_choice was left out: a model in this process cannot be made to call a tool",)


def _has_tools(request: GenerateRequest) -> bool:
    return bool(request.tools) or any(message.get("tool_calls") for message in request.messages)


def _plain(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what goes to another process as JSON: what it cannot carry is refused here, and hurts nobody."""
    try:
        return plain(dict(extra))
    except ValueError as failure:
        raise ConfigurationError(f"extra: {failure}") from None


def _template_words(request: GenerateRequest) -> dict[str, Any]:
    """Give the switch that Qwen, SmolLM and others read, and the effort that gpt-oss does."""
    if request.thinking is None:
        return {}
    if isinstance(request.thinking, bool):
        return {"enable_thinking": request.thinking}
    return {"reasoning_effort": request.thinking}


def _template_extra(extra: dict[str, Any]) -> Mapping[str, Any]:
    words = extra.pop("chat_template_kwargs", {})
    if not isinstance(words, Mapping):
        raise ConfigurationError("extra: chat_template_kwargs must be a dict")
    return words


def _messages(messages: Sequence[Message], sees: Callable[[], bool]) -> list[Mapping[str, Any]]:
    names = {call["id"]: call["name"] for message in messages for call in message.get("tool_calls", ())}
    return [_message(message, names, sees) for message in messages]


def _message(message: Message, names: Mapping[str, str], sees: Callable[[], bool]) -> Mapping[str, Any]:
    written: dict[str, Any] = {"role": message["role"], "content": _content(message, sees)}
    if calls := message.get("tool_calls"):
        written["tool_calls"] = [_call(call) for call in calls]
    if reasoning := message.get("reasoning"):
        written["reasoning_content"] = reasoning
    if answers := message.get("tool_call_id"):
        written["tool_call_id"] = answers
        written["name"] = names.get(answers, "")
    return written


def _content(message: Message, sees: Callable[[], bool]) -> str | list[Mapping[str, Any]]:
    content = message["content"]
    if isinstance(content, str):
        return content
    texts = [part["text"] for part in content if part["type"] == "text"]
    if len(texts) == len(content):
        return "\n".join(texts)
    if not sees():
        raise UnsupportedFeatureError("this model reads text only: leave the images out")
    if any("url" in part for part in content):
        raise UnsupportedFeatureError("a model in this process fetches no image: pass its path or its bytes")
    return [dict(part) for part in content]


def _call(call: ToolCallDict) -> Mapping[str, Any]:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _tool(tool: ToolSpec) -> Mapping[str, Any]:
    told = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": told}


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as failure:
        problem = type(failure).__name__
        raise ConfigurationError(f"the schema cannot be written as JSON: {problem}") from failure
