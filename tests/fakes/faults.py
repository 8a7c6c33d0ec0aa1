"""Replies that go wrong, by name."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from .replies import (
    Begins,
    Chunk,
    Close,
    Hang,
    Head,
    LastChunk,
    Pause,
    ReadBody,
    Repeat,
    Reply,
    Reset,
    Send,
    Step,
    scripted,
    whole,
)  # fmt: skip

GzipFault = Literal["garbage", "truncated"]
_SSE_HEAD = Head(200, (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")))


def hangs(*, begins: Begins = "body") -> Reply:
    """Never answer. With "accept" on a TLS server, never shake hands; with "head", never read the body."""
    return scripted(Hang(), begins=begins)


def closes(*, begins: Begins = "body") -> Reply:
    """Close before the headers; with "accept", before a request is read."""
    return scripted(Close(), begins=begins)


def resets(*, begins: Begins = "body") -> Reply:
    """Reset before the headers; with "accept", before a request is read."""
    return scripted(Reset(), begins=begins)


def stale_keep_alive(reply: Reply, *, ending: Literal["close", "reset"] = "close") -> Reply:
    """Leave a reused connection without a word; answer with *reply* on a new one."""
    return replace(reply, if_reused=ending)


def idle_close(reply: Reply) -> Reply:
    """Answer, announce keep-alive, and close all the same."""
    return reply.then(Close())


def before_body(reply: Reply, *, then: Literal["read", "close", "hang"] = "read") -> Reply:
    """Answer once the request's headers are in, its body unread.

    Then read the body and close ("read": the answer is readable), close at once ("close": the system
    resets the connection, the answer may be lost) or go on reading nothing ("hang").
    """
    rest: dict[str, tuple[Step, ...]] = {
        "read": (ReadBody(), Close()),
        "close": (Close(),),
        "hang": (Hang(),),
    }
    return replace(reply.then(*rest[then]), begins="head")


def never_reads_body(seconds: float) -> Reply:
    """Leave the request's body unread for so long, then read it and never answer.

    While nothing is read the client's leaving cannot be seen; it is counted when reading goes on.
    """
    return scripted(Pause(seconds), ReadBody(), Hang(), begins="head")


def redirect(location: str, *, status: int = 302) -> Reply:
    """Send the client elsewhere."""
    return whole(status, b"", headers={"Location": location})


def html(status: int = 200, *, content_type: str = "text/html") -> Reply:
    """Answer with a page, as a captive portal or a gateway does."""
    page = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"
    return whole(status, page, headers={"Content-Type": content_type})


def not_http() -> Reply:
    """Speak another protocol."""
    return scripted(Send(b"220 mail.example ESMTP ready\r\n"), Close())


def huge_header(size: int = 200_000) -> Reply:
    """Answer well, but for one header of *size* bytes."""
    return whole(200, {}, headers={"X-Huge": "a" * size})


def endless_headers(*, pause: float = 0.01) -> Reply:
    """Write header after header, a KB each."""
    line = b"X-More: " + b"a" * 1014 + b"\r\n"
    return scripted(Send(b"HTTP/1.1 200 OK\r\n"), Repeat((Send(line), Pause(pause))))


def endless_interim(*, pause: float = 0.01) -> Reply:
    """Write one 103 Early Hints after the other and never an answer."""
    return scripted(Repeat((Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Pause(pause))))


def endless_body(*, size: int = 65_536, pause: float = 0.01, status: int = 200) -> Reply:
    """Write a JSON text that never ends, *size* bytes each *pause* seconds."""
    head = Head(status, (("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")))
    return scripted(head, Chunk(b'{"text":"'), Repeat((Chunk(b"a" * size), Pause(pause))))


def endless_stream(event: bytes, *, pause: float = 0.01) -> Reply:
    """Write the same event over and over."""
    return scripted(_SSE_HEAD, Repeat((Chunk(event), Pause(pause))))


def comments_only(*, pause: float = 0.01) -> Reply:
    """Keep a stream alive with comments and send nothing else."""
    return endless_stream(b": keep-alive\n\n", pause=pause)


def drips(reply: Reply, *, pause: float = 0.02, head: bool = True) -> Reply:
    """Write *reply* a byte at a time, so long apart (slow-loris)."""
    return reply.in_pieces(1, pause=pause, head=head)


def error_body_hangs(status: int) -> Reply:
    """Begin an error body and never end it."""
    return whole(status, {"error": {"message": "a long story"}}).cut(0.5, ending="hang")


def deep_json(depth: int = 60_000) -> Reply:
    """Answer with arrays in arrays."""
    return whole(200, b"[" * depth + b"]" * depth)


def gzipped(reply: Reply, *, fault: GzipFault | None = None) -> Reply:
    """Compress the body of *reply*, each chunk flushed; or pretend to, or lose half of it."""
    return reply.changed(lambda steps: _gzip_steps(steps, fault))


def gzip_bomb(size: int = 200_000_000) -> Reply:
    """Answer with *size* zero bytes in a thousandth of the room."""
    return whole(200, _compressed_zeros(size), headers={"Content-Encoding": "gzip"})


@functools.cache
def _compressed_zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1_000_000)
    packed = [packer.compress(block[: min(len(block), size - start)]) for start in range(0, size, len(block))]
    return b"".join([*packed, packer.flush()])


def _gzip_steps(steps: Sequence[Step], fault: GzipFault | None) -> Sequence[Step]:
    packed = _pack(steps, fault)
    length = sum(len(step.data) for step in packed if isinstance(step, Send))
    return [_with_encoding(step, length) if isinstance(step, Head) else step for step in packed]


def _pack(steps: Sequence[Step], fault: GzipFault | None) -> list[Step]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    packed: list[Step] = []
    for step in steps:
        if isinstance(step, Send) and not isinstance(step, LastChunk):
            data = packer.compress(step.data) + packer.flush(zlib.Z_SYNC_FLUSH)
            step = type(step)(b"not gzip at all " + step.data if fault == "garbage" else data)
        packed.append(step)
    bodies = [index for index, step in enumerate(packed) if type(step) in (Send, Chunk)]
    if fault == "truncated":
        for index in bodies[len(bodies) // 2 :]:
            packed[index] = _without_half(packed[index])
    elif fault is None and bodies:
        last: Any = packed[bodies[-1]]
        packed[bodies[-1]] = type(last)(last.data + packer.flush())
    return packed


def _without_half(step: Any) -> Step:
    halved: Step = type(step)(step.data[: len(step.data) // 2])
    return halved


def _with_encoding(head: Head, length: int) -> Head:
    encoded = head.with_headers(content_encoding="gzip")
    if any(name.lower() == "content-length" for name, _ in head.headers):
        return encoded.with_headers(content_length=str(length))
    return encoded
