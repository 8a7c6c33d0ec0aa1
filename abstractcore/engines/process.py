"""A model in a process of its own: this is the side that asks.

The two go in lockstep: one message down with what to cancel and to add, one step there, one message
up with what it gave. Measured on two cores, the round trip costs a twentieth of a millisecond,
while a step in this process may stop every other thread for as long as it takes, and a process
that dies of a damaged model is here an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from abstractcore import errors
from abstractcore.engines.frames import receive, send
from abstractcore.engines.model_files import is_hub_id, look_at
from abstractcore.engines.runtime import Accepted, Delta, Embedded, Event, Failed, Progress, Stage, Work
from abstractcore.engines.watchdog import Watchdog
from abstractcore.errors import AbstractCoreError, EngineDeadError, ModelLoadError, OutOfMemoryError

if TYPE_CHECKING:
    from abstractcore.engines.options import EngineOptions

_WORKER = "abstractcore.engines.worker"
_REPORT_BYTES = 4096
_REPORT_LINES = 3
_END_SECONDS = 5.0
_MEMORY_WORDS = ("bad_alloc", "bad alloc", "allocate", "memoryerror", "out of memory")


class ProcessRuntime:
    """One model in one worker process, which runs *module*: by default its own for *engine*."""

    def __init__(
        self,
        engine: str,
        path: str,
        options: EngineOptions,
        *,
        formats: Collection[str],
        max_batch: int,
        module: str | None = None,
        embeds: bool = False,
    ) -> None:
        self.max_batch = max_batch
        self._engine = engine
        self._embeds = embeds
        self._module = module or f"{_WORKER}.{engine}"
        self._formats = formats
        self._path = path
        self._options = options
        self._pid = os.getpid()
        self._worker: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._report: IO[bytes] | None = None
        self._is_interrupted = False
        self._cancel: list[int] = []
        self._add: list[tuple[int, dict[str, Any]]] = []

    # ---- load ----

    def load(self, progress: Progress) -> None:
        """Look at the files, start the worker, and wait until it has the model."""
        is_on_hub = is_hub_id(self._path)
        if not is_on_hub:
            # What is no model is known without starting anything.
            look_at(self._path, self._formats, embeds=self._embeds)
        self._start()
        self._send(
            {
                "engine": self._engine,
                "module": self._module,
                "embeds": self._embeds,
                "path": self._path,
                "is_on_hub": is_on_hub,
                "formats": list(self._formats),
                "options": asdict(self._options),
            }
        )
        while "ready" not in (told := self._receive_while_loading()):
            if "stage" not in told:
                raise self._refusal(told)
            progress(Stage.of(told["stage"], told["done"]))

    def _start(self) -> None:
        if not sys.executable:
            raise ModelLoadError("this Python does not know its own executable, so no worker can be started")
        self._report = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._worker = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._report,
            bufsize=0,
            env=environment,
            start_new_session=True,  # a Ctrl-C in the terminal is for this process alone
        )
        self._watchdog = Watchdog(self._worker, self._options.step_timeout)
        if self._is_interrupted:
            self._worker.kill()

    def _receive_while_loading(self) -> Any:
        assert self._watchdog is not None
        try:
            told = self._receive()
        except EngineDeadError as failure:
            kind = OutOfMemoryError if _is_about_memory(str(failure)) else ModelLoadError
            raise kind(f"{self._path} cannot be loaded: {failure}") from failure
        self._watchdog.ask()  # for the next stage
        return told

    def _refusal(self, told: dict[str, str]) -> AbstractCoreError:
        words = told.get("refused") or told.get("died") or str(told)
        if "kind" in told:
            return getattr(errors, told["kind"])(words)
        kind = OutOfMemoryError if _is_about_memory(words) else ModelLoadError
        return kind(f"{self._path} cannot be loaded: {_shortened(words)}")

    # ---- steps ----

    def add(self, job: int, prompt: Work) -> None:
        """Take a job; it goes down with the next step."""
        self._add.append((job, asdict(prompt)))

    def remove(self, job: int) -> None:
        """Cancel a job; the word goes down with the next step."""
        self._cancel.append(job)

    def step(self) -> Sequence[Event]:
        """Have the worker do one step, and read what it gave."""
        message = {"cancel": self._cancel, "add": self._add}
        self._cancel, self._add = [], []
        self._send(message)
        told = self._receive()
        if "died" in told:
            raise EngineDeadError(f"{self._engine} failed: {_shortened(told['died'])}")
        return [_EVENTS[kind](*fields) for kind, *fields in told["events"]]

    # ---- the worker ----

    def _send(self, message: Any) -> None:
        assert self._worker is not None
        assert self._watchdog is not None
        self._watchdog.ask()
        try:
            send(cast("BinaryIO", self._worker.stdin), message)
        except OSError as failure:
            raise self._death() from failure

    def _receive(self) -> Any:
        assert self._worker is not None
        assert self._watchdog is not None
        try:
            told = receive(cast("BinaryIO", self._worker.stdout))
        except (EOFError, OSError) as failure:
            raise self._death() from failure
        self._watchdog.hear()
        return told

    def _death(self) -> EngineDeadError:
        code = self._end()
        if self._watchdog is not None and self._watchdog.silence:
            ended = f"said nothing for {self._watchdog.silence:.0f} s and was ended: see step_timeout="
        elif code is None:
            ended = "hangs in the system, and cannot be ended"
        else:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return EngineDeadError(f"the {self._engine} process {ended}{self._last_words()}")

    def _last_words(self) -> str:
        if self._report is None:
            return ""
        size = self._report.seek(0, os.SEEK_END)
        self._report.seek(max(0, size - _REPORT_BYTES))
        lines = self._report.read().decode("utf-8", "replace").strip().splitlines()
        return f": {' | '.join(lines[-_REPORT_LINES:])}" if lines else ""

    # ---- the end ----

    def close(self) -> None:
        """End the worker; the memory is free when this returns."""
        self.interrupt()
        if self._watchdog is not None:
            self._watchdog.stop()
        self._let_go()

    def interrupt(self) -> None:
        """Kill the worker: a load or step that waits for it raises."""
        self._is_interrupted = True
        if self._worker is not None and self._pid == os.getpid():
            self._end()

    def _end(self) -> int | None:
        """Kill the worker, and give its exit code; None if the system does not let go of it."""
        assert self._worker is not None
        self._worker.kill()
        try:
            return self._worker.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def forget(self) -> None:
        """In a forked child: close the pipes, and leave the worker to the parent."""
        if self._worker is not None:
            self._worker.returncode = 0  # it is no child of ours, so there is nothing to wait for
        self._let_go()

    def _let_go(self) -> None:
        pipes = (self._worker.stdin, self._worker.stdout) if self._worker is not None else ()
        for pipe in (*pipes, self._report):
            if pipe is not None:
                pipe.close()


def _accepted(
    job: int, tokens: int | None, thinks: bool, warnings: list[str], cached: int | None
) -> Accepted:
    return Accepted(job, tokens, thinks, tuple(warnings), cached)


def _failed(job: int, kind: str, message: str) -> Failed:
    return Failed(job, getattr(errors, kind)(message))


_EVENTS: dict[str, Any] = {"accepted": _accepted, "delta": Delta, "failed": _failed, "embedded": Embedded}


def _is_about_memory(words: str) -> bool:
    lowered = words.lower()
    return any(word in lowered for word in _MEMORY_WORDS)


def _shortened(words: str) -> str:
    """Leave out where in its own source the runtime failed."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    told = [line for line in lines if not (line.startswith("Exception from ") or " failed at " in line)]
    return " ".join(told or lines)[:500]
