"""How Bedrock frames a stream: each event of the wire in a message of AWS's event stream.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .replies import Chunk, Head, LastChunk, Reply, Step, compact_json
from .requests import Recorded

_TEXT = 7


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths, headers and payload, with their checksums."""
    packed = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack("!I", zlib.crc32(body))


def _header(name: str, value: str) -> bytes:
    return (
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value.encode()
    )


def event(data: bytes) -> bytes:
    """An event of the model's."""
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return message(headers, compact_json({"bytes": base64.b64encode(data).decode()}).encode())


def exception(kind: str, text: str) -> bytes:
    """A failure in mid-stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, compact_json({"message": text}).encode())


def framed(reply: Reply) -> Reply:
    """The same reply, its stream framed as Bedrock does: the URL asks for one, and not the body."""

    def script(request: Recorded | None) -> Sequence[Step]:
        if request is None or not request.path.endswith("/invoke-with-response-stream"):
            return reply.steps(request)
        asked = compact_json({**request.json, "stream": True}).encode()
        return list(_framed(reply.steps(replace(request, body=asked))))

    return replace(reply, script=script)


def _framed(steps: Iterable[Step]) -> Iterable[Step]:
    for step in steps:
        if isinstance(step, Head) and ("Content-Type", "text/event-stream") in step.headers:
            yield step.with_headers(content_type="application/vnd.amazon.eventstream")
        elif (
            isinstance(step, Chunk)
            and not isinstance(step, LastChunk)
            and step.data.startswith((b"event:", b"data:"))
        ):
            yield Chunk(event(step.data.partition(b"data: ")[2].strip()))
        else:
            yield step
