"""Scripted replies: a reply is a list of steps that are taken on the client's connection.

Knows HTTP/1.1 framing. Knows nothing of sockets (a step asks the connection) nor of any dialect.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import responses
from typing import Any, Literal, Protocol, TypeGuard

from .requests import Recorded

Ending = Literal["chunked-end", "hang", "close", "reset"]
Begins = Literal["accept", "head", "body"]
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class Connection(Protocol):
    """What a step may do to the client's connection."""

    announces_close: bool

    async def send(self, data: bytes) -> None: ...
    async def hang(self) -> None: ...
    async def held(self, event: threading.Event) -> None: ...
    async def discard_body(self) -> None: ...
    def close(self) -> None: ...
    async def reset(self) -> None: ...


class Step(Protocol):
    """One thing done on a connection."""

    async def run(self, connection: Connection) -> None: ...


@dataclass(frozen=True)
class Send:
    """Write these bytes as they are."""

    data: bytes

    @property
    def wire(self) -> bytes:
        return self.data

    async def run(self, connection: Connection) -> None:
        await connection.send(self.wire)


@dataclass(frozen=True)
class Chunk(Send):
    """Write these bytes as one chunk of a chunked body."""

    @property
    def wire(self) -> bytes:
        return b"%x\r\n%b\r\n" % (len(self.data), self.data) if self.data else b""


@dataclass(frozen=True)
class LastChunk(Send):
    """End a chunked body."""

    data: bytes = b"0\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """Write the status line and the headers."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def wire(self) -> bytes:
        return self._wire(self.headers)

    def _wire(self, headers: Iterable[tuple[str, str]]) -> bytes:
        phrase = responses.get(self.status, "Unheard Of")
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def run(self, connection: Connection) -> None:
        closing = (("Connection", "close"),) if connection.announces_close else ()
        await connection.send(self._wire(self.headers + closing))

    def with_headers(self, **changed: str) -> Head:
        """Replace headers, or add them; write content_length for Content-Length."""
        names = {name.replace("_", "-"): value for name, value in changed.items()}
        kept = [field for field in self.headers if field[0].lower() not in names]
        return replace(self, headers=(*kept, *names.items()))


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float

    async def run(self, connection: Connection) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class WaitFor:
    """Wait until the test sets *event*."""

    event: threading.Event

    async def run(self, connection: Connection) -> None:
        await connection.held(self.event)


@dataclass(frozen=True)
class SetEvent:
    """Tell the test that the reply has come so far."""

    event: threading.Event

    async def run(self, connection: Connection) -> None:
        self.event.set()


@dataclass(frozen=True)
class Hang:
    """Wait until the client leaves or the server is closed."""

    async def run(self, connection: Connection) -> None:
        await connection.hang()


@dataclass(frozen=True)
class Close:
    """Close with a FIN (the system sends a RST instead if bytes of the client were left unread)."""

    async def run(self, connection: Connection) -> None:
        connection.close()


@dataclass(frozen=True)
class Reset:
    """Close with a RST, once what was sent before is with the client's system."""

    async def run(self, connection: Connection) -> None:
        await connection.reset()


@dataclass(frozen=True)
class ReadBody:
    """Read and drop the body of a request that was answered before its body was read."""

    async def run(self, connection: Connection) -> None:
        await connection.discard_body()


@dataclass(frozen=True)
class Repeat:
    """Take the same steps until the client leaves."""

    steps: tuple[Step, ...]

    async def run(self, connection: Connection) -> None:
        while True:
            for step in self.steps:
                await step.run(connection)


ENDINGS: dict[Ending, Step] = {
    "chunked-end": LastChunk(), "hang": Hang(), "close": Close(), "reset": Reset(),
}  # fmt: skip

Script = Callable[[Recorded | None], Sequence[Step]]


@dataclass(frozen=True)
class Reply:
    """A script, and how it stands to the request and the connection.

    *script* gets the request, so that one reply may answer a streamed and a whole request alike.
    *begins* "accept" plays it as soon as the connection is there (before TLS, with no request read),
    "head" once the request's headers are in, with its body left unread.
    """

    script: Script
    begins: Begins = "body"
    keep_alive: bool = True
    #: On a connection that already carried a request: leave ("close", "reset"), and stay in the queue.
    if_reused: Literal["close", "reset"] | None = None

    def steps(self, request: Recorded | None) -> Sequence[Step]:
        return self.script(request)

    def changed(self, change: Callable[[Sequence[Step]], Sequence[Step]]) -> Reply:
        """The same reply with its steps passed through *change*."""
        script = self.script
        return replace(self, script=lambda request: change(script(request)))

    def after(self, *first: Step) -> Reply:
        """Take *first* before everything else."""
        return self.changed(lambda steps: [*first, *steps])

    def rewritten(self, change: Callable[[bytes], bytes], *, chunked: bool = False) -> Reply:
        """Write the body's bytes passed through *change*, in one piece; *chunked* whatever it was before."""
        return self.changed(lambda steps: _rewritten(steps, change, chunked))

    def then(self, *last: Step) -> Reply:
        """Take *last* after everything else."""
        return self.changed(lambda steps: [*steps, *last])

    def in_pieces(self, size: int, *, pause: float = 0.0, head: bool = False) -> Reply:
        """Write the body *size* bytes at a time, each a chunk if it is chunked; the head too if asked."""
        return self.changed(lambda steps: list(_pieces(steps, size, pause, head)))

    def cut(self, share: float = 0.5, *, ending: Ending = "close") -> Reply:
        """Write the head and only this *share* of the body's bytes, then end so; 0 leaves the head alone."""
        return self.changed(lambda steps: [*_first_share(steps, share), ENDINGS[ending]])


def _pieces(steps: Sequence[Step], size: int, pause: float, head: bool) -> Iterable[Step]:
    for step in steps:
        if isinstance(step, Head) and head:
            step = Send(step.wire)
        if not isinstance(step, Send) or isinstance(step, LastChunk):
            yield step
            continue
        for start in range(0, len(step.data), size):
            if start or pause:
                yield Pause(pause)
            yield type(step)(step.data[start : start + size])


def _first_share(steps: Sequence[Step], share: float) -> Iterable[Step]:
    left = int(share * sum(len(step.data) for step in steps if _is_body(step)))
    for step in steps:
        if _is_body(step):
            if left <= 0:
                return
            step = type(step)(step.data[:left])
            left -= len(step.data)
        if not isinstance(step, LastChunk):
            yield step


def _rewritten(steps: Sequence[Step], change: Callable[[bytes], bytes], chunked: bool) -> Sequence[Step]:
    data = change(b"".join(step.data for step in steps if _is_body(step)))
    chunked = chunked or any(isinstance(step, Chunk) for step in steps)
    body: list[Step] = [Chunk(data), LastChunk()] if chunked else [Send(data)]
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(data)))
    return [_framed(step, framing) for step in steps if isinstance(step, Head)] + body


def _framed(head: Head, framing: tuple[str, str]) -> Head:
    kept = [
        field for field in head.headers if field[0].lower() not in ("content-length", "transfer-encoding")
    ]
    return replace(head, headers=(*kept, framing))


def _is_body(step: Step) -> TypeGuard[Send]:
    return isinstance(step, Send) and not isinstance(step, LastChunk)


def scripted(*steps: Step, begins: Begins = "body", keep_alive: bool = True) -> Reply:
    """A reply of exactly these steps."""
    return Reply(lambda _: steps, begins=begins, keep_alive=keep_alive)


def whole(
    status: int, body: Any = b"", *, headers: Headers = (), chunked: bool = False, keep_alive: bool = True
) -> Reply:
    """Answer with a whole body: bytes and text as they are, anything else as JSON."""
    data = _body_bytes(body)
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(data)))
    head = Head(status, (*_with_type(headers, "application/json"), framing))
    sent: list[Step] = [Chunk(data), LastChunk()] if chunked else [Send(data)]
    return scripted(head, *sent, keep_alive=keep_alive)


def sse(
    events: Iterable[Any],
    *,
    status: int = 200,
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with an event stream, a chunk an event.

    An event is an object (its JSON becomes the data), a text (the data itself), bytes (written as they
    are, framing included) or a step. *done* adds `data: [DONE]` at the end.
    """
    steps = [event if _is_step(event) else Chunk(sse_event(event)) for event in events]
    if done:
        steps.append(Chunk(sse_event("[DONE]")))
    return _streamed(steps, "text/event-stream", status, headers, ending)


def sse_event(event: Any) -> bytes:
    """One event as bytes; bytes pass through."""
    if isinstance(event, bytes):
        return event
    data = event if isinstance(event, str) else compact_json(event)
    return "".join(f"data: {line}\n" for line in data.split("\n")).encode() + b"\n"


def sse_bytes(events: Iterable[Any], *, done: bool = True) -> bytes:
    """All events in one piece, to be bent by a test and passed on as `sse([data], done=False)`."""
    return b"".join(map(sse_event, [*events, "[DONE]"] if done else events))


def ndjson(
    lines: Iterable[Any], *, status: int = 200, headers: Headers = (), ending: Ending = "chunked-end"
) -> Reply:
    """Answer with JSON lines, a chunk a line; bytes and steps as in `sse`."""
    steps = [line if _is_step(line) else Chunk(_ndjson_line(line)) for line in lines]
    return _streamed(steps, "application/x-ndjson", status, headers, ending)


def raw(data: bytes, *, ending: Ending = "close", begins: Begins = "body") -> Reply:
    """Write *data*, whatever it is, and end so."""
    return scripted(Send(data), ENDINGS[ending], begins=begins)


def compact_json(value: Any) -> str:
    """JSON as servers write it: no spaces, characters unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _streamed(steps: list[Any], kind: str, status: int, headers: Headers, ending: Ending) -> Reply:
    head = Head(status, (*_with_type(headers, kind), ("Transfer-Encoding", "chunked")))
    return scripted(head, *steps, ENDINGS[ending])


def _with_type(headers: Headers, kind: str) -> list[tuple[str, str]]:
    fields = list(headers.items() if isinstance(headers, Mapping) else headers)
    if not any(name.lower() == "content-type" for name, _ in fields):
        fields.insert(0, ("Content-Type", kind))
    return fields


def _body_bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else compact_json(body)).encode()


def _ndjson_line(line: Any) -> bytes:
    return line if isinstance(line, bytes) else compact_json(line).encode() + b"\n"


def _is_step(value: Any) -> bool:
    return hasattr(value, "run")
