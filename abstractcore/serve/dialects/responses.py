"""OpenAI's Responses, as a server speaks it that stores nothing.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abstractcore.serve.dialects.base import Asked, Dialect
from abstractcore.serve.dialects.openai_words import error_of, not_heard, schema_of, tool_choice_of
from abstractcore.serve.dialects.reading import (
    effort,
    left_over,
    model_of,
    not_taken,
    objects,
    picked,
    take,
    unsupported,
)
from abstractcore.serve.dialects.responses_input import read_input
from abstractcore.serve.dialects.responses_output import ResponsesWriter, write

_SAMPLING = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_output_tokens"}
_READ = (
    *_SAMPLING, "model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "text",
    "reasoning", "metadata", "store", "include", "parallel_tool_calls", "truncation",
)  # fmt: skip
_NOT_TAKEN = ("previous_response_id", "conversation", "background", "prompt", "context_management")
_ECHOED = ("instructions", "temperature", "top_p", "max_output_tokens", "metadata", "text", "reasoning")


def read(body: Mapping[str, Any]) -> Asked:
    """Read a request."""
    not_taken(body, _NOT_TAKEN)
    sampling = picked(body, _SAMPLING)
    reasoning = take(body, "reasoning", dict) or {}
    if (thinking := effort(reasoning.get("effort"), "reasoning.effort")) is not None:
        sampling["thinking"] = thinking
    text = take(body, "text", dict) or {}
    tools = _tools(body.get("tools"))
    echo = {name: body[name] for name in _ECHOED if body.get(name) is not None}
    return Asked(
        model=model_of(body),
        stream=bool(take(body, "stream", bool)),
        messages=read_input(take(body, "instructions", str), body.get("input")),
        tools=tools,
        tool_choice=tool_choice_of(body.get("tool_choice")),
        schema=schema_of(text.get("format"), "text.format"),
        sampling=sampling,
        ignored=(*left_over(body, _READ), *not_heard(body)),
        echo=echo | {"tools": tools, "tool_choice": body.get("tool_choice") or "auto"},
    )


def _tools(given: Any) -> list[dict[str, Any]]:
    tools = [] if given is None else objects(given, "tools")
    for index, tool in enumerate(tools):
        if tool.get("type", "function") != "function":
            unsupported(f"tools[{index}].type", "this gateway runs no tools of its own")
    return tools


RESPONSES = Dialect("responses", read, write, ResponsesWriter, error_of)
