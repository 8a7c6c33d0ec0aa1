"""A runtime without weights: each step of it gives each job one word of its own prompt back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from abstractcore.engines.provider import EngineProvider
from abstractcore.engines.runtime import Accepted, Delta, Event, Failed, Progress, Prompt
from abstractcore.errors import AbstractCoreError, ConfigurationError
from abstractcore.generation.retry import Retry
from abstractcore.llm import LLM

ENDLESS = "endless"


class Toy:
    """What the runtimes of one test share: the script, the gate of the steps, and what was done."""

    def __init__(self, *, max_batch: int = 4) -> None:
        self.max_batch = max_batch
        self.changed = threading.Condition()
        self.allowed: int | None = None
        """How many steps may still be done; None for any number."""
        self.steps: list[tuple[str, ...]] = []
        """For each step, the prompts that it advanced."""
        self.loads = 0
        self.closes = 0
        self.load_failure: Exception | None = None
        self.step_failure: BaseException | None = None
        self.load_gate = threading.Event()
        self.load_gate.set()
        self.stages = ("reading",)

    def hold(self) -> None:
        """Do no further step until some are allowed."""
        with self.changed:
            self.allowed = 0

    def allow(self, steps: int | None) -> None:
        """Let *steps* further steps be done; None for any number."""
        with self.changed:
            self.allowed = None if steps is None else (self.allowed or 0) + steps
            self.changed.notify_all()

    def wait_until(self, holds: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait for something that a step or the end of a runtime makes true."""
        with self.changed:
            assert self.changed.wait_for(holds, timeout)

    def steps_of(self, prompt: str) -> int:
        """How many steps advanced *prompt*."""
        return sum(prompt in step for step in self.steps)

    def make(self) -> ToyRuntime:
        return ToyRuntime(self)

    def llm(self, *, key: object = "toy", strict: bool = False) -> LLM:
        provider = EngineProvider("toy", "words", key=lambda: (id(self), key), make=self.make, strict=strict)
        return LLM(provider, retry=Retry(0), defaults={}, made_by=(self.llm, {}))


class ToyRuntime:
    """One life of the toy."""

    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.max_batch = toy.max_batch
        self.jobs: dict[int, list[str]] = {}
        self.prompts: dict[int, str] = {}
        self.fresh: list[Event] = []
        self.interrupted = False

    def load(self, progress: Progress) -> None:
        for stage in self.toy.stages:
            progress(stage)
        assert self.toy.load_gate.wait(10)
        self.toy.loads += 1
        if self.toy.load_failure is not None:
            raise self.toy.load_failure

    def add(self, job: int, prompt: Prompt) -> None:
        text: str = prompt.messages[-1]["content"]
        if text == "refuse":
            self.fresh.append(Failed(job, ConfigurationError("refused")))
            return
        self.prompts[job] = text
        self.jobs[job] = text.split()[: prompt.max_output_tokens]
        warnings = ("seed has no effect",) if "seed" in prompt.sampling else ()
        self.fresh.append(Accepted(job, len(text.split()), warnings=warnings))

    def remove(self, job: int) -> None:
        self.jobs.pop(job, None)

    def step(self) -> Sequence[Event]:
        toy = self.toy
        with toy.changed:
            toy.changed.wait_for(lambda: toy.allowed != 0 or self.interrupted, 20)
            if toy.allowed:
                toy.allowed -= 1
            if toy.step_failure is not None:
                failure, toy.step_failure = toy.step_failure, None
                raise failure
            events, self.fresh = self.fresh, []
            toy.steps.append(tuple(self.prompts[job] for job in self.jobs))
            events += [self._advance(job) for job in list(self.jobs)]
            toy.changed.notify_all()
        return events

    def _advance(self, job: int) -> Event:
        words = self.jobs[job]
        if words == [ENDLESS]:
            return Delta(job, "on ", 1)
        word = words.pop(0)
        if words:
            return Delta(job, word + " ", 1)
        del self.jobs[job]
        return Delta(job, word, 1, "stop")

    def close(self) -> None:
        with self.toy.changed:
            self.toy.closes += 1
            self.toy.changed.notify_all()

    def interrupt(self) -> None:
        with self.toy.changed:
            self.interrupted = True
            self.toy.changed.notify_all()

    def forget(self) -> None:
        pass


def scheduler_of(llm: LLM) -> Any:
    """The scheduler behind an LLM, to count by."""
    provider: Any = llm._provider
    return provider.lease.scheduler()


def failure_of(call: Callable[[], Any]) -> AbstractCoreError:
    try:
        result = call()
    except AbstractCoreError as failure:
        return failure
    raise AssertionError(f"it gave {result!r}")
