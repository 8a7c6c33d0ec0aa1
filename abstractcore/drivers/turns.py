"""One turn at a time: a queue that threads and tasks stand in together, in the order they came."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abstractcore.errors import RequestTimeoutError, SessionError

if TYPE_CHECKING:
    from abstractcore.drivers.base import Caller, Deadline, Driver, Mailbox


@dataclass(slots=True, weakref_slot=True, eq=False)
class _Turn:
    caller: Caller
    mailbox: Mailbox[None] | None = None
    """Where it is told that its time has come, while it waits."""


class Turns:
    """A fair lock for callers of both surfaces. It notices who would wait for themselves.

    A Ctrl-C may come between any two steps, even those that give a turn back. So the holder is known by
    a weak reference: a turn that nobody runs any more is over, whether it was given back or not.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: weakref.ref[_Turn] | None = None
        self._waiting: deque[_Turn] = deque()

    @asynccontextmanager
    async def turn(self, driver: Driver, deadline: Deadline) -> AsyncGenerator[None]:
        """Hold the turn. Raises SessionError when the caller holds it already.

        Raises RequestTimeoutError when *deadline* passes while others hold it.
        """
        turn = _Turn(driver.caller())
        try:
            self._enter(driver, turn)
            if turn.mailbox is not None:
                await self._wait(turn.mailbox, deadline)
            yield
        finally:
            self._leave(turn)

    def hand_to(self, caller: Caller) -> None:
        """Note who holds the turn from now on: a stream is often opened by one task and read by another."""
        with self._lock:
            holder = self._held()
            if holder is not None:
                holder.caller = caller

    def _held(self) -> _Turn | None:
        return None if self._holder is None else self._holder()

    def _enter(self, driver: Driver, turn: _Turn) -> None:
        with self._lock:
            if self._held() is None:
                self._call_next()
            holder = self._held()
            if holder is None:
                self._holder = weakref.ref(turn)
                return
            if _would_wait_for_itself(turn.caller, holder.caller):
                raise SessionError(
                    "this session is in the middle of a turn of yours: read its stream to the end, or close "
                    "it, before the next turn; a tool that runs in a turn cannot start another"
                )
            turn.mailbox = driver.mailbox()
            self._waiting.append(turn)

    async def _wait(self, mailbox: Mailbox[None], deadline: Deadline) -> None:
        try:
            await mailbox.get(deadline)
        except TimeoutError:
            message = "the turns before this one took all the time that the call had"
            raise RequestTimeoutError(message, phase="total") from None

    def _leave(self, turn: _Turn) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif self._held() is turn:
                self._call_next()

    def _call_next(self) -> None:
        """Give the turn to who has waited longest, told before it is noted: told twice is as told once."""
        if not self._waiting:
            self._holder = None
            return
        following = self._waiting[0]
        if following.mailbox is not None:
            following.mailbox.put(None)
        self._waiting.popleft()
        self._holder = weakref.ref(following)


def _would_wait_for_itself(caller: Caller, holder: Caller) -> bool:
    """Whether nobody but the caller could end the turn.

    So it is in a thread that waits, and when the holder is a thread that has begun a loop
    inside its turn, or a task that has ended and left a stream open.
    """
    if caller.thread != holder.thread:
        return False
    return caller.blocks or caller.task is holder.task or holder.task is None or _is_over(holder.task)


def _is_over(task: object) -> bool:
    is_done: Callable[[], bool] | None = getattr(task, "done", None)
    return is_done is not None and is_done()
