"""Ollama's own chat wire.

Knows the fields of a request. What its OpenAI-compatible wire lacks goes through here: `think`,
`top_k`, and by `extra=` the context window, `{"options": {"num_ctx": 32768}}`, and `keep_alive`.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from abstractcore.codecs.base import StreamDecoder, WireRequest
from abstractcore.codecs.flat_schema import flat
from abstractcore.codecs.framed_stream import cut_off
from abstractcore.codecs.json_text import clean, is_array, is_object
from abstractcore.codecs.ollama_chat_events import OllamaAnswer, OllamaStream
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.errors import ResponseError, UnsupportedFeatureError
from abstractcore.types import GenerateRequest, Message, StreamChunk, ToolCallDict, ToolSpec

# A line of the stream is an object on one line; a whole answer may be spread over several.
_LINE = re.compile(rb"\{(?![ \t]*[\r\n])")
_TOO_SHORT = re.compile(rb"(?:\{[ \t]{0,99})?")


@dataclass(frozen=True, slots=True)
class OllamaChat:
    """The codec of `/api/chat`.

    *think_marks*: a model whose thinking the server does not know may leave a `<think>` block at
    the beginning of the content; *think_opened*: its chat template opens the block.
    """

    name: str = "ollama_chat"
    path: str = "/api/chat"
    models_path: str = "/api/tags"
    think_marks: bool = True
    think_opened: bool = False

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings.

        Raises UnsupportedFeatureError for an image that is given by its URL.
        """
        body: dict[str, Any] = {
            "model": request.model,
            "messages": list(_messages(request.messages)),
            "stream": request.stream,  # what is not said is a stream
        }
        if request.tools and request.tool_choice != "none":
            body["tools"] = [_tool(tool) for tool in request.tools]
        if options := _options(request):
            body["options"] = options
        if request.schema is not None:
            body["format"] = dict(request.schema.schema)
        if request.thinking is not None:
            body["think"] = request.thinking
        body.update(_joined(request.extra, body))
        is_choice_lost = request.tools and request.tool_choice not in (None, "auto", "none")
        warnings = (f"tool_choice is not supported by {self.name}: left out",) if is_choice_lost else ()
        return WireRequest(self.path, body, warnings)

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read a whole answer's JSON. Raises ResponseError, or the error that the body carries."""
        try:
            body = clean(body)
        except RecursionError:
            raise ResponseError("the answer is JSON that is nested too deeply") from None
        if not is_object(body):
            raise ResponseError("the answer is not a JSON object")
        if body.get("message") is None and not body.get("error"):
            raise ResponseError("the answer holds no message")
        answer = OllamaAnswer()
        chunks = answer.read(body)
        if not answer.is_done:
            if "done" in body:  # the model broke off, and the server gave what it had
                raise cut_off()
            chunks += answer.end()
        marks = self._marks()
        return chunks if marks is None else list(marks.through(chunks))

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is lines of JSON objects; None when that is too short to tell."""
        return None if _TOO_SHORT.fullmatch(head) else _LINE.match(head) is not None

    def decoder(self) -> StreamDecoder:
        """Start reading a streamed answer."""
        return OllamaStream(self._marks())

    def models(self, body: Any) -> list[str]:
        """Read the names out of the list of models: https://docs.ollama.com/api/tags."""
        listed = body.get("models") or [] if is_object(body) else None
        if not is_array(listed):
            raise ResponseError("the list of models is not a list")
        names = [item.get("model") or item.get("name") for item in listed if is_object(item)]
        return [name for name in names if isinstance(name, str)]

    def _marks(self) -> TextMarks | None:
        return TextMarks(think=True, tools=False, opened=self.think_opened) if self.think_marks else None


def _messages(messages: Iterable[Message]) -> Iterable[dict[str, Any]]:
    names: dict[str, str] = {}  # of the tools that were called, by the id of the call
    for message in messages:
        wire = {"role": message["role"], **_content(message)}
        calls = message.get("tool_calls", ())
        if calls:
            names.update((call["id"], call["name"]) for call in calls)
            wire["tool_calls"] = [_tool_call(call) for call in calls]
            # https://docs.ollama.com/capabilities/tool-calling: give it back with the tool results.
            if thought := message.get("reasoning"):
                wire["thinking"] = thought
        if message["role"] == "tool":
            wire.update(_answered(message, names))
        yield wire


def _content(message: Message) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"content": content}
    texts = [part["text"] for part in content if part["type"] == "text"]
    images = [_image(part) for part in content if part["type"] == "image"]
    return {"content": "\n".join(texts), **({"images": images} if images else {})}


def _image(part: Mapping[str, Any]) -> str:
    if data := part.get("data"):
        return data
    raise UnsupportedFeatureError(
        "Ollama takes an image's bytes, and no URL of it: download the image, and pass its path or bytes"
    )


def _tool_call(call: ToolCallDict) -> dict[str, Any]:
    raw = call.get("arguments_raw")
    arguments = call["arguments"] if raw is None else {"arguments": raw}
    return {"id": call["id"], "function": {"name": call["name"], "arguments": arguments}}


def _answered(message: Message, names: Mapping[str, str]) -> dict[str, str]:
    """Say which call a tool result answers: templates read the name, some newer ones the id."""
    call_id = message.get("tool_call_id", "")
    told = {"tool_name": names.get(call_id) or message.get("name"), "tool_call_id": call_id}
    return {field: value for field, value in told.items() if value}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": flat(tool.parameters)}
    return {"type": "function", "function": function}


def _options(request: GenerateRequest) -> dict[str, Any]:
    """Give the options that were set: https://docs.ollama.com/modelfile#valid-parameters-and-values."""
    options = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "seed": request.seed,
        "stop": list(request.stop) if request.stop else None,
        "num_predict": request.max_output_tokens,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    return {name: value for name, value in options.items() if value is not None}


def _joined(extra: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give *extra* with its options joined to those of *body*; what it says wins."""
    options = extra.get("options")
    if not isinstance(options, Mapping):
        return extra
    return {**extra, "options": {**body.get("options", {}), **options}}
