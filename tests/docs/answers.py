"""What the fake server answers to the samples: something of the right kind for whatever is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes import openai_chat
from tests.fakes.replies import Pause, Reply, compact_json
from tests.fakes.requests import Recorded

TEXT = "Python is a language that reads almost like the plan of its own program."
SLOW = "Write a very long story."


def answer(request: Recorded) -> Reply:
    """Answer as a model would: a tool call where there are tools, JSON where a schema is given, else text."""
    asked = request.json
    if asked.model == "no-such-model":
        return openai_chat.error(404, "no such model", code="model_not_found")
    last = asked.messages[-1]
    if asked.get("tools") and last.role != "tool":
        function = asked.tools[0].function
        return openai_chat.call(function.name, **example_of(function.parameters, function.parameters))
    if schema := (asked.get("response_format") or {}).get("json_schema"):
        return openai_chat.text(compact_json(example_of(schema["schema"], schema["schema"])))
    if last.content == SLOW:
        return openai_chat.text("word " * 200, piece=5, between=[Pause(0.05)]).after(
            Pause(0.05 if asked.get("stream") else 10)
        )
    if "name" in str(last.content) and "Alice" in compact_json(asked.messages):
        return openai_chat.text("Your name is Alice.")
    return openai_chat.text(TEXT)


def example_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """A value that follows a JSON Schema of the simple kinds that the samples use."""
    if reference := schema.get("$ref"):
        return example_of(root["$defs"][reference.rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], root)
    match schema.get("type"):
        case "object":
            return {name: example_of(each, root) for name, each in schema.get("properties", {}).items()}
        case "array":
            return [example_of(schema["items"], root)]
        case "integer" | "number":
            return 36
        case "boolean":
            return True
        case _:
            return "Paris"
