"""Continuous batching: one thread owns a runtime, and each step advances every running job.

Knows jobs, their mailboxes and their owners. Knows nothing of chat templates, of text or of any
one runtime. Everything that changes its state is done by its thread: the others, and the garbage
collector, put commands into a queue whose `put` never blocks and may interrupt itself.
"""

from __future__ import annotations

import copy
import itertools
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from abstractcore.engines.runtime import (
    Accepted,
    Delta,
    Embedded,
    Event,
    Failed,
    Progress,
    Runtime,
    Work,
)
from abstractcore.errors import (
    AbstractCoreError,
    ClosedError,
    EngineDeadError,
    EngineError,
    RequestTimeoutError,
)

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver, Mailbox

MAX_WAITING = 10_000
_JOIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One prompt on its way through the batch, and the caller who waits for it."""

    id: int
    prompt: Work
    owner: object
    mailbox: Mailbox[Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Loader:
    """A caller who waits for the model to be loaded."""

    owner: object
    mailbox: Mailbox[Any]


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a scheduler is: the steps it has done, and its jobs."""

    steps: int
    running: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    pass


class Ticket:
    """A caller's hold on a job. Leave it, and the job ends at its next step."""

    def __init__(self, scheduler: Scheduler, job: Job) -> None:
        self._scheduler = scheduler
        self._job = job
        self._is_over = False

    async def next(self, deadline: Deadline) -> Accepted | Delta | Embedded:
        """Wait for what the job gives next, or raise what ended it."""
        event = await self._scheduler.receive(self._job.mailbox, deadline)
        self._is_over = _is_last(event)
        return event

    def leave(self) -> None:
        """End the job, unless it has ended. Never blocks."""
        if not self._is_over:
            self._is_over = True
            self._scheduler.cancel(self._job)


def _is_last(event: Event) -> bool:
    if isinstance(event, Delta):
        return event.finish_reason is not None
    return isinstance(event, Failed | Embedded)


class Scheduler:
    """Runs the jobs of every caller as one batch.

    The thread starts now, and the runtime loads with the first job. *make* gives a fresh runtime;
    it is called again after one has died.
    """

    def __init__(self, name: str, make: Callable[[], Runtime], *, max_waiting: int = MAX_WAITING) -> None:
        self.name = name
        self.pid = os.getpid()
        self._make = make
        self._max_waiting = max_waiting
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._runtime: Runtime | None = None
        self._is_loaded = False
        self._waiting: OrderedDict[int, Job] = OrderedDict()
        self._running: dict[int, Job] = {}
        self._loaders: list[_Loader] = []
        self._has_removed = False
        self._steps = 0
        self._is_closing = False
        self._is_silent = False
        self._has_ended = False
        self._thread = threading.Thread(target=self._main, name=f"abstractcore {name}", daemon=True)
        self._thread.start()

    # ---- from any thread ----

    def submit(self, driver: Driver, prompt: Work, owner: object) -> Ticket:
        """Queue a job for *owner*; what it gives comes to a mailbox of the caller's *driver*."""
        job = Job(next(self._ids), prompt, owner, driver.mailbox())
        self.post(partial(self._enqueue, job))
        self._check_alive()
        return Ticket(self, job)

    async def load(
        self, driver: Driver, owner: object, deadline: Deadline, progress: Progress | None
    ) -> None:
        """Load the model for *owner*, unless it is loaded. *progress* is called here, by the caller."""
        mailbox: Mailbox[Any] = driver.mailbox()
        self.post(partial(self._loaders.append, _Loader(owner, mailbox)))
        self._check_alive()
        while not isinstance(event := await self.receive(mailbox, deadline), _Loaded):
            if progress is not None:
                progress(event)

    async def receive(self, mailbox: Mailbox[Any], deadline: Deadline) -> Any:
        """Wait for the thread's next word, or raise the error that it is."""
        if os.getpid() != self.pid:
            raise EngineDeadError(f"{self.name}: the process was forked, and the model stayed in its parent")
        try:
            event = await mailbox.get(deadline)
        except TimeoutError:
            event = None
        if event is None or deadline.left() <= 0:
            message = f"{self.name}: the {deadline.seconds:g} s that the call had are over"
            raise RequestTimeoutError(message, phase="total")
        if isinstance(event, AbstractCoreError):
            raise event
        return event

    def cancel(self, job: Job) -> None:
        """End a job. Never blocks, also not from the garbage collector."""
        self.post(partial(self._cancel, job))

    def release(self, owner: object) -> None:
        """End all jobs and loads of *owner* with ClosedError."""
        self.post(partial(self._release, owner))

    def post(self, command: Callable[[], None]) -> None:
        """Have the thread do *command* before its next step."""
        self._commands.put(command)

    def close(self) -> None:
        """Free the model; jobs that are left end with ClosedError. Waits until it is done."""
        self._is_closing = True
        self.post(lambda: None)
        runtime = self._runtime
        if runtime is not None:
            runtime.interrupt()
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_SECONDS)

    def abandon(self) -> None:
        """At the end of the process: stop, and tell nobody; who still waits is a daemon thread."""
        self._is_silent = True
        self._is_closing = True
        if self._runtime is not None:
            self._runtime.interrupt()

    def forget(self) -> None:
        """In a forked child: let go of the parent's model."""
        if self._runtime is not None:
            self._runtime.forget()

    def busy(self) -> Load:
        """Tell how busy it is."""
        return Load(self._steps, len(self._running), len(self._waiting))

    def _check_alive(self) -> None:
        # The thread says that it has ended before it looks at its queue for the last time.
        if self._has_ended:
            raise ClosedError(f"{self.name}: the model was closed")

    # ---- the thread ----

    def _main(self) -> None:
        while not self._is_closing:
            try:
                self._turn()
            except BaseException as failure:  # noqa: BLE001 - each caller is told
                # Whatever it was, the next job starts afresh.
                self._die(failure)
        self._has_ended = True
        if self._is_silent:
            return
        self._obey(wait=False)
        self._end_all(ClosedError(f"{self.name}: the model was closed"))
        self._drop_runtime()

    def _turn(self) -> None:
        """Do what was asked, load and admit where that is due, and step once."""
        self._obey(wait=not (self._waiting or self._loaders or self._running or self._has_removed))
        if self._is_closing:
            return
        if self._waiting or self._loaders:
            runtime = self._ready()
            if runtime is None:
                return
            self._admit(runtime)
        if self._runtime is not None and (self._running or self._has_removed):
            self._has_removed = False
            events = self._runtime.step()
            self._steps += 1
            self._deliver(events)

    def _obey(self, *, wait: bool) -> None:
        if wait:
            self._commands.get()()
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            command()

    def _ready(self) -> Runtime | None:
        """Give the runtime, loaded; None when a close came before that."""
        if self._runtime is None:
            self._runtime = self._make()
        if not self._is_loaded and not self._is_closing:
            self._runtime.load(self._tell_stage)
            self._is_loaded = True
            self._obey(wait=False)  # who has closed meanwhile is not told of a success
        if self._is_closing:
            return None
        for loader in self._loaders:
            loader.mailbox.put(_Loaded())
        self._loaders.clear()
        return self._runtime

    def _jobs(self) -> list[Job]:
        return [*self._running.values(), *self._waiting.values()]

    def _tell_stage(self, text: str) -> None:
        self._obey(wait=False)
        for loader in self._loaders:
            loader.mailbox.put(text)

    def _admit(self, runtime: Runtime) -> None:
        while self._waiting and len(self._running) < runtime.max_batch:
            number, job = self._waiting.popitem(last=False)
            self._running[number] = job
            runtime.add(number, job.prompt)

    def _deliver(self, events: Iterable[Event]) -> None:
        for event in events:
            job = self._running.get(event.job)
            if job is None:  # it was cancelled while the step ran
                continue
            if _is_last(event):
                del self._running[job.id]
            job.mailbox.put(event.error if isinstance(event, Failed) else event)

    # ---- commands, done by the thread ----

    def _enqueue(self, job: Job) -> None:
        if len(self._waiting) < self._max_waiting:
            self._waiting[job.id] = job
            return
        full = f"{self.name}: {self._max_waiting} calls are waiting already"
        job.mailbox.put(EngineError(full, retryable=True))

    def _cancel(self, job: Job) -> None:
        if self._running.pop(job.id, None) is not None:
            self._has_removed = True
            if self._runtime is not None:
                self._runtime.remove(job.id)
        self._waiting.pop(job.id, None)

    def _release(self, owner: object) -> None:
        leaving = [one for one in (*self._jobs(), *self._loaders) if one.owner is owner]
        self._loaders = [loader for loader in self._loaders if loader.owner is not owner]
        for one in leaving:
            if isinstance(one, Job):
                self._cancel(one)
            one.mailbox.put(ClosedError(f"{self.name}: the provider was closed"))

    # ---- ends ----

    def _die(self, failure: BaseException) -> None:
        """Tell every caller, and drop the runtime."""
        if self._is_closing:
            return
        self._obey(wait=False)  # who came while it died waits too
        error = failure
        if not isinstance(failure, AbstractCoreError):
            error = EngineDeadError(f"{self.name}: the engine died: {type(failure).__name__}: {failure}")
            error.__cause__ = failure
        self._end_all(error)
        self._drop_runtime()

    def _end_all(self, error: BaseException) -> None:
        mailboxes = [one.mailbox for one in (*self._jobs(), *self._loaders)]
        self._running.clear()
        self._waiting.clear()
        self._loaders.clear()
        for mailbox in mailboxes:
            told = copy.copy(error)  # each caller raises its own: what is raised is changed on its way
            told.__cause__ = error.__cause__
            mailbox.put(told)

    def _drop_runtime(self) -> None:
        runtime, self._runtime = self._runtime, None
        self._is_loaded = False
        self._has_removed = False
        if runtime is not None:
            runtime.close()
