"""What differs between the surfaces under HTTP: whose sockets, and who is waited for.

Makes single connections; keeps none. What needs asyncio is loaded by the first that does, and so are TLS and
httpcore.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from abstractcore.drivers.base import Mailbox
from abstractcore.drivers.blocking import BlockingMailbox
from abstractcore.drivers.sockets import READ_BYTES, BlockingSockets, BlockingStream

if TYPE_CHECKING:
    import ssl

    from abstractcore.drivers.base import HttpRequest
    from abstractcore.drivers.clock import Clock
    from abstractcore.drivers.loop_sockets import LoopSockets, LoopStream
    from abstractcore.drivers.proxies import Proxy
    from abstractcore.drivers.targets import Target


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a connection: seconds, and bytes of one answer, decompressed."""

    connect_timeout: float = 5.0
    read_timeout: float = 120.0
    max_connections: int | None = None
    keepalive: float = 60.0
    body_bytes: int = 64 * 1024 * 1024


class Sockets(Protocol):
    """What opens the sockets of one connection."""

    def abort(self) -> None:
        """Close the socket at once."""
        ...


class Core(Protocol):
    """What speaks HTTP over one connection."""

    async def handle(self, request: HttpRequest, target: Target) -> tuple[int, Any]:
        """Send a request and read the head of its answer: the status, and the headers by lower-case names."""
        ...

    async def piece(self) -> bytes:
        """Read the next bytes of the body; none at its end."""
        ...

    async def finish(self) -> None:
        """Say that the body has been read."""
        ...

    async def leave(self) -> None:
        """Say that the rest of the body will not be read; the socket is closed already."""
        ...

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        ...


class Colour(Protocol):
    """What differs between the surfaces: whose sockets, and who is waited for."""

    def sockets(self, clock: Clock) -> Sockets:
        """Make what opens a connection's sockets; nothing is opened yet."""
        ...

    def through_httpcore(self, sockets: Any, target: Target, keepalive: float, proxy: Proxy | None) -> Core:
        """Make a connection of httpcore's over the sockets."""
        ...

    async def open(self, sockets: Any, target: Target) -> Any:
        """Connect."""
        ...

    def write(self, stream: Any, data: bytes) -> Awaitable[None]:
        """Send bytes, or hold them until the next read."""
        ...

    def read(self, stream: Any) -> Awaitable[bytes]:
        """Wait for bytes; none come any more at the end."""
        ...

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox to wait for a free connection at."""
        ...


class Blocking:
    """Threads."""

    def sockets(self, clock: Clock) -> BlockingSockets:
        """Make what opens a connection's sockets."""
        return BlockingSockets(clock)

    def through_httpcore(
        self, sockets: BlockingSockets, target: Target, keepalive: float, proxy: Proxy | None
    ) -> Core:
        """Make a connection of httpcore's over the sockets."""
        from abstractcore.drivers.through_httpcore import BlockingHttpcore

        return BlockingHttpcore(sockets, target, keepalive, proxy)

    async def open(self, sockets: BlockingSockets, target: Target) -> BlockingStream:
        """Connect."""
        context = _tls_context(target)
        stream = sockets.connect_tcp(target.host, target.port)
        return stream if context is None else stream.start_tls(context, target.host)

    async def write(self, stream: BlockingStream, data: bytes) -> None:
        """Send bytes, or hold them until the next read."""
        stream.write(data)

    async def read(self, stream: BlockingStream) -> bytes:
        """Wait for bytes."""
        return stream.read(READ_BYTES)

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox for this thread."""
        return BlockingMailbox()


class Looping:
    """One event loop."""

    def sockets(self, clock: Clock) -> LoopSockets:
        """Make what opens a connection's sockets."""
        from abstractcore.drivers.loop_sockets import LoopSockets

        return LoopSockets(clock)

    def through_httpcore(
        self, sockets: LoopSockets, target: Target, keepalive: float, proxy: Proxy | None
    ) -> Core:
        """Make a connection of httpcore's over the sockets."""
        from abstractcore.drivers.through_httpcore import LoopHttpcore

        return LoopHttpcore(sockets, target, keepalive, proxy)

    async def open(self, sockets: LoopSockets, target: Target) -> LoopStream:
        """Connect."""
        context = _tls_context(target)
        stream = await sockets.connect_tcp(target.host, target.port)
        return stream if context is None else await stream.start_tls(context, target.host)

    def write(self, stream: LoopStream, data: bytes) -> Awaitable[None]:
        """Send bytes, or hold them until the next read."""
        return stream.write(data)

    def read(self, stream: LoopStream) -> Awaitable[bytes]:
        """Wait for bytes."""
        return stream.read(READ_BYTES)

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox for this task."""
        from abstractcore.drivers.eventloop import LoopMailbox

        return LoopMailbox()


def _tls_context(target: Target) -> ssl.SSLContext | None:
    """Give the TLS context before anything is opened: a file of certificates may be damaged."""
    if target.scheme != "https":
        return None
    from abstractcore.drivers.tls import ssl_context

    return ssl_context()


def is_mocked() -> bool:
    """Whether a mock of HTTP, such as respx, stands in the place of httpcore's connections."""
    core = sys.modules.get("httpcore")
    return core is not None and not core.HTTPConnection.handle_request.__module__.startswith("httpcore.")
