"""The texts of every caller on one embedding model: a bounded piece of them at each step.

Knows what an embedding model is to the worker. Knows no pipe and no runtime.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from abstractcore.engines.runtime import Refused

_TEXTS_PER_STEP = 32


class Embedder(Protocol):
    """A loaded embedding model. Its module has a class `Model`, made with the options of the load."""

    max_tokens: int
    """The longest text, in tokens."""
    step_tokens: int
    """How many tokens one step takes: it bounds how long a cancel and the texts of others wait."""
    prompts: Mapping[str, str]
    """What the model wants before a text, by the name of its use."""
    default_prompt: str

    def count(self, texts: list[str]) -> Sequence[int]:
        """Count the tokens of each text."""
        ...

    def embed(self, texts: list[str], prompt: str) -> Any:
        """Give an array with a row for each text, *prompt* before it; what is too long is cut."""
        ...


@dataclass(slots=True)
class _Job:
    """The texts of one caller. *left* are the places of those that wait, the longest first."""

    texts: Sequence[str]
    prompt: str
    dimensions: int | None
    sizes: Sequence[int]
    left: list[int]
    vectors: dict[int, str] = field(default_factory=dict[int, str])


class EmbeddingBatch:
    """Every job that the model works on. Each call gives events, ready for the pipe."""

    def __init__(self, model: Embedder) -> None:
        self._model = model
        self._jobs: dict[int, _Job] = {}

    def add(self, number: int, order: Mapping[str, Any]) -> list[Any]:
        """Take a job, or refuse it."""
        try:
            self._jobs[number] = self._read(order)
        except Refused as refusal:
            return [["failed", number, refusal.kind, refusal.message]]
        return []

    def _read(self, order: Mapping[str, Any]) -> _Job:
        prompt = self._prompt(order["extra"])
        most = self._model.max_tokens
        sizes = self._model.count([prompt + text for text in order["texts"]])
        for place, size in enumerate(sizes):
            if size > most and not order["truncate"]:
                told = f"text {place} of its batch has {size} tokens, and the model takes {most}"
                raise Refused("ContextLengthError", f"{told}: shorten it, or pass truncate=True")
        sizes = [min(size, most) for size in sizes]
        left = sorted(range(len(sizes)), key=lambda place: -sizes[place])
        return _Job(order["texts"], prompt, order["dimensions"], sizes, left)

    def _prompt(self, extra: Mapping[str, Any]) -> str:
        if unknown := [name for name in extra if name not in ("prompt", "prompt_name")]:
            raise Refused("ConfigurationError", f"extra has no {unknown[0]} here: prompt or prompt_name")
        name = extra.get("prompt_name")
        if name is None:
            return str(extra.get("prompt", self._model.default_prompt))
        if name not in self._model.prompts:
            known = ", ".join(self._model.prompts) or "none"
            raise Refused("ConfigurationError", f"the model has no prompt named {name}; it has: {known}")
        return self._model.prompts[name]

    def cancel(self, number: int) -> None:
        """Forget a job."""
        self._jobs.pop(number, None)

    def step(self) -> list[Any]:
        """Embed one piece: the longest texts of the oldest job, with those of others that go with them."""
        piece: list[tuple[int, int]] = []
        longest = 0
        prompt: str | None = None
        for number, job in self._jobs.items():
            if prompt not in (None, job.prompt):
                continue
            prompt = job.prompt
            while job.left and len(piece) < _TEXTS_PER_STEP:
                longest = max(longest, job.sizes[job.left[0]])
                if (
                    piece and longest * (len(piece) + 1) > self._model.step_tokens
                ):  # they are padded to the longest
                    break
                piece.append((number, job.left.pop(0)))
        if not piece:
            return []
        texts = [self._jobs[number].texts[place] for number, place in piece]
        rows = self._model.embed(texts, prompt or "")
        for (number, place), row in zip(piece, rows, strict=True):
            job = self._jobs[number]
            job.vectors[place] = base64.b64encode(_shortened(row, job.dimensions)).decode()
        return [self._finished(number) for number, job in list(self._jobs.items()) if not job.left]

    def _finished(self, number: int) -> list[Any]:
        job = self._jobs.pop(number)
        vectors = [job.vectors[place] for place in range(len(job.texts))]
        return ["embedded", number, vectors, sum(job.sizes)]


def _shortened(row: Any, dimensions: int | None) -> bytes:
    """Give the first *dimensions* numbers of a row, as long a vector as before; all where it has fewer."""
    import numpy

    row = numpy.asarray(row, dtype="<f4")
    if dimensions is None or dimensions >= len(row):
        return row.tobytes()
    first = row[:dimensions]
    norm = float(numpy.linalg.norm(first))
    return (first * (float(numpy.linalg.norm(row)) / norm if norm else 1.0)).astype("<f4").tobytes()
