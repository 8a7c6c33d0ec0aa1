"""Tools for models that have none of their own: told in the prompt, and called in the answer's text.

The words are Hermes' and Qwen's: a call is `<tool_call>{"name": …, "arguments": {…}}</tool_call>`.
Knows messages. Knows no provider; `codecs.text_marks` reads the calls.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from abstractcore.types import GenerateRequest, Message, ToolSpec

_TOOLS = """You can call tools. Each is a function with a name and a JSON Schema of its arguments:
{tools}
To call one, write a JSON object between these marks and nothing after it:
<tool_call>{{"name": "the name", "arguments": {{...}}}}</tool_call>
Several calls are several marks. What a tool gave comes back between <tool_response> marks. {choice}"""
_CHOICES = {"required": "You must call a tool now.", "auto": "Without need of a tool, just answer."}


def prompted(request: GenerateRequest) -> GenerateRequest:
    """Write the tools of *request* into its system message, and past calls and results into texts."""
    messages = [_plain(message) for message in request.messages]
    if request.tools and request.tool_choice != "none":
        messages = _instructed(messages, _instructions(request.tools, request.tool_choice))
    return replace(request, messages=messages, tools=(), tool_choice=None)


def _instructions(tools: Sequence[ToolSpec], choice: str | None) -> str:
    told = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in tools
    ]
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in told)
    how = _CHOICES.get(choice or "auto", f"You must call the tool {choice} now.")
    return _TOOLS.format(tools=lines, choice=how)


def _instructed(messages: list[Message], text: str) -> list[Message]:
    if messages and messages[0]["role"] == "system" and isinstance(messages[0]["content"], str):
        first: Message = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _plain(message: Message) -> Message:
    if message["role"] == "tool":
        told = f"<tool_response>\n{message['content']}\n</tool_response>"
        return {"role": "user", "content": told}
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = [_written(call["name"], call["arguments"], call.get("arguments_raw")) for call in calls]
    text = "\n".join([*([cast("str", message["content"])] if message["content"] else []), *written])
    return {"role": "assistant", "content": text}


def _written(name: str, arguments: dict[str, Any], raw: str | None) -> str:
    inside = json.dumps({"name": name, "arguments": arguments if raw is None else raw}, ensure_ascii=False)
    return f"<tool_call>{inside}</tool_call>"
