"""The batch codecs read whatever comes, or say that they cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.codecs.anthropic_batches import AnthropicBatches
from abstractcore.codecs.base import WireRequest
from abstractcore.codecs.batches import OVER, BatchCodec
from abstractcore.codecs.openai_batches import OpenAIBatches
from abstractcore.errors import AbstractCoreError, ResponseError

CODECS: dict[str, BatchCodec] = {"openai": OpenAIBatches(), "anthropic": AnthropicBatches()}
NAMES = (
    "id", "status", "processing_status", "request_counts", "total", "completed", "failed", "succeeded",
    "errored", "canceled", "expired", "processing", "errors", "data", "message", "line", "code", "metadata",
    "output_file_id", "error_file_id", "custom_id", "response", "status_code", "request_id", "body", "error",
    "result", "type",
)  # fmt: skip
WORDS = st.sampled_from(
    (
        "completed",
        "ended",
        "failed",
        "cancelled",
        "in_progress",
        "succeeded",
        "errored",
        "expired",
        "error",
        "",
        "x",
    )
)
TEXT = st.text(st.characters(), max_size=5)  # halves of surrogate pairs among them
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 600) | st.floats(allow_nan=False) | WORDS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=10)


@pytest.mark.parametrize("vendor", CODECS)
@given(body=OBJECTS | JSON)
def test_any_batch_is_read_or_refused(vendor: str, body: Any) -> None:
    try:
        status = CODECS[vendor].status(body)
    except ResponseError:
        return
    assert status.id
    assert status.result_paths == () or status.state in OVER
    counts = (status.counts.total, status.counts.succeeded, status.counts.failed)
    assert all(count is None or count >= 0 for count in counts)
    assert all(isinstance(value, str) for value in status.metadata.values())


@pytest.mark.parametrize("vendor", CODECS)
@given(line=OBJECTS.map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=30))
def test_any_line_is_read_or_refused(vendor: str, line: str) -> None:
    try:
        read = CODECS[vendor].result(line)
    except ResponseError:
        return
    assert isinstance(read.custom_id, str)
    assert read.error is None or isinstance(read.error, AbstractCoreError)


@pytest.mark.parametrize("vendor", CODECS)
@pytest.mark.parametrize("kind", [["expired"], {"a": 1}, None, 5, "\ud800"])
def test_a_kind_that_is_not_known_is_an_error_of_its_line(vendor: str, kind: Any) -> None:
    codec = CODECS[vendor]
    read = codec.result(json.dumps({"custom_id": "prompt-0", "result": {"type": kind}, "response": kind}))
    assert read.custom_id == "prompt-0"
    assert isinstance(read.error, ResponseError)
    status = codec.status({"id": "\ud800", "status": "completed", "processing_status": "ended"})
    assert all(path.isascii() for path in (codec.look(status.id).path, *status.result_paths))


@pytest.mark.parametrize("vendor", CODECS)
def test_what_is_nested_too_deeply_is_refused(vendor: str) -> None:
    with pytest.raises(ResponseError):
        CODECS[vendor].result('{"custom_id": "a", "result": ' + "[" * 100_000)


@pytest.mark.parametrize("vendor", CODECS)
def test_the_parts_of_a_body_fit_together(vendor: str) -> None:
    """The bytes of a whole body, as they are sent."""
    codec, wire = CODECS[vendor], WireRequest("/chat/completions", {"model": "m", "stream": True})
    lines = [json.dumps(codec.line(f"prompt-{number}", wire)).encode() for number in range(2)]
    body = codec.frame.head + codec.frame.separator.join(lines) + codec.frame.tail

    if vendor == "anthropic":
        assert json.loads(body) == {
            "requests": [{"custom_id": f"prompt-{n}", "params": {"model": "m"}} for n in range(2)]
        }
        return
    request = next(codec.submission(body, wire, None))
    boundary = request.content_type.partition("boundary=")[2].encode()
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    content = body.split(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    assert [json.loads(line)["custom_id"] for line in content.splitlines()] == ["prompt-0", "prompt-1"]
