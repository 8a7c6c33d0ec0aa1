"""HTTP/1.1 over one connection, on h11: a request goes out, and its answer comes in.

Knows HTTP/1.1. Knows no stack of connections, no proxy and no compression.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import h11

from abstractcore.drivers.network_errors import RemoteProtocolError
from abstractcore.drivers.targets import RawHeaders, Target, raw_headers

if TYPE_CHECKING:
    from abstractcore.drivers.base import HttpRequest
    from abstractcore.drivers.colours import Colour, Sockets

_HEAD_BYTES = 100 * 1024
_SWITCHING_PROTOCOLS = 101


class Http11:
    """One connection to a server; it serves one request at a time."""

    __slots__ = ("_colour", "_expires", "_idle", "_keepalive", "_sockets", "_stream", "_wire")

    def __init__(self, colour: Colour, sockets: Sockets, keepalive: float) -> None:
        self._colour = colour
        self._sockets = sockets
        self._keepalive = keepalive
        self._wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._stream: Any = None
        self._idle = False
        self._expires = 0.0

    async def handle(self, request: HttpRequest, target: Target) -> tuple[int, RawHeaders]:
        """Send a request and read the head of its answer: the status, and the headers by lower-case names."""
        self._idle = False
        if self._stream is None:
            self._stream = await self._colour.open(self._sockets, target)
        # No local of this frame holds the head, in which the key is: a cancel keeps frames.
        await self._colour.write(self._stream, self._head(request, target))
        if request.body:
            self._wire.send_with_data_passthrough(h11.Data(data=request.body))
            await self._colour.write(self._stream, request.body)
        self._wire.send(h11.EndOfMessage())
        event = await self._next()
        while type(event) is h11.InformationalResponse and event.status_code != _SWITCHING_PROTOCOLS:
            event = await self._next()
        return event.status_code, event.headers

    def _head(self, request: HttpRequest, target: Target) -> bytes:
        headers = raw_headers(request, target)
        return self._wire.send(h11.Request(method=request.method, target=target.path, headers=headers)) or b""

    async def piece(self) -> bytes:
        """Read the next bytes of the body; none at its end."""
        event = await self._next()
        return bytes(event.data) if type(event) is h11.Data else b""

    async def _next(self) -> Any:
        wire = self._wire
        while (event := wire.next_event()) is h11.NEED_DATA:
            data = await self._colour.read(self._stream)
            if not data and wire.their_state is h11.SEND_RESPONSE:
                raise RemoteProtocolError("the server disconnected without an answer")
            wire.receive_data(data)
        return event

    async def finish(self) -> None:
        """Say that the body has been read: the connection can serve again, if both sides want that."""
        wire = self._wire
        if wire.our_state is h11.DONE and wire.their_state is h11.DONE and not wire.trailing_data[0]:
            wire.start_next_cycle()
            self._idle = True
            self._expires = time.monotonic() + self._keepalive

    async def leave(self) -> None:
        """Do nothing: a body that is not read to its end needs no more than a closed socket."""

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        return self._idle and time.monotonic() <= self._expires and self._stream.is_fit()
