"""The blocking driver: the work is done inside the call, so a coroutine over it never suspends.

`run` finishes such a coroutine with one `send(None)`: no event loop, no thread, and it works
in a notebook whose loop is running.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.drivers.base import Caller, Deadline
from abstractcore.drivers.stops import CURRENT, Stop
from abstractcore.errors import AsyncToolError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from abstractcore.drivers.base import HttpReply, HttpRequest, Senders

_SLEEP_PIECE = 0.25
T = TypeVar("T")
_PARTING = 1.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Finish a coroutine that only awaits the blocking driver."""
    try:
        _step(work)
    except StopIteration as end:
        return end.value
    work.close()
    raise RuntimeError("core code awaited something that is not a driver's verb")


def iterate(source: AsyncIterator[T]) -> Iterator[T]:
    """Iterate an async iterator that only awaits the blocking driver; leaving it closes the source."""
    step: Callable[[], Any] = source.__anext__
    try:
        while True:
            try:
                _step(step())
            except StopIteration as value:
                yield value.value
            except StopAsyncIteration:
                return
            else:
                raise RuntimeError("core code awaited something that is not a driver's verb")
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            run(close())


def _step(work: Coroutine[Any, Any, Any]) -> None:
    """Run to the end, which is an exception.

    An event loop that runs in this thread does not get the async generators that begin here:
    it would close those of a stream that outlives it, and be slow to close an abandoned one.
    """
    hooks = sys.get_asyncgen_hooks()
    if hooks.firstiter is None and hooks.finalizer is None:
        work.send(None)
        return
    sys.set_asyncgen_hooks(None, None)
    try:
        work.send(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


class BlockingMailbox:
    """A queue that a thread waits at."""

    def __init__(self) -> None:
        self._values: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def put(self, value: Any) -> None:
        """Hand over a value, from any thread."""
        self._values.put(value)

    async def get(self, deadline: Deadline | None = None) -> Any:
        """Wait for the next value; TimeoutError when *deadline* passes first."""
        try:
            return self._values.get(timeout=None if deadline is None else max(0.0, deadline.left()))
        except queue.Empty:
            raise TimeoutError from None


class BlockingBackground:
    """A job in a thread. Stopping it closes the sockets that it waits at."""

    def __init__(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._word = Stop(CURRENT.get())
        self._outcome = _in_a_thread(job, self._word)

    async def stop(self) -> None:
        """End the job, and wait for it a little: a tool that runs cannot be ended."""
        from concurrent.futures import wait

        self._word.say()
        wait([self._outcome], _PARTING)


class BlockingDriver:
    """Each verb does its work before it returns."""

    async def send(self, connections: Senders, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        return await connections.blocking().send(request, deadline)

    async def sleep(self, seconds: float) -> None:
        """Wait, in short pieces: a signal that comes just before one begins is heard at its end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLEEP_PIECE))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run the function here: this thread is the caller's own."""
        return function(*args)

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Refuse: there is no event loop here that could await it."""
        close = getattr(work, "close", None)
        if close is not None:
            close()
        raise AsyncToolError("an async function cannot be awaited here: use abstractcore.aio, or agenerate")

    async def gather(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run each job in a thread of its own; all run to their end, then the failures are raised.

        They are raised in a group, as those of tasks are. Ctrl-C, which ends the waiting, ends their
        requests too.
        """
        outer = CURRENT.get()
        word = Stop(outer)
        running = [_in_a_thread(job, word) for job in jobs]
        try:
            failures = [failure for one in running if (failure := one.exception()) is not None]
        except BaseException:
            word.say()
            raise
        finally:
            if outer is not None:
                outer.forget(word.say)
        if failures:
            raise BaseExceptionGroup("jobs failed", failures)
        return [one.result() for one in running]

    def background(self, job: Callable[[], Coroutine[Any, Any, None]]) -> BlockingBackground:
        """Run a job in a thread of its own."""
        return BlockingBackground(job)

    def mailbox(self) -> BlockingMailbox:
        """Open a mailbox that this thread can wait at."""
        return BlockingMailbox()

    def now(self) -> float:
        """Tell the wall-clock time."""
        return time.time()

    def caller(self) -> Caller:
        """Tell which thread asks, and which task if a loop is running in it."""
        return Caller(threading.get_ident(), _current_task(), blocks=True)


def _in_a_thread(job: Callable[[], Coroutine[Any, Any, T]], word: Stop) -> Future[T]:
    """Run *job* in a thread that a program which ends does not wait for, as it would for a pool's."""
    from concurrent.futures import Future  # which brings logging: most programs ask one thing at a time

    outcome: Future[T] = Future()
    context = contextvars.copy_context()
    context.run(CURRENT.set, word)
    threading.Thread(target=context.run, args=(_settle, outcome, job), daemon=True).start()
    return outcome


def _settle(outcome: Future[T], job: Callable[[], Coroutine[Any, Any, T]]) -> None:
    try:
        result = run(job())
    except BaseException as failure:  # noqa: BLE001  whoever waits raises it
        outcome.set_exception(failure)
    else:
        outcome.set_result(result)


def _current_task() -> object | None:
    asyncio = sys.modules.get("asyncio")  # where nobody has loaded it, no task runs
    try:
        return None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        return None


BLOCKING = BlockingDriver()
