"""A stream whose bytes are passed through a change, whatever its wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tests.fakes.replies import Chunk, LastChunk, Reply, Step

#: The bytes of a stream as the pieces that are written one after the other.
Change = Callable[[bytes], Sequence[bytes]]


def bent(reply: Reply, change: Change, *last: Step) -> Reply:
    """The same stream with its bytes passed through *change*, a write for each piece; *last* ends it."""

    def rewrite(steps: Sequence[Step]) -> Sequence[Step]:
        data = b"".join(step.data for step in steps if isinstance(step, Chunk))
        head = [step for step in steps if not isinstance(step, Chunk | LastChunk)]
        return [*head, *(Chunk(piece) for piece in change(data)), *(last or [LastChunk()])]

    return reply.changed(rewrite)


def one_write(data: bytes) -> Sequence[bytes]:
    return [data]


def writes_of(size: int) -> Change:
    return lambda data: [data[at : at + size] for at in range(0, len(data), size)]


def events_of(data: bytes) -> list[bytes]:
    """Server-sent events one by one, or the lines of JSON."""
    mark = b"\n\n" if b"\n\n" in data else b"\n"
    return [event + mark for event in data.split(mark) if event]


def with_between(extra: bytes) -> Change:
    """Write *extra* before every event."""
    return lambda data: [b"".join(extra + event for event in events_of(data))]


def over_many_lines(data: bytes) -> Sequence[bytes]:
    """Write each event's JSON over several lines of data."""

    def pretty(line: bytes) -> bytes:
        if not line.startswith(b"data: {"):
            return line
        # JSON escapes the text's own line feeds: each line of the pretty form is a line of data.
        told = json.dumps(json.loads(line.removeprefix(b"data: ")), ensure_ascii=False, indent=2)
        return b"\n".join(b"data: " + part.encode() for part in told.split("\n"))

    return [b"\n".join(map(pretty, data.split(b"\n")))]
