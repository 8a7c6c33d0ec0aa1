"""An event loop of its own in a daemon thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable
from typing import Any


class Started:
    """Work under way elsewhere: its outcome, and a way to cancel it."""

    def __init__(self, cancel: Callable[[], None] | None = None) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._cancel = cancel

    @property
    def is_done(self) -> bool:
        return self.future.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the outcome; raise what the work raised, also its own CancelledError."""
        return self.future.result(timeout)

    def outcome(self, timeout: float | None = None) -> Any:
        """Wait for the result, or for the exception in its place."""
        failure = self.future.exception(timeout)
        return self.future.result() if failure is None else failure

    def cancel(self) -> None:
        """Cancel the task; only an asyncio task can be."""
        if self._cancel is None:
            raise NotImplementedError("a blocking call in a thread cannot be cancelled")
        self._cancel()


class LoopThread:
    """Run one event loop until closed, and take work for it from any thread."""

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _main(self) -> None:
        with asyncio.Runner() as runner:
            self.loop = runner.get_loop()
            runner.run(self._live())

    async def _live(self) -> None:
        self._over = asyncio.Event()
        self._ready.set()
        await self._over.wait()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self, make: Callable[[], Any]) -> Started:
        """Call *make* inside the loop, and await what it returns if it can be awaited."""
        started = Started(cancel=lambda: self.loop.call_soon_threadsafe(task.cancel))

        async def shepherd() -> None:
            try:
                result = make()
                if inspect.isawaitable(result):
                    result = await result
            except BaseException as failure:  # a CancelledError too is an outcome to hand over
                started.future.set_exception(failure)
            else:
                started.future.set_result(result)

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(shepherd())

        task = asyncio.run_coroutine_threadsafe(begin(), self.loop).result()
        return started

    def run(self, make: Callable[[], Any], timeout: float | None = None) -> Any:
        """Do as `start`, and wait for the result."""
        return self.start(make).result(timeout)

    def close(self) -> None:
        """Cancel every task that is left, close the loop, end the thread."""
        if self.is_alive:
            self.loop.call_soon_threadsafe(self._over.set)
            self._thread.join(timeout=10)
