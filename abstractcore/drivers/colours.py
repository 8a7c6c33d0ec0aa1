"""What differs between the surfaces under HTTP: whose sockets, and who is waited for.

Makes httpcore's single connections; keeps none. What needs asyncio is loaded by the first that does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import httpcore

from abstractcore.drivers.base import Mailbox
from abstractcore.drivers.blocking import BlockingMailbox
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.sockets import BlockingSockets
from abstractcore.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

    from abstractcore.drivers.proxies import Proxy


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a connection: seconds, and bytes of one answer, decompressed."""

    connect_timeout: float = 5.0
    read_timeout: float = 120.0
    max_connections: int | None = None
    keepalive: float = 60.0
    body_bytes: int = 64 * 1024 * 1024


class Colour(Protocol):
    """What differs between the surfaces: whose sockets, and who is waited for."""

    def connect(
        self, clock: Clock, origin: httpcore.Origin, limits: Limits, proxy: Proxy | None
    ) -> tuple[Any, Any]:
        """Make httpcore's connection and the sockets under it; nothing is opened yet."""
        ...

    async def handle(self, core: Any, request: httpcore.Request) -> httpcore.Response:
        """Send a request and read the head of its answer."""
        ...

    def body(self, response: httpcore.Response) -> AsyncIterator[bytes]:
        """Iterate the body."""
        ...

    async def finish(self, response: httpcore.Response) -> None:
        """Say that the body has been read."""
        ...

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox to wait for a free connection at."""
        ...


class Blocking:
    """Threads."""

    def connect(
        self, clock: Clock, origin: httpcore.Origin, limits: Limits, proxy: Proxy | None
    ) -> tuple[Any, Any]:
        """Make a connection for threads."""
        sockets = BlockingSockets(clock)
        common: dict[str, Any] = {"network_backend": sockets, "keepalive_expiry": limits.keepalive}
        if origin.scheme == b"https":
            common["ssl_context"] = ssl_context()
        if proxy is None:
            return httpcore.HTTPConnection(origin, **common), sockets
        return httpcore.HTTPProxy(max_connections=1, **_proxy_options(proxy), **common), sockets

    async def handle(self, core: Any, request: httpcore.Request) -> httpcore.Response:
        """Send a request and read the head of its answer."""
        return core.handle_request(request)

    async def body(self, response: httpcore.Response) -> AsyncIterator[bytes]:
        """Iterate the body."""
        stream: Any = response.stream
        for data in stream:
            yield data

    async def finish(self, response: httpcore.Response) -> None:
        """Say that the body has been read."""
        response.close()

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox for this thread."""
        return BlockingMailbox()


class Looping:
    """One event loop."""

    def connect(
        self, clock: Clock, origin: httpcore.Origin, limits: Limits, proxy: Proxy | None
    ) -> tuple[Any, Any]:
        """Make a connection for the running loop."""
        from abstractcore.drivers.loop_sockets import LoopSockets

        sockets = LoopSockets(clock)
        common: dict[str, Any] = {"network_backend": sockets, "keepalive_expiry": limits.keepalive}
        if origin.scheme == b"https":
            common["ssl_context"] = ssl_context()
        if proxy is None:
            return httpcore.AsyncHTTPConnection(origin, **common), sockets
        return httpcore.AsyncHTTPProxy(max_connections=1, **_proxy_options(proxy), **common), sockets

    async def handle(self, core: Any, request: httpcore.Request) -> httpcore.Response:
        """Send a request and read the head of its answer."""
        return await core.handle_async_request(request)

    def body(self, response: httpcore.Response) -> AsyncIterator[bytes]:
        """Iterate the body."""
        stream: Any = response.stream
        return stream.__aiter__()

    async def finish(self, response: httpcore.Response) -> None:
        """Say that the body has been read."""
        await response.aclose()

    def mailbox(self) -> Mailbox[None]:
        """Open a mailbox for this task."""
        from abstractcore.drivers.eventloop import LoopMailbox

        return LoopMailbox()


def _proxy_options(proxy: Proxy) -> dict[str, Any]:
    options: dict[str, Any] = {"proxy_url": proxy.url}
    if proxy.user is not None:
        options["proxy_auth"] = (proxy.user, proxy.password.reveal() if proxy.password else "")
    if proxy.url.startswith("https:"):
        options["proxy_ssl_context"] = ssl_context()
    return options


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """Give the one TLS context of the process, with the roots that httpx trusts (certifi, SSL_CERT_FILE)."""
    import httpx

    try:
        return httpx.create_ssl_context()
    except OSError as failure:
        problem = "the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read"
        raise ConfigurationError(f"{problem}: {failure.strerror or failure}") from failure
