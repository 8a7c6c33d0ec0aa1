"""What a batch API is to the rooms above: bodies of many requests, where a batch stands, and its results.

A vendor's own batch API answers within hours, at a lower price. Its codec is pure, as those of the
wires are: it writes requests and reads answers, and whoever holds it sends them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from abstractcore.codecs.json_text import as_text, clean, is_object, parse
from abstractcore.errors import AbstractCoreError, APIError, BatchError, ResponseError
from abstractcore.types import BatchCounts, BatchState

if TYPE_CHECKING:
    from abstractcore.codecs.base import WireRequest

OVER: frozenset[BatchState] = frozenset(("completed", "failed", "expired", "cancelled"))
_WHY_NOT = {
    "expired": "the batch's time ran out before this request was answered",
    "cancelled": "the batch was cancelled before this request was answered",
}


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request whose body is not one answer's question: *path* stands below the base URL."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    makes: bool = False
    """Whether it makes a batch, so that sending it twice may make, and cost, two."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Where a batch stands. *result_paths* are where its results are read, the short ones first."""

    id: str
    state: BatchState
    counts: BatchCounts
    result_paths: tuple[str, ...] = ()
    problem: str | None = None
    """What the vendor says of a batch that failed as a whole."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: Any = None


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One result: the *body* that the wire's own codec reads, or the *error*."""

    custom_id: str
    body: Any = None
    request_id: str | None = None
    error: AbstractCoreError | None = None


Submission = Generator[RawRequest, Any, BatchStatus]
"""The requests that make a batch, one after the other: each is answered by `send`ing the answer's JSON."""


@dataclass(frozen=True, slots=True)
class BatchFrame:
    """How the body of a batch is put together, its lines between *separator*s, and how large it may be."""

    max_requests: int
    max_bytes: int
    head: bytes
    separator: bytes
    tail: bytes


class BatchCodec(Protocol):
    """One vendor's batch API."""

    @property
    def frame(self) -> BatchFrame:
        """What stands round the lines, and how many there may be."""
        ...

    def line(self, custom_id: str, wire: WireRequest) -> dict[str, Any]:
        """Give the JSON object of one request; *wire* is what its wire's own codec wrote."""
        ...

    def submission(self, body: bytes, wire: WireRequest, metadata: Mapping[str, str] | None) -> Submission:
        """Make a batch of *body*; *wire* is one of its requests."""
        ...

    def look(self, batch_id: str) -> RawRequest:
        """Ask where a batch stands."""
        ...

    def cancel(self, batch_id: str) -> RawRequest:
        """Ask for a batch's end."""
        ...

    def status(self, body: Any) -> BatchStatus:
        """Read where a batch stands. Raises ResponseError for a wrong shape."""
        ...

    def result(self, line: str) -> BatchLine:
        """Read one line of the results. Raises ResponseError for a wrong shape."""
        ...


def unstreamed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a request's body without the wish for a stream: a batch has none."""
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")}


def read_line(line: str) -> dict[str, Any]:
    """Give the JSON object of a line of results, which names its request. Raises ResponseError."""
    try:
        read = parse(line)
    except (ValueError, RecursionError):
        read = None
    if not is_object(read) or not isinstance(read.get("custom_id"), str):
        raise ResponseError("a line of the batch's results is not a JSON object with a custom_id")
    return read


def read_batch(body: Any, kind: str, states: Mapping[str, BatchState]) -> tuple[dict[str, Any], BatchState]:
    """Give the JSON object of a batch and its state, which stands under *kind*. Raises ResponseError."""
    try:
        body = clean(body)
    except RecursionError:
        raise ResponseError("the answer is JSON that is nested too deeply") from None
    if not is_object(body) or not as_text(body.get("id")) or not isinstance(body.get(kind), str):
        raise ResponseError("the answer is not a batch: it has no id or no status")
    # A state that is not known yet is one on the way: only the known ones end the waiting.
    return body, states.get(body[kind], "in_progress")


def in_path(name: str) -> str:
    """Give a vendor's name of something as one step of a path."""
    return quote(name, safe="")


def unanswered(state: str) -> APIError:
    """Give the error of a request that the vendor left without an answer."""
    why = _WHY_NOT.get(state, "the batch ended without a result for this request")
    code = state if state in _WHY_NOT else "missing"
    return BatchError(why, code=code, retryable=True)


def unknown(custom_id: str) -> BatchLine:
    """Give the result of a line that names its request and says nothing that is known."""
    told = "the line of the batch's results is neither an answer nor an error that is known"
    return BatchLine(custom_id, error=ResponseError(told))
