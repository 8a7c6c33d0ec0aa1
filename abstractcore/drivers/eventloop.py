"""The asyncio driver: each verb really awaits, on the loop that is running."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.drivers.base import Caller, Deadline

if TYPE_CHECKING:
    from abstractcore.drivers.base import HttpReply, HttpRequest, Senders

T = TypeVar("T")


class LoopMailbox:
    """Values from any thread to one task of the loop that opened it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._values: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, value: Any) -> None:
        """Hand over a value, from any thread; a loop that has ended takes none."""
        self._values.append(value)
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed, and with it whoever waited
            self._values.clear()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self, deadline: Deadline | None = None) -> Any:
        """Wait for the next value; TimeoutError when *deadline* passes first."""
        while not self._values:
            self._waiter = self._loop.create_future()
            left = None if deadline is None else deadline.left()
            timer = None if left is None else self._loop.call_later(max(0.0, left), self._wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
            if not self._values and deadline is not None and deadline.left() <= 0:
                raise TimeoutError
        return self._values.popleft()


class LoopBackground:
    """A job in a task."""

    def __init__(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._task = asyncio.get_running_loop().create_task(job())

    async def stop(self) -> None:
        """Cancel the job, and wait until it has ended."""
        self._task.cancel()
        await asyncio.wait([self._task])


class AsyncioDriver:
    """Each verb awaits."""

    async def send(self, connections: Senders, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        return await connections.of_running_loop().send(request, deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run the function in a thread, so that the loop goes on."""
        return await asyncio.to_thread(function, *args)

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Await *work*, for *seconds* at most; TimeoutError cancels it."""
        async with asyncio.timeout(seconds):
            return await work

    async def gather(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run each job as a task; the first failure cancels the others."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job()) for job in jobs]
        return [task.result() for task in tasks]

    def background(self, job: Callable[[], Coroutine[Any, Any, None]]) -> LoopBackground:
        """Run a job in a task of its own."""
        return LoopBackground(job)

    def mailbox(self) -> LoopMailbox:
        """Open a mailbox that this loop's tasks can wait at."""
        return LoopMailbox()

    def now(self) -> float:
        """Tell the wall-clock time."""
        return time.time()

    def caller(self) -> Caller:
        """Tell which thread and task ask."""
        return Caller(threading.get_ident(), asyncio.current_task(), blocks=False)


ASYNC = AsyncioDriver()
