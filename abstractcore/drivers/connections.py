"""HTTP: a stack of idle connections for each surface and event loop, over httpcore's single connections.

httpx's pool scans every connection for every request, which at a thousand concurrent
calls is all that it does. Here an idle connection is popped and pushed; on any failure,
early stop or cancel it is closed and forgotten.

An async connection lives and ends with its event loop; a forked child starts with none.
This file, its sockets and its failures are all that knows httpcore and httpx.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import httpcore

from abstractcore.drivers.base import Deadline, HttpRequest, Mailbox
from abstractcore.drivers.blocking import BlockingMailbox
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.eventloop import LoopMailbox
from abstractcore.drivers.failures import translate, without_frames
from abstractcore.drivers.generators import begun_before_the_loop
from abstractcore.drivers.inflate import inflater
from abstractcore.drivers.sockets import BlockingSockets, LoopSockets
from abstractcore.errors import (
    AbstractCoreError,
    ClosedError,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    ResponseError,
)

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

    def connect(self, clock: Clock, origin: httpcore.Origin, pool: Pool) -> tuple[Any, Any]:
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

    def connect(self, clock: Clock, origin: httpcore.Origin, pool: Pool) -> tuple[Any, Any]:
        """Make a connection for threads."""
        sockets = BlockingSockets(clock)
        common: dict[str, Any] = {"network_backend": sockets, "keepalive_expiry": pool.limits.keepalive}
        if origin.scheme == b"https":
            common["ssl_context"] = ssl_context()
        if pool.proxy is None:
            return httpcore.HTTPConnection(origin, **common), sockets
        return httpcore.HTTPProxy(max_connections=1, **_proxy_options(pool.proxy), **common), sockets

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

    def connect(self, clock: Clock, origin: httpcore.Origin, pool: Pool) -> tuple[Any, Any]:
        """Make a connection for the running loop."""
        sockets = LoopSockets(clock)
        common: dict[str, Any] = {"network_backend": sockets, "keepalive_expiry": pool.limits.keepalive}
        if origin.scheme == b"https":
            common["ssl_context"] = ssl_context()
        if pool.proxy is None:
            return httpcore.AsyncHTTPConnection(origin, **common), sockets
        return httpcore.AsyncHTTPProxy(max_connections=1, **_proxy_options(pool.proxy), **common), sockets

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


@lru_cache(maxsize=256)
def _target(url: str) -> httpcore.URL:
    return httpcore.URL(url)


def _key(url: httpcore.URL) -> bytes:
    return b"%b %b %d" % (url.scheme, url.host, url.port or 0)


class Connection:
    """One connection and the clock of its sockets; it serves one request at a time."""

    __slots__ = ("clock", "colour", "core", "origin", "pool", "served", "sockets", "where")

    def __init__(self, pool: Pool, url: httpcore.URL) -> None:
        self.pool = pool
        self.colour = pool.colour
        self.origin = _key(url)
        self.where = f"{url.host.decode('ascii', 'replace')}:{url.origin.port}"
        tunnels = pool.proxy is not None and url.scheme == b"https"
        self.clock = Clock(pool.limits.connect_timeout, tunnels=tunnels)
        self.core, self.sockets = pool.colour.connect(self.clock, url.origin, pool)
        self.served = 0

    async def exchange(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send *request* and read the head of the answer; any failure closes the connection."""
        self.clock.start(deadline)
        try:
            response = await self.colour.handle(self.core, _core_request(request, _target(request.url)))
        except BaseException as failure:
            self.discard()
            if isinstance(failure, Exception) and (told := self.translated(failure)) is not failure:
                raise told from without_frames(failure)
            raise
        self.served += 1
        self.clock.stage = "body"
        self.clock.silence = self.pool.limits.read_timeout
        return Reply(self, response)

    def translated(self, failure: Exception) -> Exception:
        """Give our error for what the HTTP library raised."""
        if self.pool.closed:
            return ClosedError("the provider was closed while this call was running")
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
        if self.usable() and not self.pool.closed:
            self.pool.push(self)
        else:
            self.discard()

    def discard(self) -> None:
        """Close the socket at once."""
        self.sockets.abort()
        self.pool.forget(self)


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


class Pool:
    """The connections of one surface: those that serve, and per origin a stack of those that wait."""

    def __init__(self, colour: Colour, limits: Limits, proxy: Proxy | None) -> None:
        self.colour = colour
        self.limits = limits
        self.proxy = proxy
        self.closed = False
        self._idle: dict[bytes, deque[Connection]] = {}
        self._all: set[Connection] = set()
        self._waiters: deque[Mailbox[None]] = deque()
        self._lock = threading.Lock()

    async def send(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send over an idle connection, or a new one.

        A kept connection that turns out to be closed costs nothing: the request goes out
        once more, on a new one.
        """
        try:
            url = _target(request.url)
        except Exception as failure:
            raise ConfigurationError(f"not a URL: {request.url[:200]!r}") from failure
        connection = await self._take(url, deadline)
        try:
            return await connection.exchange(request, deadline)
        except ConnectionFailedError as failure:
            if not connection.was_stale(failure):
                raise
        self._drop_idle(_key(url))
        connection = await self._take(url, deadline)
        return await connection.exchange(request, deadline)

    async def _take(self, url: httpcore.URL, deadline: Deadline) -> Connection:
        while True:
            if self.closed:
                raise ClosedError("the provider is closed")
            connection = self._pop(_key(url)) or self._open(url)
            if connection is not None:
                return connection
            await self._wait(deadline)

    def _pop(self, origin: bytes) -> Connection | None:
        stack = self._idle.get(origin)
        while stack:
            try:
                connection = stack.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.usable():
                return connection
            connection.discard()
        return None

    def _open(self, url: httpcore.URL) -> Connection | None:
        with self._lock:
            limit = self.limits.max_connections
            if limit is not None and len(self._all) >= limit:
                return None
            connection = Connection(self, url)
            self._all.add(connection)
            return connection

    async def _wait(self, deadline: Deadline) -> None:
        mailbox = self.colour.mailbox()
        self._waiters.append(mailbox)
        try:
            await mailbox.get(deadline)
        except TimeoutError:
            limit = self.limits.max_connections
            message = f"all connections (max_connections={limit}) were busy until the call's time ran out"
            raise RequestTimeoutError(message, phase="pool") from None
        finally:
            if mailbox in self._waiters:
                self._waiters.remove(mailbox)
            else:  # woken: if this caller no longer wants the place, the next one does
                self._wake_one_if_free()

    def _wake_one_if_free(self) -> None:
        limit = self.limits.max_connections
        if limit is not None and (len(self._all) < limit or any(self._idle.values())):
            self._wake_one()

    def _wake_one(self) -> None:
        try:
            self._waiters.popleft().put(None)
        except IndexError:
            return

    def push(self, connection: Connection) -> None:
        """Take a connection back; those at the bottom that have waited too long are closed."""
        stack = self._idle.setdefault(connection.origin, deque())
        while stack and not stack[0].usable():
            stack.popleft().discard()
        stack.append(connection)
        self._wake_one()

    def forget(self, connection: Connection) -> None:
        """Count a closed connection no more."""
        with self._lock:
            self._all.discard(connection)
        self._wake_one()

    def _drop_idle(self, origin: bytes) -> None:
        stack = self._idle.pop(origin, deque[Connection]())
        for connection in stack:
            connection.discard()

    def close_idle(self) -> None:
        """Close the connections that wait."""
        for origin in list(self._idle):
            self._drop_idle(origin)

    def close(self) -> None:
        """Close every connection, busy or not."""
        self.closed = True
        self._idle.clear()
        with self._lock:
            everything = list(self._all)
        for connection in everything:
            connection.discard()
        while self._waiters:
            self._wake_one()


class LoopPool(Pool):
    """The connections of one event loop. They are closed when the loop shuts its async generators down."""

    def __init__(self, limits: Limits, proxy: Proxy | None) -> None:
        super().__init__(Looping(), limits, proxy)
        self._guard: AsyncGenerator[None] | None = None

    async def send(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send, and see to it first that the loop's end is noticed."""
        if self._guard is None:
            self._guard = self._until_the_loop_ends()
            await begun_before_the_loop(self._guard)
        return await super().send(request, deadline)

    async def _until_the_loop_ends(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self.close()
            self._guard = None
            await asyncio.sleep(0)  # the loop's turn in which aborted transports close their sockets


class Connections:
    """All the connections of one provider object."""

    def __init__(self, limits: Limits, proxy: Proxy | None) -> None:
        self.limits = limits
        self.proxy = proxy
        self.closed = False
        self._start()
        _everyone.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._blocking = Pool(Blocking(), self.limits, self.proxy)
        self._of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopPool]
        self._of_loops = weakref.WeakKeyDictionary()
        # Sockets that nobody closed are closed with the object, quietly, and at the interpreter's end.
        self._finalizer = weakref.finalize(self, _close_idle, [self._blocking], self._of_loops)

    def blocking(self) -> Pool:
        """Give the connections of threads."""
        return self._blocking

    def of_running_loop(self) -> LoopPool:
        """Give the connections of the loop that is running."""
        loop = asyncio.get_running_loop()
        pool = self._of_loops.get(loop)
        if pool is None or (pool.closed and not self.closed):
            with self._lock:
                pool = LoopPool(self.limits, self.proxy)
                pool.closed = self.closed
                self._of_loops[loop] = pool
        return pool

    def close(self) -> None:
        """Close every connection of every surface and loop."""
        self.closed = True
        self._finalizer()
        for pool in [self._blocking, *self._of_loops.values()]:
            pool.close()

    def abandon(self) -> None:
        """Forget every connection without closing it: they belong to the parent process."""
        _of_the_parent.append((self._blocking, self._of_loops))
        self._finalizer.detach()
        self._start()


def _close_idle(blocking: list[Pool], of_loops: Mapping[asyncio.AbstractEventLoop, LoopPool]) -> None:
    # A busy one belongs to whoever waits at it: perhaps a daemon thread, as the interpreter ends.
    for pool in [*blocking, *of_loops.values()]:
        pool.close_idle()


_everyone: weakref.WeakSet[Connections] = weakref.WeakSet()
_of_the_parent: list[Any] = []


def _after_fork() -> None:
    for connections in list(_everyone):
        connections.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
