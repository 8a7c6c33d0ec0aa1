"""Bytes into events, incrementally: server-sent events and newline-delimited JSON.

Knows lines, UTF-8 and the event-stream format. Knows nothing of JSON, vendors or sockets.
Bytes may be cut anywhere: inside a character, between CR and LF, inside a field's name.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from abstractcore.errors import AbstractCoreError, IncompleteStreamError, ResponseError

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class _Lines:
    """Cuts bytes into lines at LF, CRLF or CR alone; holds the line that has no end yet, in pieces."""

    __slots__ = ("_after_cr", "_at_start", "_pieces", "held_bytes")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._after_cr = False
        self._at_start = True
        self.held_bytes = 0

    @property
    def is_between(self) -> bool:
        """Whether the last byte read was the end of a line, and nothing hangs on the next one."""
        return not (self._pieces or self._after_cr or self._at_start)

    def feed(self, data: bytes) -> list[bytes]:
        """Give the lines that *data* completes, without their ends."""
        if not data:
            return []
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        # Of bytes, splitlines cuts at CR and LF only; of str, it would also cut at U+2028 and others.
        lines = data.splitlines()
        if not lines:
            return []
        rest = b"" if data.endswith((b"\n", b"\r")) else lines.pop()
        if lines:
            lines = self._complete(lines)
        if rest:
            self._pieces.append(rest)
            self.held_bytes += len(rest)
        return lines

    def _complete(self, lines: list[bytes]) -> list[bytes]:
        if self._pieces:
            lines[0] = b"".join([*self._pieces, lines[0]])
            self._pieces = []
            self.held_bytes = 0
        if self._at_start:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def end(self) -> list[bytes]:
        """Give the last line, whose end never came."""
        return self._complete([b""]) if self._pieces else []


def is_event_stream(head: bytes) -> bool | None:
    """Whether a body that begins so is a stream of events: no JSON, and no web page.

    None when *head* is too short to tell.
    """
    if len(head) < len(b"null") and b"null".startswith(head):
        return None
    return not head.startswith((b"{", b"[", b"<", b'"', b"null"))


class SSEDecoder:
    """Reads server-sent events, and gives the data of each complete one.

    Comments, `event`, `id`, `retry` and unknown fields are dropped: every vendor repeats the
    event's name in its data. What is wrong with the bytes is raised by the call that meets it,
    or, when that call has events to give first, stands in *failure* and is raised by the next.
    """

    __slots__ = ("_data", "_is_idle", "_lines", "_max_event_bytes", "_size", "failure")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.failure: AbstractCoreError | None = None
        self._max_event_bytes = max_event_bytes
        self._lines = _Lines()
        self._data: list[bytes] = []
        self._size = 0
        self._is_idle = False

    def feed(self, data: bytes) -> list[str]:
        """Give the data of the events that *data* completes."""
        # What most servers send most of the time: one event of one line, alone in its read.
        if self._is_idle and data.startswith(b"data: ") and data.endswith(b"\n\n"):
            last = len(data) - 2
            if data.find(b"\n") == last and b"\r" not in data and last < self._max_event_bytes:
                try:
                    return [data[6:last].decode()]
                except UnicodeDecodeError:
                    return self._failed([], _bad_data())
        if self.failure:
            raise self.failure
        events = self._read(self._lines.feed(data))
        self._is_idle = not self._data and self._lines.is_between and not self.failure
        return events

    def end(self) -> list[str]:
        """Give the last event, whose blank line or last line end never came."""
        if self.failure:
            raise self.failure
        return self._read([*self._lines.end(), b""])

    def _read(self, lines: list[bytes]) -> list[str]:
        events: list[str] = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                data, self._data, size, self._size = self._data, [], self._size, 0
                if size > self._max_event_bytes:
                    return self._failed(events, _too_big(self._max_event_bytes))
                self._given(events, data[0] if len(data) == 1 else b"\n".join(data))
                if self.failure:
                    return events
        if self._size + self._lines.held_bytes > self._max_event_bytes:
            return self._failed(events, _too_big(self._max_event_bytes))
        return events

    def _field(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        else:
            return
        self._size += len(line)

    def _given(self, events: list[str], data: bytes) -> list[str]:
        try:
            events.append(data.decode())
        except UnicodeDecodeError:
            return self._failed(events, _bad_data())
        return events

    def _failed(self, events: list[str], failure: AbstractCoreError) -> list[str]:
        self.failure = failure
        self._is_idle = False
        if not events:
            raise failure
        return events


class NDJSONDecoder:
    """Reads newline-delimited JSON, and gives the text of each line that is not blank.

    Failures are raised as `SSEDecoder` raises them.
    """

    __slots__ = ("_lines", "_max_event_bytes", "failure")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.failure: AbstractCoreError | None = None
        self._max_event_bytes = max_event_bytes
        self._lines = _Lines()

    def feed(self, data: bytes) -> list[str]:
        """Give the lines that *data* completes."""
        if self.failure:
            raise self.failure
        return self._read(self._lines.feed(data))

    def end(self) -> list[str]:
        """Give the last line, whose end never came."""
        if self.failure:
            raise self.failure
        return self._read(self._lines.end())

    def _read(self, lines: list[bytes]) -> list[str]:
        events: list[str] = []
        for line in lines:
            if not line.strip():
                continue
            if len(line) > self._max_event_bytes:
                return self._failed(events, _too_big(self._max_event_bytes))
            try:
                events.append(line.decode())
            except UnicodeDecodeError:
                return self._failed(events, _bad_data())
        if self._lines.held_bytes > self._max_event_bytes:
            return self._failed(events, _too_big(self._max_event_bytes))
        return events

    def _failed(self, events: list[str], failure: AbstractCoreError) -> list[str]:
        self.failure = failure
        if not events:
            raise failure
        return events


def _bad_data() -> IncompleteStreamError:
    return IncompleteStreamError("bad data in the stream: an event is not UTF-8", phase="body")


def _too_big(limit: int) -> ResponseError:
    return ResponseError(f"an event of the stream is larger than {limit:,} bytes")
