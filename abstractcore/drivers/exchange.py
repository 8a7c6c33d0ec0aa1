"""One request and its answer, over one connection that is never shared meanwhile.

Knows httpcore's request and response. Knows no stack of connections, only where to go back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import httpcore

from abstractcore.drivers.base import Deadline, HttpRequest
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.colours import Colour, Limits
from abstractcore.drivers.failures import translate, without_frames
from abstractcore.drivers.inflate import inflater
from abstractcore.drivers.stops import CURRENT, Stop
from abstractcore.errors import AbstractCoreError, ClosedError, ConnectionFailedError, ResponseError

if TYPE_CHECKING:
    from abstractcore.drivers.proxies import Proxy


@lru_cache(maxsize=256)
def target_of(url: str) -> httpcore.URL:
    """Parse a URL, once."""
    return httpcore.URL(url)


def origin_of(url: httpcore.URL) -> bytes:
    """Name the server of a URL: connections to it are alike."""
    return b"%b %b %d" % (url.scheme, url.host, url.port or 0)


class Home(Protocol):
    """Where a connection comes from and goes back to."""

    colour: Colour
    limits: Limits
    proxy: Proxy | None
    closed: bool

    def push(self, connection: Connection) -> None:
        """Take a connection back that can serve again."""
        ...

    def forget(self, connection: Connection) -> None:
        """Count a closed connection no more."""
        ...


class Connection:
    """One connection and the clock of its sockets; it serves one request at a time."""

    __slots__ = (
        "__weakref__",
        "clock",
        "colour",
        "core",
        "origin",
        "pool",
        "served",
        "sockets",
        "stop",
        "where",
    )

    def __init__(self, pool: Home, url: httpcore.URL) -> None:
        self.pool = pool
        self.colour = pool.colour
        self.origin = origin_of(url)
        self.where = f"{url.host.decode('ascii', 'replace')}:{url.origin.port}"
        tunnels = pool.proxy is not None and url.scheme == b"https"
        self.clock = Clock(pool.limits.connect_timeout, tunnels=tunnels)
        self.core, self.sockets = pool.colour.connect(self.clock, url.origin, pool.limits, pool.proxy)
        self.served = 0
        self.stop: Stop | None = None
        """Who may end the request that is under way, from another thread."""

    async def exchange(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send *request* and read the head of the answer; any failure closes the connection."""
        self.clock.start(deadline)
        try:
            self.stop = CURRENT.get()
            if self.stop is not None:
                self.stop.watch(self.sockets.abort)
            response = await self.colour.handle(self.core, _core_request(request, target_of(request.url)))
            self.served += 1
            self.clock.stage = "body"
            self.clock.silence = self.pool.limits.read_timeout
            return Reply(self, response)
        except BaseException as failure:
            self.discard()
            if isinstance(failure, Exception) and (told := self.translated(failure)) is not failure:
                raise told from without_frames(failure)
            raise

    def translated(self, failure: Exception) -> Exception:
        """Give our error for what the HTTP library raised."""
        if self.pool.closed:
            return ClosedError("the provider was closed while this call was running")
        if self.stop is not None and self.stop.is_said:
            return ClosedError("whoever wanted this answer has left")
        if isinstance(failure, AbstractCoreError):
            return failure
        return translate(failure, self.clock, self.where) or failure

    def was_stale(self, failure: Exception) -> bool:
        """Whether the server had closed this kept connection before it read the request."""
        return self.served > 0 and not self.clock.heard and isinstance(failure, ConnectionFailedError)

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        available = getattr(self.core, "is_available", None)
        return True if available is None else available() and not self.core.has_expired()

    def release(self) -> None:
        """Give the connection back after a whole answer."""
        self._watch_no_more()
        if self.usable() and not self.pool.closed:
            self.pool.push(self)
        else:
            self.discard()

    def discard(self) -> None:
        """Close the socket at once."""
        self._watch_no_more()
        self.sockets.abort()
        self.pool.forget(self)

    def _watch_no_more(self) -> None:
        if self.stop is not None:
            self.stop.forget(self.sockets.abort)


def _core_request(request: HttpRequest, url: httpcore.URL) -> httpcore.Request:
    # The key enters here, into an object whose repr hides it, and into no local that outlives the call.
    headers = [(b"Host", _host(url)), *((k.encode("ascii"), v.encode()) for k, v in request.headers.items())]
    if request.body:
        headers.append((b"Content-Length", str(len(request.body)).encode()))
    if request.secret is not None:
        name, prefix, secret = request.secret
        headers.append((name.encode("ascii"), (prefix + secret.reveal()).encode()))
    return httpcore.Request(request.method, url, headers=headers, content=request.body)


@lru_cache(maxsize=256)
def _host_of(scheme: bytes, host: bytes, port: int | None) -> bytes:
    shown = b"[" + host + b"]" if b":" in host else host
    default = {b"http": 80, b"https": 443}.get(scheme)
    return shown if port is None or port == default else b"%b:%d" % (shown, port)


def _host(url: httpcore.URL) -> bytes:
    return _host_of(url.scheme, url.host, url.port)


class Reply:
    """An answer whose head has been read."""

    def __init__(self, connection: Connection, response: httpcore.Response) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = _headers(response.headers)
        self._connection = connection
        self._response = response
        self._hurried = False
        self._done = False

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed. At its end the connection goes back to its stack."""
        connection = self._connection
        source = connection.colour.body(self._response)
        try:
            inflate = inflater(self.headers.get("content-encoding", ""))
            room = connection.pool.limits.body_bytes
            async for data in source:
                for piece in inflate.feed(data) if inflate else (data,):
                    if (room := room - len(piece)) < 0:
                        raise ResponseError(self._too_big())
                    yield piece
            if inflate:
                inflate.end()
            await connection.colour.finish(self._response)
            self._done = True
        except Exception as failure:
            if not (self._hurried and connection.clock.left() <= 0):
                if (told := connection.translated(failure)) is not failure:
                    raise told from without_frames(failure)
                raise
        finally:
            if self._done:
                connection.release()
            else:
                await self._abandon(source)

    def _too_big(self) -> str:
        limit = self._connection.pool.limits.body_bytes
        return f"{self._connection.where}: the answer is over {limit:,} bytes (max_body_bytes)"

    async def _abandon(self, source: AsyncIterator[bytes]) -> None:
        self.discard()
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()

    async def read(self, at_most: int | None = None) -> bytes:
        """Read the whole body, or its first *at_most* bytes."""
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.chunks()) as chunks:
            async for data in chunks:
                pieces.append(data)
                size += len(data)
                if at_most is not None and size > at_most:
                    break
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return body if at_most is None else body[:at_most]

    def hurry(self, seconds: float) -> None:
        """Give the rest of the body *seconds*; when they pass, the body ends there, with no error."""
        self._hurried = True
        clock = self._connection.clock
        clock.deadline = Deadline.after(min(seconds, clock.left()))

    def discard(self) -> None:
        """Close the connection at once, unless the body has been read to its end."""
        if not self._done:
            self._done = False
            self._connection.discard()


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
