"""What every dialect reads and writes: a question in our words, an answer's stamp, a refusal.

A dialect is the inverse of a codec: it reads what a client of a vendor sends, and writes what that
client expects. Knows no HTTP, no clock and no provider.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from abstractcore.types import GenerateResponse, OutputSchema, StreamChunk, Usage

RefusalKind = Literal[
    "invalid_request", "authentication", "permission", "not_found", "too_large", "context_length",
    "rate_limit", "quota", "overloaded", "timeout", "unsupported", "unknown_url",
    "server",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, as `generate` takes it.

    *ignored* names the fields of the request that change nothing here, *echo* holds those that the
    answer repeats. *with_usage*: whether a streamed answer tells the tokens.
    """

    model: str
    stream: bool
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | None = None
    schema: OutputSchema | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ignored: tuple[str, ...] = ()
    echo: Mapping[str, Any] = field(default_factory=dict[str, Any])
    with_usage: bool = True


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an answer carries beside the model's words: an *id* without prefix, the model, the time."""

    id: str
    model: str
    created: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failure on its way to a client. *retry* False asks it not to try again, None leaves it to it."""

    status: int
    kind: RefusalKind
    message: str
    param: str | None = None
    retry_after: float | None = None
    retry: bool | None = None


class Writer(Protocol):
    """Writes one streamed answer, each call giving the events that are due; b"" when none is."""

    def begin(self) -> bytes:
        """Give what stands before the model's first word."""
        ...

    def add(self, chunk: StreamChunk) -> bytes:
        """Give a chunk that is not `done`."""
        ...

    def end(self, response: GenerateResponse) -> bytes:
        """Give what ends a whole answer."""
        ...

    def fail(self, refusal: Refusal) -> bytes:
        """Give what ends an answer that broke off."""
        ...


Refuse = Callable[[Refusal, str], dict[str, Any]]
"""Writes a refusal's body; the second argument is the request's id."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire: *read* raises ConfigurationError for a request that is wrong."""

    name: str
    read: Callable[[Mapping[str, Any]], Asked]
    write: Callable[[Asked, GenerateResponse, Stamp], dict[str, Any]]
    writer: Callable[[Asked, Stamp], Writer]
    refuse: Refuse


def json_text(value: Any) -> str:
    """Write JSON in the fewest characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def in_bytes(text: str) -> bytes:
    """Encode what is sent; half of a surrogate pair, which a model of one's own may give, becomes a "?"."""
    return text.encode("utf-8", "replace")


def data_event(value: Any) -> bytes:
    """Write a server-sent event without a name."""
    return in_bytes(f"data: {json_text(value)}\n\n")


def named_event(value: Mapping[str, Any]) -> bytes:
    """Write a server-sent event whose name is the value's type."""
    return in_bytes(f"event: {value['type']}\ndata: {json_text(value)}\n\n")


def total(usage: Usage) -> int:
    """Give all tokens; where nobody told them, what is known of their parts."""
    if usage.total_tokens is not None:
        return usage.total_tokens
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def is_known(usage: Usage) -> bool:
    """Whether anybody told how many tokens there were."""
    return usage.input_tokens is not None or usage.output_tokens is not None
