"""The request types of the vendors' own packages, and whether they take a body with all that is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter


def assert_accepted(wire: str, body: Mapping[str, Any]) -> None:
    """The vendor of *wire* takes *body*, and knows each of its fields; skips where its package is missing."""
    _CHECKS[wire](body)


def plain(value: Any) -> Any:
    """Give JSON again: pydantic validates lists one by one, and reads some parts as an answer's."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_unset=True))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return (
        value
        if isinstance(value, str) or not isinstance(value, Iterable)
        else [plain(item) for item in value]
    )


# Cached: a list is validated when it is read, and its type must still be there.
@cache
def chat_type() -> TypeAdapter[Any]:
    from openai.types.chat import completion_create_params as chat

    return TypeAdapter(chat.CompletionCreateParamsStreaming | chat.CompletionCreateParamsNonStreaming)


@cache
def responses_type() -> TypeAdapter[Any]:
    from openai.types.responses import response_create_params as responses

    return TypeAdapter(responses.ResponseCreateParamsStreaming | responses.ResponseCreateParamsNonStreaming)


@cache
def messages_type() -> TypeAdapter[Any]:
    from anthropic.types import message_create_params as messages

    return TypeAdapter(messages.MessageCreateParamsNonStreaming | messages.MessageCreateParamsStreaming)


def as_stored(body: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what the types of an assistant's message ask for and the API does not: Codex has none of it."""
    stored = {"id": "msg_1", "status": "completed"}

    def filled(item: dict[str, Any]) -> dict[str, Any]:
        if item.get("type") != "message" or item["role"] != "assistant" or "id" in item:
            return item
        return {**item, **stored, "content": [{"annotations": [], **part} for part in item["content"]]}

    return {**body, "input": [filled(item) for item in body["input"]]} if "input" in body else dict(body)


# What Ollama's server takes and its Python client does not know:
# https://github.com/ollama/ollama/blob/main/api/types.go
_UNKNOWN_TO_OLLAMA_S_CLIENT = ("id", "tool_call_id")


def known_to_ollama(value: Any) -> Any:
    """Leave out what Ollama's client does not know."""
    if isinstance(value, list):
        return [known_to_ollama(item) for item in value]
    if isinstance(value, dict):
        kept = ((key, item) for key, item in value.items() if key not in _UNKNOWN_TO_OLLAMA_S_CLIENT)
        return {key: known_to_ollama(item) for key, item in kept}
    return value


def with_images_of_its_own(message: dict[str, Any]) -> dict[str, Any]:
    """Give a message as Ollama's client builds one: with images of its own type."""
    from ollama import _types as types

    images = [types.Image(value=image) for image in message.get("images", ())]
    return {**message, "images": images} if images else message


def _check_chat(body: Mapping[str, Any]) -> None:
    pytest.importorskip("openai")
    assert plain(chat_type().validate_python(body)) == body


def _check_responses(body: Mapping[str, Any]) -> None:
    pytest.importorskip("openai")
    assert plain(responses_type().validate_python(as_stored(body))) == as_stored(body)


def _check_messages(body: Mapping[str, Any]) -> None:
    pytest.importorskip("anthropic")
    assert plain(messages_type().validate_python(body)) == body


def _check_ollama(body: Mapping[str, Any]) -> None:
    types = pytest.importorskip("ollama._types")
    held = types.ChatRequest.model_validate(body).model_dump(exclude_none=True)
    held["messages"] = [
        types.Message.model_validate(with_images_of_its_own(message)).model_dump(exclude_none=True)
        for message in body["messages"]
    ]
    assert held == known_to_ollama(body)


_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "openai_chat": _check_chat,
    "openai_responses": _check_responses,
    "anthropic_messages": _check_messages,
    "ollama_chat": _check_ollama,
}
