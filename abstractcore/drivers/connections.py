"""HTTP: a stack of idle connections for each surface and event loop.

httpx's pool scans every connection for every request, which at a thousand concurrent
calls is all that it does. Here an idle connection is popped and pushed; on any failure,
early stop or cancel it is closed and forgotten.

An async connection lives and ends with its event loop; a forked child starts with none.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.base import Deadline, HttpRequest, Mailbox
from abstractcore.drivers.colours import Blocking, Colour, Limits, Looping
from abstractcore.drivers.exchange import Connection, Reply
from abstractcore.drivers.generators import begun_before_the_loop
from abstractcore.drivers.targets import Origin, Target, target_of
from abstractcore.errors import ClosedError, ConfigurationError, ConnectionFailedError, RequestTimeoutError

if TYPE_CHECKING:
    import asyncio

    from abstractcore.drivers.proxies import Proxy


class Pool:
    """The connections of one surface: those that serve, and per origin a stack of those that wait."""

    def __init__(self, colour: Colour, limits: Limits, proxy: Proxy | None) -> None:
        self.colour = colour
        self.limits = limits
        self.proxy = proxy
        self.closed = False
        self._idle: dict[Origin, deque[Connection]] = {}
        # Weak: a connection that a Ctrl-C lost on its way must not stay open, and must not take a place.
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._waiters: deque[Mailbox[None]] = deque()
        self._lock = threading.Lock()

    async def send(self, request: HttpRequest, deadline: Deadline) -> Reply:
        """Send over an idle connection, or a new one.

        A kept connection that turns out to be closed costs nothing: the request goes out
        once more, on a new one.
        """
        try:
            target = target_of(request.url)
        except ValueError as failure:
            raise ConfigurationError(f"not a URL: {request.url[:200]!r}") from failure
        connection = await self._take(target, deadline)
        try:
            return await connection.exchange(request, deadline)
        except ConnectionFailedError as failure:
            if not connection.was_stale(failure):
                raise
        self._drop_idle(target.origin)
        connection = await self._take(target, deadline)
        return await connection.exchange(request, deadline)

    async def _take(self, target: Target, deadline: Deadline) -> Connection:
        while True:
            if self.closed:
                raise ClosedError("the provider is closed")
            connection = self._pop(target.origin) or self._open(target)
            if connection is not None:
                return connection
            await self._wait(deadline)

    def _pop(self, origin: Origin) -> Connection | None:
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

    def _open(self, target: Target) -> Connection | None:
        with self._lock:
            limit = self.limits.max_connections
            if limit is not None and len(self._all) >= limit:
                return None
            connection = Connection(self, target)
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
        stack = self._idle.setdefault(connection.target.origin, deque())
        with contextlib.suppress(IndexError):  # another thread took the last one
            while stack and not stack[0].usable():
                stack.popleft().discard()
        stack.append(connection)
        self._wake_one()

    def forget(self, connection: Connection) -> None:
        """Count a closed connection no more."""
        with self._lock:
            self._all.discard(connection)
        self._wake_one()

    def _drop_idle(self, origin: Origin) -> None:
        stack = self._idle.get(origin, deque[Connection]())
        with contextlib.suppress(IndexError):  # other threads take from it, and give back, meanwhile
            for _ in range(len(stack)):
                stack.popleft().discard()

    def close_idle(self) -> None:
        """Close the connections that wait."""
        for origin in list(self._idle):
            self._drop_idle(origin)

    def close(self) -> None:
        """Close every connection, busy or not."""
        self.closed = True
        with self._lock:
            everything = list(self._all)
        self._idle.clear()
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
            import asyncio

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
        from asyncio import get_running_loop  # loaded already: it runs a loop

        loop = get_running_loop()
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
