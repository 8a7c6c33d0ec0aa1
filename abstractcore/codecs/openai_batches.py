"""OpenAI's Batch API: a file of requests that is uploaded, a batch made of it, and files of results.

The bodies in it belong to the wire, Chat Completions or Responses.
https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.batches import (
    OVER,
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
from abstractcore.codecs.http_errors import error_in_body, read_error
from abstractcore.codecs.json_text import as_array, as_count, as_object, as_text
from abstractcore.errors import AbstractCoreError, ResponseError
from abstractcore.types import BatchCounts, BatchState

if TYPE_CHECKING:
    from abstractcore.codecs.base import WireRequest

# The lines are JSON, whose text holds no bare CR: this can stand in none of them.
_BOUNDARY = "abstractcore-batch-file"
_STATES: dict[str, BatchState] = {
    "validating": "validating", "in_progress": "in_progress", "finalizing": "finalizing",
    "completed": "completed", "failed": "failed", "expired": "expired",
    "cancelling": "cancelling", "cancelled": "cancelled",
}  # fmt: skip
_UNANSWERED = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
_PROBLEMS_TOLD = 3


def _form(purpose: str) -> bytes:
    """Give what stands before the file in a form; what it is for is its first field."""
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}',
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"',
        "Content-Type: application/jsonl\r\n\r\n",
    )
    return "\r\n".join(parts).encode()


_FRAME = BatchFrame(50_000, 200_000_000, _form("batch"), b"\n", f"\r\n--{_BOUNDARY}--\r\n".encode())


@dataclass(frozen=True, slots=True)
class OpenAIBatches:
    """The Batch codec; *version* stands before the wire's path in the name of a batch's endpoint."""

    version: str = "/v1"
    frame: BatchFrame = _FRAME

    def line(self, custom_id: str, wire: WireRequest) -> dict[str, Any]:
        """Give the line of one request."""
        url = self.version + wire.path
        return {"custom_id": custom_id, "method": "POST", "url": url, "body": unstreamed(wire.body)}

    def submission(self, body: bytes, wire: WireRequest, metadata: Mapping[str, str] | None) -> Submission:
        """Upload the file, and make a batch of it."""
        form = f"multipart/form-data; boundary={_BOUNDARY}"
        file_id = as_text(as_object((yield RawRequest("POST", "/files", body, form))).get("id"))
        if file_id is None:
            raise ResponseError("the answer to an upload names no file")
        asked: dict[str, Any] = {
            "input_file_id": file_id, "endpoint": self.version + wire.path, "completion_window": "24h",
        }  # fmt: skip
        if metadata:
            asked["metadata"] = dict(metadata)
        return self.status((yield RawRequest("POST", "/batches", json.dumps(asked).encode(), makes=True)))

    def look(self, batch_id: str) -> RawRequest:
        """Ask where a batch stands."""
        return RawRequest("GET", f"/batches/{in_path(batch_id)}")

    def cancel(self, batch_id: str) -> RawRequest:
        """Ask for a batch's end; it takes up to ten minutes, and keeps what has been answered."""
        return RawRequest("POST", f"/batches/{in_path(batch_id)}/cancel")

    def status(self, body: Any) -> BatchStatus:
        """Read where a batch stands."""
        batch, state = read_batch(body, "status", _STATES)
        counted = as_object(batch.get("request_counts"))
        files = [as_text(batch.get(name)) for name in ("error_file_id", "output_file_id")]
        return BatchStatus(
            batch["id"],
            state,
            BatchCounts(
                as_count(counted.get("total")),
                as_count(counted.get("completed")),
                as_count(counted.get("failed")),
            ),
            tuple(f"/files/{in_path(file)}/content" for file in files if file) if state in OVER else (),
            _problem(batch),
            {name: value for name, value in as_object(batch.get("metadata")).items() if as_text(value)},
            batch,
        )

    def result(self, line: str) -> BatchLine:
        """Read one line of the output file or of the error file."""
        read = read_line(line)
        custom_id, response = read["custom_id"], as_object(read.get("response"))
        request_id = as_text(response.get("request_id"))
        status = response.get("status_code")
        if error := as_object(read.get("error")):
            return BatchLine(custom_id, error=_failure(error, request_id))
        if not isinstance(status, int):
            return unknown(custom_id)
        body = response.get("body")
        if 200 <= status < 300:
            return BatchLine(custom_id, body, request_id)
        failure = read_error(status, {}, json.dumps(body).encode(), now=0.0)
        failure.request_id = request_id or failure.request_id
        return BatchLine(custom_id, error=failure)


def _failure(error: dict[str, Any], request_id: str | None) -> AbstractCoreError:
    if state := _UNANSWERED.get(str(error.get("code"))):
        return unanswered(state)
    return error_in_body(error, request_id=request_id)


def _problem(batch: dict[str, Any]) -> str | None:
    """Say what is wrong with a batch as a whole: mostly, with lines of its file."""
    told = [as_object(each) for each in as_array(as_object(batch.get("errors")).get("data"))]
    words = [_with_line(each) for each in told[:_PROBLEMS_TOLD]]
    if more := len(told) - len(words):
        words.append(f"and {more} more")
    return "; ".join(words) or None


def _with_line(error: dict[str, Any]) -> str:
    said = as_text(error.get("message")) or as_text(error.get("code")) or "no reason given"
    line = as_count(error.get("line"))
    return said if line is None else f"line {line}: {said}"
