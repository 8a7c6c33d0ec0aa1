"""Cancelling at a chosen await: every place where a piece of work is suspended, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class CancelsAt:
    """Runs work, and cancels it while it, or a task that it began, is suspended for the *count*-th time."""

    def __init__(self, count: int) -> None:
        self.left = count
        self._task: asyncio.Task[Any] | None = None

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do the work to its end: its result, or the CancelledError."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._counted)
        try:
            self._task = loop.create_task(work())
            (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        finally:
            loop.set_task_factory(None)
        return outcome

    def suspended(self) -> None:
        """Count, and cancel when the time has come."""
        self.left -= 1
        if self.left == 0:
            assert self._task is not None
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def _counted(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:  # in the words of asyncio's task factories
        return asyncio.Task(_Counted(work, self), loop=loop, **options)


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that tells whenever it is suspended."""

    def __init__(self, work: Coroutine[Any, Any, Any], cancels: CancelsAt) -> None:
        self._work = work
        self._cancels = cancels

    def send(self, value: Any) -> Any:
        waited_for = self._work.send(value)
        self._cancels.suspended()
        return waited_for

    def throw(self, *failure: Any) -> Any:
        return self._work.throw(*failure)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError
