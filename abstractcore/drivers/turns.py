"""One turn at a time: a queue that threads and tasks stand in together, in the order they came."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abstractcore.errors import RequestTimeoutError, SessionError

if TYPE_CHECKING:
    from abstractcore.drivers.base import Caller, Deadline, Driver, Mailbox


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    caller: Caller
    mailbox: Mailbox[None]


class Turns:
    """A fair lock for callers of both surfaces. It notices who would wait for themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: Caller | None = None
        self._waiting: deque[_Waiting] = deque()

    @asynccontextmanager
    async def turn(self, driver: Driver, deadline: Deadline) -> AsyncGenerator[None]:
        """Hold the turn. Raises SessionError when the caller holds it already.

        Raises RequestTimeoutError when *deadline* passes while others hold it.
        """
        caller = driver.caller()
        waiting = self._enter(driver, caller)
        if waiting is not None:
            await self._wait(waiting, deadline)
        try:
            yield
        finally:
            self._pass_on()

    def hand_to(self, caller: Caller) -> None:
        """Note who holds the turn from now on: a stream is often opened by one task and read by another."""
        with self._lock:
            self._holder = caller

    def _enter(self, driver: Driver, caller: Caller) -> _Waiting | None:
        with self._lock:
            if self._holder is None:
                self._holder = caller
                return None
            if _would_wait_for_itself(caller, self._holder):
                raise SessionError(
                    "this session is in the middle of a turn of yours: read its stream to the end, or close "
                    "it, before the next turn; a tool that runs in a turn cannot start another"
                )
            waiting = _Waiting(caller, driver.mailbox())
            self._waiting.append(waiting)
            return waiting

    async def _wait(self, waiting: _Waiting, deadline: Deadline) -> None:
        try:
            await waiting.mailbox.get(deadline)
        except BaseException as failure:
            self._leave(waiting)
            if isinstance(failure, TimeoutError):
                message = "the turns before this one took all the time that the call had"
                raise RequestTimeoutError(message, phase="total") from None
            raise

    def _leave(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                return
        self._pass_on()  # the turn had come in the same moment

    def _pass_on(self) -> None:
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._holder = None if following is None else following.caller
        if following is not None:
            following.mailbox.put(None)


def _would_wait_for_itself(caller: Caller, holder: Caller) -> bool:
    """Whether nobody but the caller could end the turn.

    So it is in a thread that waits, and when the holder is a thread that has begun a loop
    inside its turn, or a task that has ended and left a stream open.
    """
    if caller.thread != holder.thread:
        return False
    return caller.blocks or caller.task is holder.task or holder.task is None or _is_over(holder.task)


def _is_over(task: object) -> bool:
    return isinstance(task, asyncio.Task) and task.done()
