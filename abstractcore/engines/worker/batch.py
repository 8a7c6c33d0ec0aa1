"""The jobs of one model, whatever runs it: what each was promised, and its text so far.

Knows what a model is to the worker. Knows no pipe and no runtime.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.detokenize import Detokenizer, StopTexts

_TOLD = "tools are described in the prompt: this model's chat template knows none"


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt as a model reads it.

    *thinks* says that the chat template has opened a think block, *unsaid* what it could not express.
    Without *is_counted*, *ids* are not all of it: only its last output tells how long it was.
    """

    ids: list[int]
    thinks: bool = False
    unsaid: tuple[str, ...] = ()
    is_counted: bool = True


@dataclass(frozen=True, slots=True)
class Output:
    """What one step gave one job. A *finish* or a *refused* is the job's last."""

    number: int
    ids: Sequence[int] = ()
    finish: str | None = None
    refused: Refused | None = None
    input_tokens: int | None = None


class Model(Protocol):
    """A loaded model. Its module has a class of this name, made with the options of the load.

    Making one raises RuntimeError, ValueError, LookupError, OSError or MemoryError when it cannot be loaded.
    """

    context_length: int
    """The longest prompt and answer together, in tokens."""
    knows_tools: bool
    """Whether its chat template can speak of tools."""

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt. Raises Refused."""
        ...

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        ...

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int | None:
        """Take a job of at most *room* new tokens. Raises Refused.

        Gives how many of *ids* come out of the KV cache, None where the runtime does not tell.
        """
        ...

    def cancel(self, number: int) -> None:
        """Forget a job, if it is there; the next step frees its place."""
        ...

    def step(self) -> Sequence[Output]:
        """Give each job that decodes one token, or read a bounded piece of new prompts.

        What is raised is the end of all jobs.
        """
        ...


class _Job:
    """One answer: its text, and what of it waits to be sure."""

    def __init__(self, words: Detokenizer, stops: Sequence[str]) -> None:
        self.words = words
        self.stops = StopTexts(stops)

    def text(self, ids: Sequence[int], *, is_last: bool) -> str:
        text = self.stops.feed(self.words.feed(ids))
        if is_last and not self.stops.is_met:
            text += self.stops.feed(self.words.end())
        if is_last and not self.stops.is_met:
            text += self.stops.end()
        return text


class Batch:
    """Every job that the model works on. Each call gives events, ready for the pipe."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._jobs: dict[int, _Job] = {}

    def add(self, number: int, prompt: Mapping[str, Any]) -> list[Any]:
        """Take a job, or refuse it."""
        model = self._model
        unsaid: tuple[str, ...] = ()
        if prompt.get("described") is not None and not model.knows_tools:
            unsaid = (_TOLD,) if prompt["tools"] else ()
            prompt = {**prompt, "messages": prompt["described"], "tools": ()}
        try:
            reading = model.read(prompt)
            left = model.context_length - len(reading.ids)
            room = min(prompt["max_output_tokens"] or left, left)
            cached = model.start(number, reading.ids, prompt, room)
        except Refused as refusal:
            return [_failed(number, refusal)]
        except Exception as failure:  # noqa: BLE001 - its caller is told; the neighbours go on
            model.cancel(number)
            return [_failed(number, _refusal_of(failure))]
        self._jobs[number] = _Job(model.detokenizer(), prompt["stop"])
        length = len(reading.ids) if reading.is_counted else None
        return [["accepted", number, length, reading.thinks, (*unsaid, *reading.unsaid), cached]]

    def cancel(self, number: int) -> None:
        """Forget a job; the next step frees its place."""
        if self._jobs.pop(number, None) is not None:
            self._model.cancel(number)

    def step(self) -> list[Any]:
        """Advance every job by one step. Raises when the model cannot go on."""
        events: list[Any] = []
        has_cancelled = False
        for output in self._model.step():
            job = self._jobs.get(output.number)
            if job is None:
                continue
            if output.refused is not None:
                del self._jobs[output.number]
                events.append(_failed(output.number, output.refused))
                continue
            finish = output.finish
            text = job.text(output.ids, is_last=finish is not None)
            if job.stops.is_met:
                has_cancelled = has_cancelled or finish is None
                finish = "stop"
            if finish is not None:
                del self._jobs[output.number]
                self._model.cancel(output.number)
            events.append(["delta", output.number, text, len(output.ids), finish, output.input_tokens])
        if has_cancelled and not self._jobs:
            self._model.step()  # nobody will ask for another, and an idle model holds nothing
        return events


def _refusal_of(failure: Exception) -> Refused:
    """Name what a runtime raised for a new job, without its words, which may hold the prompt."""
    is_ours_to_tell = isinstance(failure, (ValueError, TypeError, ArithmeticError))
    kind = "ConfigurationError" if is_ours_to_tell else "EngineError"
    return Refused(kind, f"the runtime does not take this request: {type(failure).__name__}")


def _failed(number: int, refusal: Refused) -> list[Any]:
    return ["failed", number, refusal.kind, refusal.message]


def seed_of(sampling: Mapping[str, Any]) -> int:
    """Give the request's own seed, from 0 up to 2**63, or a random one."""
    seed = sampling.get("seed")
    return random.getrandbits(63) if seed is None else seed % 2**63
