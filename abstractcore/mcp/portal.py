"""A thread with an event loop, for callers that have none: the only loop thread of the package.

Each sync client has its own, so that a server which blocks one loop stops no other client.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from abstractcore.drivers.stops import CURRENT
from abstractcore.errors import ClosedError, ConfigurationError

T = TypeVar("T")
Put = Callable[..., None]

_TO_CLOSE = 10.0


class Portal:
    """A running loop that any thread may have work done on, until `end`."""

    def __init__(self) -> None:
        began: Future[None] = Future()
        self._last: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._jobs: set[_Job[Any]] = set()
        self._thread = threading.Thread(target=self._run, args=(began,), name="abstractcore-mcp", daemon=True)
        self._thread.start()
        began.result()
        _close_at_exit(self)

    def call(
        self, work: Callable[[Put], Coroutine[Any, Any, T]], told: Callable[..., Any] | None = None
    ) -> T:
        """Do *work* on the loop and wait; what it puts meanwhile is told here, in the caller's thread.

        Whatever ends the waiting, Ctrl-C too, cancels the work; so does it when whoever started the
        caller's thread has left.
        """
        if threading.current_thread() is self._thread:
            raise ConfigurationError("mcp: a tool of this client would wait for itself; use the async client")
        job = _Job(work)
        self._jobs.add(job)
        word = CURRENT.get()

        def cancel() -> None:
            self._send(job.cancel)

        try:
            if word is not None:
                word.watch(cancel)
            if not self._send(job.begin):
                raise ClosedError("mcp: the client is closed")
            while (note := job.box.get()) is not None:
                if told is not None:
                    told(*note)
            return job.result()
        except BaseException:
            cancel()
            raise
        finally:
            self._jobs.discard(job)
            if word is not None:
                word.forget(cancel)

    def at_end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have *last* done before the loop ends."""
        self._last = last

    def end(self, wait: bool = True) -> None:
        """End the loop and its thread; a second time does nothing. Garbage collection does not *wait*."""
        if not self._thread.is_alive() or not self._send(self._stop.set):
            return
        if wait and threading.current_thread() is not self._thread:
            self._thread.join(_TO_CLOSE)

    def _send(self, callback: Callable[[], None]) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _run(self, began: Future[None]) -> None:
        asyncio.run(self._serve(began))
        for job in list(self._jobs):  # what came too late to be begun
            job.box.put(None)

    async def _serve(self, began: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        began.set_result(None)
        await self._stop.wait()
        if self._last is not None:
            await self._last()


class _Job(Generic[T]):
    """Work of one caller, who waits at the box; it can be cancelled from the moment that it is sent."""

    def __init__(self, work: Callable[[Put], Coroutine[Any, Any, T]]) -> None:
        self.box: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._work = work
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Start it, on the loop."""
        work = self._work(lambda *note: self.box.put(note))
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(lambda _: self.box.put(None))

    def cancel(self) -> None:
        """End it, on the loop."""
        if self._task is not None:
            self._task.cancel()

    def result(self) -> T:
        """Give the result, in the caller's thread."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            raise ClosedError("mcp: the client was closed during the call")
        return self._task.result()


_running: WeakSet[Portal] = WeakSet()


def _close_at_exit(portal: Portal) -> None:
    """A thread that runs on at exit would be cut off, and leave its server's process behind."""
    if not _running:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _running.add(portal)


def _end_all() -> None:
    portals = list(_running)
    for portal in portals:
        portal.end(wait=False)
    for portal in portals:
        portal.end()
