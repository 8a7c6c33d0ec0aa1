"""One scheduler for each model and its options in the process; it ends with its last lease.

A forked child starts with none: what it has inherited belongs to its parent.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from abstractcore.engines.scheduler import Scheduler
from abstractcore.errors import ClosedError

if TYPE_CHECKING:
    from abstractcore.engines.runtime import Runtime


class _Table:
    """The schedulers of this process, and who holds each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.schedulers: dict[Hashable, Scheduler] = {}
        self.holders: dict[Scheduler, set[int]] = {}


_table = _Table()
_numbers = itertools.count(1)


class Lease:
    """A share in a model. The scheduler is found, or made by *make*, at the first use."""

    def __init__(self, name: str, key: Callable[[], Hashable], make: Callable[[], Runtime]) -> None:
        self._name = name
        self._key = key
        self._make = make
        self._number = next(_numbers)
        self._scheduler: Scheduler | None = None
        self._is_closed = False

    def scheduler(self) -> Scheduler:
        """Give the model's scheduler. Raises ClosedError after `close`."""
        if self._is_closed:
            raise ClosedError(f"{self._name}: the provider is closed")
        scheduler = self._scheduler
        if scheduler is None or scheduler.pid != os.getpid():
            scheduler = self._scheduler = _acquire(self._key(), self._number, self._name, self._make)
            if self._is_closed:  # by another thread, meanwhile
                self.close()
                raise ClosedError(f"{self._name}: the provider is closed")
        return scheduler

    def close(self) -> None:
        """End this lease's calls with ClosedError; the last lease frees the model."""
        self._is_closed = True
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None and scheduler.pid == os.getpid():
            scheduler.release(self)
            if _release(scheduler, self._number):
                scheduler.close()

    def close_later(self) -> None:
        """Do as `close`, in the scheduler's own thread: safe in the garbage collector."""
        if self._scheduler is not None:
            self._scheduler.post(self.close)


def _acquire(key: Hashable, number: int, name: str, make: Callable[[], Runtime]) -> Scheduler:
    with _table.lock:
        if not _table.schedulers:
            _watch_process()
        scheduler = _table.schedulers.get(key)
        if scheduler is None:
            scheduler = _table.schedulers[key] = Scheduler(name, make)
            _table.holders[scheduler] = set()
        _table.holders[scheduler].add(number)
        return scheduler


def _release(scheduler: Scheduler, number: int) -> bool:
    """Give a share back, and tell whether it was the last one."""
    with _table.lock:
        holders = _table.holders.get(scheduler, set())
        holders.discard(number)
        if holders or scheduler not in _table.holders:
            return False
        del _table.holders[scheduler]
        _table.schedulers = {key: one for key, one in _table.schedulers.items() if one is not scheduler}
        return True


_watched = False


def _watch_process() -> None:
    global _watched
    if _watched:
        return
    _watched = True
    atexit.register(_abandon_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)


def _abandon_all() -> None:
    """At the end of the process: no worker outlives it."""
    for scheduler in list(_table.schedulers.values()):
        if scheduler.pid == os.getpid():
            scheduler.abandon()


def _forget_all() -> None:
    global _table
    old, _table = _table, _Table()
    for scheduler in old.schedulers.values():
        scheduler.forget()
