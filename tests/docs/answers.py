"""What the fake server answers to the samples: something of the right kind for whatever is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.fakes import anthropic_messages
from tests.fakes.any_wire import call, error, text
from tests.fakes.batches import FakeBatches
from tests.fakes.replies import Pause, Reply, compact_json, whole
from tests.fakes.requests import Recorded
from tests.fakes.wires import sent

TEXT = "Python is a language that reads almost like the plan of its own program."
SLOW = "Write a very long story."


def answer(request: Recorded) -> Reply:
    """Answer as a model would: a tool call where there are tools, JSON where a schema is given, else text."""
    if request.path.startswith("/model/"):  # Bedrock's, whose URL names the model
        return anthropic_messages.text(TEXT)
    if "/batches" in request.path or "/files" in request.path:
        return _BATCHES["anthropic-version" in request.headers](request)
    if request.path.endswith(("/embeddings", "/api/embed")):
        texts = request.json["input"]
        return embedded(request, [[1.0, float(len(each)), 0.5] for each in texts])
    asked = sent(request)
    if asked.model == "no-such-model":
        return error(404, "no such model", code="model_not_found")
    if asked.tools and asked.kinds[-1] != "result":
        name, tool = next(iter(asked.tools.items()))
        return call(name, **example_of(tool["parameters"], tool["parameters"]))
    if asked.schema:
        return text(compact_json(example_of(asked.schema, asked.schema)))
    if asked.last == SLOW:
        wait = Pause(0.05 if asked.streams else 10)
        return text("word " * 200, piece=5, between=[Pause(0.05)]).after(wait)
    if "name" in asked.last and any("Alice" in said for _, said in asked.turns):
        return text("Your name is Alice.")
    return text(TEXT)


def embedded(request: Recorded, vectors: list[list[float]]) -> Reply:
    """Answer with these vectors, on OpenAI's wire or Ollama's."""
    if request.path == "/api/embed":
        return whole(200, {"model": request.json["model"], "embeddings": vectors, "prompt_eval_count": 7})
    data = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(vectors)]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return whole(200, {"object": "list", "model": request.json["model"], "data": data, "usage": usage})


def _batches(wire: str) -> FakeBatches:
    batches = FakeBatches(wire, lambda fake, _: fake.says(TEXT))
    batches.looks = 1
    return batches


_BATCHES = {False: _batches("openai_chat"), True: _batches("anthropic_messages")}


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
