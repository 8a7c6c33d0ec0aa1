"""What a scripted answer is made of, and the chunks that it comes to.

Pure: knows no driver, no clock and no provider.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from abstractcore.errors import (
    AbstractCoreError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from abstractcore.types import GenerateRequest, StreamChunk, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause of *seconds* inside an answer."""

    seconds: float


Piece = str | StreamChunk | ToolCall | Usage | Wait | AbstractCoreError | type[AbstractCoreError]
Answer = Piece | Mapping[str, Any] | Sequence[Piece]
"""One answer: a text, a tool call, an error, an object (its JSON is the text), or a list of pieces."""

_PIECES = "a text, StreamChunk, ToolCall, Usage, wait(...) or an error of abstractcore.errors"
_RETRIED = (ConflictError, ConnectionFailedError, RateLimitError, ServerError)
_WORDS = re.compile(r"\s*\S+\s*\Z|\s*\S+")


def thinking(text: str) -> StreamChunk:
    """Give a chunk of the model's reasoning."""
    return StreamChunk("thinking", text)


def tool_call(name: str, /, **arguments: Any) -> ToolCall:
    """Give a call of the tool *name*; it gets an id of its own when it is answered."""
    return ToolCall("", name, arguments)


def wait(seconds: float) -> Wait:
    """Give a pause, before an answer or between its pieces; the call's deadline is kept."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("wait(seconds) takes a number that is not negative")
    return Wait(seconds)


def pieces_of(answer: Any) -> list[Piece]:
    """Check one answer of a script, and give its pieces. Raises ConfigurationError for anything else."""
    if isinstance(answer, Mapping):
        return [json.dumps(answer, ensure_ascii=False)]
    several = isinstance(answer, Sequence) and not isinstance(answer, str)
    pieces: list[Any] = list(cast("Sequence[Any]", answer)) if several else [answer]
    for piece in pieces:
        if not isinstance(piece, Piece.__args__[:-1]) and not _is_error_class(piece):
            raise ConfigurationError(f"an answer is made of {_PIECES}, not of {type(piece).__name__}")
    return pieces


def _is_error_class(piece: Any) -> bool:
    return isinstance(piece, type) and issubclass(piece, AbstractCoreError)


def steps(
    pieces: Sequence[Piece], request: GenerateRequest, number: int
) -> Iterator[StreamChunk | Wait | AbstractCoreError]:
    """Give the chunks of one answer, its pauses and its error; `done` is added where the script has none.

    One text alone is streamed word by word; in a list each text is a chunk. *number* is which request
    this is, from 1, for the ids of its tool calls.
    """
    calls = 0
    usage: Usage | None = None
    words = request.stream and len(pieces) == 1
    for piece in pieces:
        if isinstance(piece, str):
            for text in (_WORDS.findall(piece) if words else [piece]) or [piece]:
                yield StreamChunk("generating", text)
        elif isinstance(piece, ToolCall):
            calls += 1
            call = piece if piece.id else replace(piece, id=f"call_{number}_{calls}")
            yield StreamChunk("tool_calling", tool_call=call)
        elif isinstance(piece, Usage):
            usage = piece
        elif isinstance(piece, StreamChunk) and piece.phase == "done":
            yield _done(piece, request, usage, calls)
            return
        elif isinstance(piece, StreamChunk):
            calls += piece.phase == "tool_calling"
            yield piece
        else:
            yield _failure(piece) if isinstance(piece, type) else piece
    yield _done(StreamChunk("done"), request, usage, calls)


def _failure(kind: type[AbstractCoreError]) -> AbstractCoreError:
    retryable = issubclass(kind, _RETRIED) and not issubclass(kind, QuotaExceededError)
    return kind(f"scripted {kind.__name__}", retryable=retryable)


def _done(chunk: StreamChunk, request: GenerateRequest, usage: Usage | None, calls: int) -> StreamChunk:
    metadata = {"model": request.model, **(chunk.metadata or {})}
    reason = chunk.finish_reason or ("tool_calls" if calls else "stop")
    return replace(chunk, usage=chunk.usage or usage, finish_reason=reason, metadata=metadata)
