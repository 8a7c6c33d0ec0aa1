"""The four wires as tests see them: how an LLM is led to each, and what it sent, in our words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import anthropic_messages, ollama_chat, openai_chat, openai_responses
from .any_wire import dialect_of
from .requests import Recorded
from .server import FakeServer


@dataclass(frozen=True)
class Item:
    """One thing said: kind is user, assistant, system, image, call, result or reasoning.

    *text* is what was said, an image's URL or data; *id*, *name* and *arguments* are a call's.
    """

    kind: str
    text: str = ""
    id: str = ""
    name: str = ""
    arguments: Any = None


@dataclass(frozen=True)
class Sent:
    """A request, whatever its wire: *sampling* is in the words of `generate`, *tools* are by name."""

    model: str
    system: str | None
    items: list[Item]
    streams: bool
    tools: dict[str, Any] = field(default_factory=dict[str, Any])
    tool_choice: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    schema: Any = None

    @property
    def turns(self) -> list[tuple[str, str]]:
        """The texts, each with its role, the system's first."""
        said = [(item.kind, item.text) for item in self.items if item.kind in ("user", "assistant", "system")]
        return said if self.system is None else [("system", self.system), *said]

    @property
    def kinds(self) -> list[str]:
        return [item.kind for item in self.items]

    @property
    def last(self) -> str:
        return self.items[-1].text

    def all(self, kind: str) -> list[Item]:
        return [item for item in self.items if item.kind == kind]


@dataclass(frozen=True)
class Wire:
    """One wire: the row and the options that lead to it, and what it has no word for."""

    name: str
    dialect: Any
    provider: str
    path: str
    read: Callable[[Any], Sent]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    models_path: str = "/v1/models"
    """Where the server is asked for its models."""
    lacks: tuple[str, ...] = ()
    has_think_marks: bool = False
    """Whether servers of this wire leave `<think>` in the text."""
    has_events: bool = True
    """Whether a stream is server-sent events; else it is lines of JSON, without comments and fields."""
    has_error_types: bool = True
    """Whether an error has a type or a code beside its text."""
    counts: tuple[str, str] = ("input_tokens", "output_tokens")
    """What it calls the tokens that were read and those that were written."""
    reason: tuple[str | int, ...] = ()
    """Where in an answer its word for the finish reason stands."""

    def llm(self, server: FakeServer, **options: Any) -> Any:
        """An LLM that speaks this wire to *server*, with a key, which some providers ask for."""
        return server.llm(self.provider, **{"api_key": "wire-key", **self.options, **options})

    def raw_finish_reason(self, raw: Any) -> str:
        """The vendor's word for why the answer *raw* ended."""
        for step in self.reason:
            raw = raw[step]
        return str(raw)

    def sent(self, request: Recorded) -> Sent:
        """Read a request of this wire, and of no other."""
        assert request.path == self.path
        return self.read(request.json)


def sent(request: Recorded) -> Sent:
    """Read a request of any wire."""
    dialect = dialect_of(request)
    return next(wire for wire in WIRES.values() if wire.dialect is dialect).read(request.json)


def check_is_valid(items: Iterable[Item]) -> None:
    """What every provider demands: a call has its results right after it, and a result its call."""
    is_open: list[str] = []
    is_calling = False
    for item in items:
        if item.kind == "result":
            is_open.remove(item.id)
        elif item.kind == "call":
            assert is_calling or not is_open
            is_open.append(item.id)
        else:
            assert is_open == []
        is_calling = item.kind == "call"
    assert is_open == []


# ---- the wires' words ----------------------------------------------------------------------------


def _sampling(body: Mapping[str, Any], **renamed: str) -> dict[str, Any]:
    names = ("temperature", "top_p", "top_k", "seed", "stop", "presence_penalty", "frequency_penalty")
    ours = {**{name: name for name in names}, **renamed}
    return {name: body[wire] for name, wire in ours.items() if wire in body}


def _texts(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def _arguments(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        return written


def _name_of(choice: Any) -> str | None:
    return choice if choice is None or isinstance(choice, str) else (choice.get("function") or choice)["name"]


def _read_chat(body: Any) -> Sent:
    first, *rest = body.messages
    is_system = first.role == "system"
    format_ = body.get("response_format") or {}
    return Sent(
        model=body.model,
        system=first.content if is_system else None,
        items=[item for message in (rest if is_system else body.messages) for item in _chat_items(message)],
        streams=body.get("stream", False),
        tools={tool.function.name: tool.function for tool in body.get("tools", ())},
        tool_choice=_name_of(body.get("tool_choice")),
        sampling=_sampling(body, max_output_tokens="max_tokens"),
        schema=format_.get("json_schema", {}).get("schema"),
    )


def _chat_items(message: Any) -> Iterable[Item]:
    content = message.content
    if message.role == "tool":
        yield Item("result", _texts(content), message.tool_call_id)
        return
    calls = message.get("tool_calls") or ()
    if isinstance(content, list):
        yield from (Item("image", part.image_url.url) for part in content if part.type == "image_url")
        content = _texts(content)
    if content or not calls:
        yield Item(message.role, content)
    for call in calls:
        yield Item("call", "", call.id, call.function.name, _arguments(call.function.arguments))


def _read_responses(body: Any) -> Sent:
    return Sent(
        model=body.model,
        system=body.get("instructions"),
        items=[item for given in body.input for item in _responses_items(given)],
        streams=body.get("stream", False),
        tools={tool.name: tool for tool in body.get("tools", ())},
        tool_choice=_name_of(body.get("tool_choice")),
        sampling=_sampling(body, max_output_tokens="max_output_tokens"),
        schema=(body.get("text") or {}).get("format", {}).get("schema"),
    )


def _responses_items(item: Any) -> Iterable[Item]:
    match item.type:
        case "reasoning":
            yield Item("reasoning", item.get("encrypted_content") or "")
        case "function_call":
            yield Item("call", "", item.call_id, item.name, _arguments(item.arguments))
        case "function_call_output":
            yield Item("result", _texts(item.output), item.call_id)
        case _:
            yield from (Item("image", part.image_url) for part in item.content if part.type == "input_image")
            yield Item(item.role, _texts(item.content))


def _read_anthropic(body: Any) -> Sent:
    choice = body.get("tool_choice") or {}
    kind = {"any": "required"}.get(choice.get("type"), choice.get("type"))
    return Sent(
        model=body.model,
        system=body.get("system"),
        items=[item for turn in body.messages for item in _anthropic_items(turn)],
        streams=body.get("stream", False),
        tools={tool.name: {**tool, "parameters": tool.input_schema} for tool in body.get("tools", ())},
        tool_choice=choice.get("name") or kind,
        sampling=_sampling(body, stop="stop_sequences", max_output_tokens="max_tokens"),
        schema=(body.get("output_config") or {}).get("format", {}).get("schema"),
    )


def _anthropic_items(turn: Any) -> Iterable[Item]:
    if isinstance(turn.content, str):
        yield Item(turn.role, turn.content)
        return
    for block in turn.content:
        match block.type:
            case "text":
                yield Item(turn.role, block.text)
            case "image":
                source = block.source
                data = source.get("url") or f"data:{source.media_type};base64,{source.data}"
                yield Item("image", data)
            case "thinking":
                yield Item("reasoning", block.signature)
            case "tool_use":
                yield Item("call", "", block.id, block.name, dict(block.input))
            case "tool_result":
                yield Item("result", _texts(block.get("content", "")), block.tool_use_id)
            case other:
                raise AssertionError(f"an unknown block: {other}")


def _read_ollama(body: Any) -> Sent:
    first, *rest = body.messages
    is_system = first.role == "system"
    return Sent(
        model=body.model,
        system=first.content if is_system else None,
        items=[item for message in (rest if is_system else body.messages) for item in _ollama_items(message)],
        streams=body.stream,
        tools={tool.function.name: tool.function for tool in body.get("tools", ())},
        sampling=_sampling(body.get("options", {}), max_output_tokens="num_predict"),
        schema=body.get("format"),
    )


def _ollama_items(message: Any) -> Iterable[Item]:
    if message.role == "tool":
        yield Item("result", message.content, message.tool_call_id)
        return
    calls = message.get("tool_calls", ())
    if message.get("thinking"):
        yield Item("reasoning", message.thinking)
    yield from (Item("image", f"data:image/png;base64,{data}") for data in message.get("images", ()))
    if message.content or not calls:
        yield Item(message.role, message.content)
    for call in calls:
        yield Item("call", "", call.id, call.function.name, dict(call.function.arguments))


WIRES = {
    wire.name: wire
    for wire in (
        Wire(
            "openai_chat",
            openai_chat,
            "openai-compatible",
            "/v1/chat/completions",
            _read_chat,
            has_think_marks=True,
            counts=("prompt_tokens", "completion_tokens"),
            reason=("choices", 0, "finish_reason"),
        ),
        Wire(
            "openai_responses",
            openai_responses,
            "openai",
            "/v1/responses",
            _read_responses,
            options={"api": "responses"},
            lacks=("top_k", "seed", "stop", "presence_penalty", "frequency_penalty"),
            reason=("incomplete_details", "reason"),
        ),
        Wire(
            "anthropic_messages",
            anthropic_messages,
            "anthropic",
            "/v1/messages",
            _read_anthropic,
            lacks=("seed", "presence_penalty", "frequency_penalty"),
            reason=("stop_reason",),
        ),
        Wire(
            "ollama_chat",
            ollama_chat,
            "ollama",
            "/api/chat",
            _read_ollama,
            models_path="/api/tags",
            has_think_marks=True,
            has_events=False,
            has_error_types=False,
            counts=("prompt_eval_count", "eval_count"),
            reason=("done_reason",),
        ),
    )
}
