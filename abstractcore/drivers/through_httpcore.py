"""A connection of httpcore's, for what `http11` leaves to it: proxies, and mocks of HTTP.

Knows httpcore. Loaded by the first call that needs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import httpcore

from abstractcore.drivers.targets import RawHeaders, Target, raw_headers
from abstractcore.drivers.tls import ssl_context

if TYPE_CHECKING:
    from abstractcore.drivers.base import HttpRequest
    from abstractcore.drivers.proxies import Proxy


class BlockingHttpcore:
    """One connection for threads."""

    def __init__(self, sockets: Any, target: Target, keepalive: float, proxy: Proxy | None) -> None:
        options = _options(sockets, target, keepalive)
        self._core = (
            httpcore.HTTPConnection(_url(target).origin, **options)
            if proxy is None
            else httpcore.HTTPProxy(**_proxy_options(proxy), **options)
        )
        self._response: Any = None
        self._pieces: Iterator[bytes] = iter(())

    async def handle(self, request: HttpRequest, target: Target) -> tuple[int, RawHeaders]:
        """Send a request and read the head of its answer: the status, and the headers by lower-case names."""
        self._response = response = self._core.handle_request(_request(request, target))
        self._pieces = iter(response.stream)  # type: ignore[arg-type]
        return response.status, _lower(response)

    async def piece(self) -> bytes:
        """Read the next bytes of the body; none at its end."""
        return next((piece for piece in self._pieces if piece), b"")

    async def finish(self) -> None:
        """Say that the body has been read."""
        self._response.close()

    async def leave(self) -> None:
        """Do nothing: the socket is closed."""

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        return _usable(self._core)


class LoopHttpcore:
    """One connection for an event loop."""

    def __init__(self, sockets: Any, target: Target, keepalive: float, proxy: Proxy | None) -> None:
        options = _options(sockets, target, keepalive)
        self._core = (
            httpcore.AsyncHTTPConnection(_url(target).origin, **options)
            if proxy is None
            else httpcore.AsyncHTTPProxy(**_proxy_options(proxy), **options)
        )
        self._response: Any = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def handle(self, request: HttpRequest, target: Target) -> tuple[int, RawHeaders]:
        """Send a request and read the head of its answer: the status, and the headers by lower-case names."""
        self._response = response = await self._core.handle_async_request(_request(request, target))
        self._pieces = aiter(response.stream)  # type: ignore[arg-type]
        return response.status, _lower(response)

    async def piece(self) -> bytes:
        """Read the next bytes of the body; none at its end."""
        assert self._pieces is not None
        async for piece in self._pieces:
            if piece:
                return piece
        return b""

    async def finish(self) -> None:
        """Say that the body has been read."""
        await self._response.aclose()

    async def leave(self) -> None:
        """Close what reads the body, which is a generator of this loop."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        return _usable(self._core)


def _usable(core: Any) -> bool:
    available = getattr(core, "is_available", None)
    return True if available is None else available() and not core.has_expired()


def _url(target: Target) -> httpcore.URL:
    return httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)


def _request(request: HttpRequest, target: Target) -> httpcore.Request:
    # Its repr hides the headers, and with them the key.
    headers = raw_headers(request, target)
    return httpcore.Request(request.method, _url(target), headers=headers, content=request.body)


def _lower(response: httpcore.Response) -> RawHeaders:
    return [(name.lower(), value) for name, value in response.headers]


def _options(sockets: Any, target: Target, keepalive: float) -> dict[str, Any]:
    options: dict[str, Any] = {"network_backend": sockets, "keepalive_expiry": keepalive}
    if target.scheme == "https":
        options["ssl_context"] = ssl_context()
    return options


def _proxy_options(proxy: Proxy) -> dict[str, Any]:
    options: dict[str, Any] = {"proxy_url": proxy.url, "max_connections": 1}
    if proxy.user is not None:
        options["proxy_auth"] = (proxy.user, proxy.password.reveal() if proxy.password else "")
    if proxy.url.startswith("https:"):
        options["proxy_ssl_context"] = ssl_context()
    return options
