"""The jobs of one OpenVINO model: what each has been given, and what to do when a step fails.

Runs in the worker's process. Knows no pipe.

A grammar that the runtime refuses raises in `step()` and takes every job of the batch with it. So a
grammar that has not produced a token yet is never in the batch beside another such one: when a step
fails, it is the one that ends, and the others are started again from what they have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from abstractcore.engines.detokenize import StopTexts
from abstractcore.engines.openvino_model import Refused, draw_seed

if TYPE_CHECKING:
    from abstractcore.engines.openvino_model import Model

_FINISH = {"STOP": "stop", "LENGTH": "length"}
_STEPS_UNTIL_IDLE = 5
_MAX_PROVEN = 1024


class _Job:
    """One answer: its prompt, its ids so far, and the text that waits to be sure."""

    def __init__(self, number: int, prompt: Mapping[str, Any], ids: list[int], model: Model) -> None:
        self.number = number
        self.prompt = prompt
        self.prompt_ids = ids
        self.answer_ids: list[int] = []
        left = model.context_length - len(ids)
        self.room = min(prompt["max_output_tokens"] or left, left)
        self.seed = draw_seed(prompt["sampling"])
        self.words = model.detokenizer()
        self.stops = StopTexts(prompt["stop"])
        self.handle: Any = None


class Batch:
    """Every job that the model works on. Each call gives events, ready for the pipe."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._jobs: dict[int, _Job] = {}
        self._held: deque[_Job] = deque()
        self._suspect: _Job | None = None
        self._proven: set[str] = set()
        self._requests = 0

    def add(self, number: int, prompt: Mapping[str, Any]) -> list[Any]:
        """Take a job, or refuse it."""
        try:
            ids, thinks, unsaid = self._model.read(prompt)
            job = _Job(number, prompt, ids, self._model)
            if self._is_unproven(job):
                self._held.append(job)
            else:
                self._start(job)
        except Refused as refusal:
            return [["failed", number, refusal.kind, refusal.message]]
        return [["accepted", number, len(ids), thinks, unsaid]]

    def cancel(self, number: int) -> None:
        """Forget a job; the next step frees its place."""
        job = self._jobs.pop(number, None)
        if job is not None:
            job.handle.cancel()
            self._clear(job)
        self._held = deque(job for job in self._held if job.number != number)

    def step(self) -> list[Any]:
        """Advance every job by one step. Raises when the model cannot go on."""
        events = self._start_held()
        try:
            if not self._model.is_idle():
                self._model.step()
        except RuntimeError as failure:
            if self._suspect is None:
                raise
            return events + self._recover(failure)
        for job in list(self._jobs.values()):
            events += self._read(job)
        if not self._jobs:
            self._settle()
        return events

    # ---- starting ----

    def _is_unproven(self, job: _Job) -> bool:
        return job.prompt["schema"] is not None and job.prompt["schema"] not in self._proven

    def _start(self, job: _Job) -> None:
        self._requests += 1
        left = job.room - len(job.answer_ids)
        ids = job.prompt_ids + job.answer_ids
        job.handle = self._model.start(self._requests, ids, job.prompt, left, job.seed)
        self._jobs[job.number] = job

    def _start_held(self) -> list[Any]:
        """Let the next job with a grammar in, if none in the batch is unproven."""
        events: list[Any] = []
        while self._held and self._suspect is None:
            job = self._held.popleft()
            try:
                self._start(job)
            except Refused as refusal:
                events.append(["failed", job.number, refusal.kind, refusal.message])
                continue
            if self._is_unproven(job):
                self._suspect = job
        return events

    # ---- reading ----

    def _read(self, job: _Job) -> list[Any]:
        if not job.handle.can_read():
            return []
        output = job.handle.read().get(0)
        if output is None:
            self._end(job)
            return [["failed", job.number, "OutOfMemoryError", "the KV cache is full: see cache_gb="]]
        self._prove(job)
        job.answer_ids += output.generated_ids
        finish = _FINISH.get(output.finish_reason.name)
        text = job.stops.feed(job.words.feed(output.generated_ids))
        if finish is not None and not job.stops.is_met:
            text += job.stops.feed(job.words.end())
        if job.stops.is_met:
            finish = "stop"
            job.handle.cancel()
        elif finish is not None:
            text += job.stops.end()
        if finish is not None:
            self._end(job)
        return [["delta", job.number, text, len(output.generated_ids), finish]]

    def _prove(self, job: _Job) -> None:
        if job is self._suspect:
            if len(self._proven) >= _MAX_PROVEN:
                self._proven.clear()
            self._proven.add(job.prompt["schema"])
            self._clear(job)

    def _end(self, job: _Job) -> None:
        del self._jobs[job.number]
        self._clear(job)

    def _clear(self, job: _Job) -> None:
        if job is self._suspect:
            self._suspect = None

    def _settle(self) -> None:
        """Step cancelled requests out of the pipeline, so that an idle model holds nothing."""
        for _ in range(_STEPS_UNTIL_IDLE):
            if self._model.is_idle():
                return
            self._model.step()

    # ---- a step that failed ----

    def _recover(self, failure: RuntimeError) -> list[Any]:
        """End the suspect, and start its neighbours again from where they are."""
        suspect = self._suspect
        assert suspect is not None
        innocent = [job for job in self._jobs.values() if job is not suspect]
        events = [event for job in innocent for event in self._read(job)]
        suspect.handle.cancel()
        self._end(suspect)
        for job in self._jobs.values():
            job.handle.cancel()
        self._settle()
        if not self._model.is_idle():
            raise failure
        for job in list(self._jobs.values()):
            self._start(job)
        reason = "the runtime cannot follow this JSON Schema"
        return [*events, ["failed", suspect.number, "ConfigurationError", reason]]
