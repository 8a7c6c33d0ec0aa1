"""Sends an answer over ASGI: its head with the request's id, and its body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from abstractcore.serve.dialects.base import Refusal, Refuse, in_bytes, json_text

if TYPE_CHECKING:
    from starlette.types import Send

_JSON = (b"content-type", b"application/json")
_EVENTS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
)
_MOST_WARNINGS = 2_000
_LONGEST_WAIT = 365 * 24 * 3_600
Header = tuple[bytes, bytes]


class Reply:
    """One answer on its way: *status* is None until its head was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._beginning = asyncio.Lock()
        self._sent_at = time.monotonic()
        self.request_id = request_id
        self.status: int | None = None

    def quiet(self) -> float:
        """Tell for how many seconds nothing was sent."""
        return time.monotonic() - self._sent_at

    async def json(self, body: Mapping[str, Any], status: int = 200, headers: Iterable[Header] = ()) -> None:
        """Send a whole answer."""
        data = in_bytes(json_text(body))
        length = (b"content-length", str(len(data)).encode())
        await self._begin(status, [_JSON, length, *headers])
        await self._send({"type": "http.response.body", "body": data})

    async def events(self, headers: Iterable[Header] = ()) -> None:
        """Begin a streamed answer, if nobody has yet."""
        async with self._beginning:
            if self.status is None:
                await self._begin(200, [*_EVENTS, *headers])

    async def write(self, data: bytes) -> None:
        """Send a piece of it; this waits while the client takes in less than the model gives."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._sent_at = time.monotonic()

    async def end(self, data: bytes) -> None:
        """Send the last piece."""
        await self._send({"type": "http.response.body", "body": data})

    async def refuse(self, write: Refuse, refusal: Refusal) -> None:
        """Send a failure, in the shape that *write* gives it."""
        headers: list[Header] = []
        if refusal.retry_after is not None:
            seconds = ceil(min(max(0, refusal.retry_after), _LONGEST_WAIT))  # a provider may say infinity
            headers.append((b"retry-after", str(seconds).encode()))
        if refusal.retry is not None:
            headers.append((b"x-should-retry", b"true" if refusal.retry else b"false"))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self.json(write(refusal, self.request_id), refusal.status, headers)

    async def _begin(self, status: int, headers: list[Header]) -> None:
        # The vendors' clients read the one or the other.
        request_id = self.request_id.encode()
        ids = [(b"x-request-id", request_id), (b"request-id", request_id)]
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *ids]})
        self.status = status


def warnings_header(warnings: Iterable[str]) -> list[Header]:
    """Give the header that tells what was left out; none when nothing was."""
    text = "; ".join(warnings).encode("ascii", "replace")[:_MOST_WARNINGS]
    told = bytes(byte if 32 <= byte < 127 else 32 for byte in text)
    return [(b"x-abstractcore-warnings", told)] if told else []
