"""Anthropic's Message Batches: one body of many requests, and one file of results, in any order.

https://platform.claude.com/docs/en/api/messages/batches/create
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.anthropic_events import read_failure
from abstractcore.codecs.batches import (
    BatchFrame,
    BatchLine,
    BatchStatus,
    RawRequest,
    Submission,
    in_path,
    read_batch,
    read_line,
    unanswered,
    unknown,
    unstreamed,
)
from abstractcore.codecs.json_text import as_count, as_object, as_text
from abstractcore.errors import UnsupportedFeatureError
from abstractcore.types import BatchCounts, BatchState

if TYPE_CHECKING:
    from abstractcore.codecs.base import WireRequest

_STATES: dict[str, BatchState] = {
    "in_progress": "in_progress", "canceling": "cancelling", "ended": "completed",
}  # fmt: skip
_UNANSWERED = {"expired": "expired", "canceled": "cancelled"}
_COUNTED = ("processing", "succeeded", "errored", "canceled", "expired")


_FRAME = BatchFrame(100_000, 256_000_000, b'{"requests":[', b",", b"]}")


@dataclass(frozen=True, slots=True)
class AnthropicBatches:
    """The Message Batches codec; *path* is where batches are, below the base URL."""

    path: str = "/messages/batches"
    frame: BatchFrame = _FRAME

    def line(self, custom_id: str, wire: WireRequest) -> dict[str, Any]:
        """Give the entry of one request."""
        return {"custom_id": custom_id, "params": unstreamed(wire.body)}

    def submission(self, body: bytes, wire: WireRequest, metadata: Mapping[str, str] | None) -> Submission:
        """Send all requests at once."""
        if metadata:
            raise UnsupportedFeatureError("metadata=: batches of this service keep none")
        return self.status((yield RawRequest("POST", self.path, body, makes=True)))

    def look(self, batch_id: str) -> RawRequest:
        """Ask where a batch stands."""
        return RawRequest("GET", f"{self.path}/{in_path(batch_id)}")

    def cancel(self, batch_id: str) -> RawRequest:
        """Ask for a batch's end; what is being answered may still be."""
        return RawRequest("POST", f"{self.path}/{in_path(batch_id)}/cancel")

    def status(self, body: Any) -> BatchStatus:
        """Read where a batch stands.

        The results are read below the base URL and not where `results_url` leads: the key goes along.
        """
        batch, state = read_batch(body, "processing_status", _STATES)
        told = as_object(batch.get("request_counts"))
        counts = {name: as_count(told.get(name)) for name in _COUNTED}
        known = [count for count in counts.values() if count is not None]
        paths = (f"{self.path}/{in_path(batch['id'])}/results",) if state == "completed" else ()
        if state == "completed":
            state = _ended(counts)
        return BatchStatus(
            batch["id"],
            state,
            BatchCounts(
                sum(known) if len(known) == len(counts) else None,
                counts["succeeded"],
                counts["errored"],
                counts["canceled"],
                counts["expired"],
            ),
            paths,
            raw=batch,
        )

    def result(self, line: str) -> BatchLine:
        """Read one line of the results."""
        read = read_line(line)
        custom_id, result = read["custom_id"], as_object(read.get("result"))
        kind = as_text(result.get("type"))
        if kind == "succeeded":
            return BatchLine(custom_id, result.get("message"))
        if kind == "errored" and (failure := read_failure(as_object(result.get("error")))):
            return BatchLine(custom_id, error=failure)
        if kind in _UNANSWERED:
            return BatchLine(custom_id, error=unanswered(_UNANSWERED[kind]))
        return unknown(custom_id)


def _ended(counts: Mapping[str, int | None]) -> BatchState:
    return "cancelled" if counts["canceled"] else "expired" if counts["expired"] else "completed"
