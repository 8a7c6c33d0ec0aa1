"""The answer as the arguments of a tool: structured output where a wire has tools and enforces no schema.

Anthropic's pattern for JSON: the schema is that of a tool which the model has to call, and the call's
arguments are the answer's text. The call is seen by its name, so that any answer can be read without
its request, a batch's among them.
https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use#forcing-tool-use
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from abstractcore.codecs.json_text import as_object, is_array, is_object
from abstractcore.types import GenerateRequest, ToolSpec

ANSWER_TOOL = "abstractcore_answer"
_TOLD = "Give the final answer, once no other tool is needed: the arguments are the answer."
# Fields of `extra` that leave our tool or our choice out, or switch thinking on.
_IN_THE_WAY = ("tools", "tool_choice", "thinking")
_COMBINED = ("anyOf", "oneOf", "allOf")
_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def with_answer_tool(request: GenerateRequest) -> GenerateRequest | None:
    """Give *request* with its schema as a tool: the forced one, or beside the caller's, of which one is.

    None where that cannot be: the caller forces a tool, the schema is none that a tool may have, or the
    model is to think, which no vendor has beside a forced call.
    """
    schema = request.schema
    if schema is None or request.thinking or any(name in request.extra for name in _IN_THE_WAY):
        return None
    if request.tool_choice not in (None, "auto", "none") or not _is_for_a_tool(schema.schema):
        return None
    if any(tool.name == ANSWER_TOOL for tool in request.tools):
        return None
    offered = (*request.tools, ToolSpec(ANSWER_TOOL, _TOLD, schema.schema))
    may_call = bool(request.tools) and request.tool_choice != "none"
    return replace(request, tools=offered, tool_choice="required" if may_call else ANSWER_TOOL, schema=None)


def _is_for_a_tool(schema: Mapping[str, Any]) -> bool:
    """Whether it is one object, in the words of draft 2020-12, its keys in characters that a tool may have.

    Anthropic answers any other with 400: `input_schema does not support oneOf, allOf, or anyOf at the top
    level`, `Property keys should match pattern`, `JSON schema is invalid`.
    """
    if schema.get("type") != "object" or any(name in schema for name in _COMBINED):
        return False
    try:
        return _is_sendable(dict(schema))
    except RecursionError:
        return False


def _is_sendable(part: Any) -> bool:
    if is_array(part):
        return all(_is_sendable(item) for item in part)
    if not is_object(part):
        return True
    if is_array(part.get("items")) or isinstance(part.get("exclusiveMinimum"), bool):
        return False  # what older drafts said
    if isinstance(part.get("exclusiveMaximum"), bool):
        return False
    keys = as_object(part.get("properties"))
    return all(_KEY.fullmatch(key) for key in keys) and all(_is_sendable(value) for value in part.values())
