"""One request and its answer, over one connection that is never shared meanwhile.

Knows what goes wrong on the way, and when a connection can serve again. Knows no stack of connections, only
where to go back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from abstractcore.drivers.base import Deadline, HttpRequest
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.colours import Colour, Core, Limits, is_mocked
from abstractcore.drivers.failures import translate, without_frames
from abstractcore.drivers.http11 import Http11
from abstractcore.drivers.inflate import inflater
from abstractcore.drivers.stops import CURRENT, Stop
from abstractcore.drivers.targets import Target, target_of
from abstractcore.errors import AbstractCoreError, ClosedError, ConnectionFailedError, ResponseError

if TYPE_CHECKING:
    from abstractcore.drivers.proxies import Proxy


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
        "pool",
        "served",
        "sockets",
        "stop",
        "target",
    )

    def __init__(self, pool: Home, target: Target) -> None:
        self.pool = pool
        self.colour = pool.colour
        self.target = target
        tunnels = pool.proxy is not None and target.scheme == "https"
        self.clock = Clock(pool.limits.connect_timeout, tunnels=tunnels)
        self.sockets = pool.colour.sockets(self.clock)
        self.core = self._make_core()
        self.served = 0
        self.stop: Stop | None = None
        """Who may end the request that is under way, from another thread."""

    def _make_core(self) -> Core:
        pool, keepalive = self.pool, self.pool.limits.keepalive
        if pool.proxy is not None or is_mocked():
            return self.colour.through_httpcore(self.sockets, self.target, keepalive, pool.proxy)
        return Http11(self.colour, self.sockets, keepalive)

    async def exchange(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send *request* and read the head of the answer; any failure closes the connection."""
        self.clock.start(deadline)
        try:
            self.stop = CURRENT.get()
            if self.stop is not None:
                self.stop.watch(self.sockets.abort)
            status, headers = await self.core.handle(request, target_of(request.url))
            self.served += 1
            self.clock.stage = "body"
            self.clock.silence = self.pool.limits.read_timeout
            return Reply(self, status, headers)
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
        return translate(failure, self.clock, self.target.where) or failure

    def was_stale(self, failure: Exception) -> bool:
        """Whether the server had closed this kept connection before it read the request."""
        return self.served > 0 and not self.clock.heard and isinstance(failure, ConnectionFailedError)

    def usable(self) -> bool:
        """Whether the connection can serve a request now."""
        return self.core.usable() and not (type(self.core) is Http11 and is_mocked())

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


class Reply:
    """An answer whose head has been read."""

    def __init__(self, connection: Connection, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers: Mapping[str, str] = _headers(headers)
        self._connection = connection
        self._hurried = False
        self._done = False

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed. At its end the connection goes back to its stack."""
        connection = self._connection
        core = connection.core
        try:
            inflate = inflater(self.headers.get("content-encoding", ""))
            room = connection.pool.limits.body_bytes
            while data := await core.piece():
                for piece in inflate.feed(data) if inflate else (data,):
                    if (room := room - len(piece)) < 0:
                        raise ResponseError(self._too_big())
                    yield piece
            if inflate:
                inflate.end()
            await core.finish()
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
                self.discard()
                await core.leave()

    def _too_big(self) -> str:
        limit = self._connection.pool.limits.body_bytes
        return f"{self._connection.target.where}: the answer is over {limit:,} bytes (max_body_bytes)"

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


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
