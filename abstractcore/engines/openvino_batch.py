"""The jobs of one OpenVINO model: what each has been given, and which may start.

Runs in the worker's process. Knows no pipe.

A grammar that the runtime refuses raises in its first `step()`, while the neighbours of its job are being
sampled in other threads: the whole batch is broken by that. So a grammar that may be refused does its
first step alone. It waits until the batch is empty, and those behind it wait for it; once it has
passed, the same schema joins the batch like any other.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from abstractcore.engines.detokenize import StopTexts
from abstractcore.engines.plain_schema import is_plain
from abstractcore.engines.runtime import Refused

if TYPE_CHECKING:
    from abstractcore.engines.openvino_model import Model

_FINISH = {"STOP": "stop", "LENGTH": "length"}
_STEPS_UNTIL_IDLE = 5
_MAX_PROVEN = 1024


class _Job:
    """One answer: the ids of its prompt, how many tokens it may have, and the text that waits to be sure."""

    def __init__(self, number: int, prompt: Mapping[str, Any], ids: list[int], model: Model) -> None:
        self.number = number
        self.prompt = prompt
        self.ids = ids
        left = model.context_length - len(ids)
        self.room = min(prompt["max_output_tokens"] or left, left)
        self.words = model.detokenizer()
        self.stops = StopTexts(prompt["stop"])
        self.is_plain = prompt["schema"] is None or is_plain(prompt["schema"])
        self.handle: Any = None


class Batch:
    """Every job that the model works on. Each call gives events, ready for the pipe."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._jobs: dict[int, _Job] = {}
        self._queue: deque[_Job] = deque()
        self._proven: set[str] = set()
        self._requests = 0

    def add(self, number: int, prompt: Mapping[str, Any]) -> list[Any]:
        """Take a job, or refuse it."""
        try:
            ids, thinks, unsaid = self._model.read(prompt)
        except Refused as refusal:
            return [["failed", number, refusal.kind, refusal.message]]
        self._queue.append(_Job(number, prompt, ids, self._model))
        return [["accepted", number, len(ids), thinks, unsaid]]

    def cancel(self, number: int) -> None:
        """Forget a job; the next step frees its place."""
        job = self._jobs.pop(number, None)
        if job is not None:
            job.handle.cancel()
        self._queue = deque(job for job in self._queue if job.number != number)

    def step(self) -> list[Any]:
        """Advance every job by one step. Raises when the model cannot go on."""
        events, suspect = self._start_queued()
        try:
            if not self._model.is_idle():
                self._model.step()
        except RuntimeError:
            if suspect is None:
                raise
            return [*events, self._convict(suspect)]
        if suspect is not None:
            self._remember(suspect.prompt["schema"])
        for job in list(self._jobs.values()):
            events += self._read(job)
        if not self._jobs:
            self._settle()
        return events

    # ---- starting ----

    def _start_queued(self) -> tuple[list[Any], _Job | None]:
        """Start the jobs that may, in their order; give the one whose grammar is on trial."""
        events: list[Any] = []
        while self._queue:
            is_suspect = not self._is_trusted(self._queue[0])
            if is_suspect and self._jobs:
                break
            job = self._queue.popleft()
            if is_suspect:
                self._settle()
            try:
                self._start(job)
            except Refused as refusal:
                events.append(["failed", job.number, refusal.kind, refusal.message])
                continue
            if is_suspect:
                return events, job
        return events, None

    def _is_trusted(self, job: _Job) -> bool:
        return job.is_plain or job.prompt["schema"] in self._proven

    def _start(self, job: _Job) -> None:
        self._requests += 1
        seed = _seed(job.prompt["sampling"])
        job.handle = self._model.start(self._requests, job.ids, job.prompt, job.room, seed)
        self._jobs[job.number] = job

    def _remember(self, schema: str) -> None:
        if len(self._proven) >= _MAX_PROVEN:
            self._proven.clear()
        self._proven.add(schema)

    def _convict(self, suspect: _Job) -> list[Any]:
        """End the job whose grammar the runtime refused; it was alone."""
        suspect.handle.cancel()
        del self._jobs[suspect.number]
        self._settle()
        reason = "the runtime cannot follow this JSON Schema"
        return ["failed", suspect.number, "ConfigurationError", reason]

    # ---- reading ----

    def _read(self, job: _Job) -> list[Any]:
        if not job.handle.can_read():
            return []
        output = job.handle.read().get(0)
        if output is None:
            del self._jobs[job.number]
            return [["failed", job.number, "OutOfMemoryError", "the KV cache is full: see cache_gb="]]
        finish = _FINISH.get(output.finish_reason.name)
        text = self._text(job, output.generated_ids, is_last=finish is not None)
        if job.stops.is_met:
            finish = "stop"
            job.handle.cancel()
        if finish is not None:
            del self._jobs[job.number]
        return [["delta", job.number, text, len(output.generated_ids), finish]]

    @staticmethod
    def _text(job: _Job, ids: list[int], *, is_last: bool) -> str:
        text = job.stops.feed(job.words.feed(ids))
        if is_last and not job.stops.is_met:
            text += job.stops.feed(job.words.end())
        if is_last and not job.stops.is_met:
            text += job.stops.end()
        return text

    def _settle(self) -> None:
        """Step cancelled requests out of the pipeline, so that an idle model holds nothing."""
        for _ in range(_STEPS_UNTIL_IDLE):
            if not self._model.is_idle():
                self._model.step()
        if not self._model.is_idle():
            raise RuntimeError("requests that were cancelled are still there")


def _seed(sampling: Mapping[str, Any]) -> int:
    """Give the request's own seed, or a random one: the runtime's default is the same for all."""
    seed = sampling.get("seed")
    return random.getrandbits(63) if seed is None else seed % 2**63
