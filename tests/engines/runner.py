"""The worker's batch over a model in this process, for what is special to one engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.runtime import Prompt

from .conftest import needs

QUESTIONS = ("hello", "think", "emoji", "Count to twenty.", "What is the capital of France?")
COUNT = " ".join(map(str, range(1, 21)))
PACKAGES = {"mlx": "mlx_lm", "huggingface": "torch"}
TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat"
OPTIONS: Mapping[str, Any] = {
    "path": str(TINY),
    "context_length": 2048,
    "deterministic": True,
    "device": None,
    "dtype": None,
    "cache_gb": 1,
    "max_batch": 16,
    "threads": 1,
    "prefix_cache": True,
    "max_context": None,
    "adapters": (),
    "draft_model": None,
}


class Runner:
    """The worker's batch over a model, and what came of each of its jobs."""

    def __init__(self, model: Any) -> None:
        from abstractcore.engines.worker.batch import Batch

        self.model = model
        self.batch = Batch(model)
        self.texts: dict[int, str] = {}
        self.cached: dict[int, int] = {}
        self.lengths: dict[int, int] = {}
        self.ends: dict[int, str] = {}
        self.order: list[int] = []
        self._numbers = iter(range(10_000))

    def add(self, question: str | Sequence[Mapping[str, Any]], **fields: Any) -> int:
        """Add a job, and give its number."""
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        number = next(self._numbers)
        self.texts[number] = ""
        self._take(self.batch.add(number, asdict(Prompt(messages=messages, **fields))))
        return number

    def step(self) -> None:
        self._take(self.batch.step())

    def run(self) -> None:
        """Step until every job has ended."""
        for _ in range(5000):
            if len(self.ends) == len(self.texts):
                return
            self.step()
        raise AssertionError("a job does not end")

    def cancel(self, number: int) -> None:
        self.batch.cancel(number)
        self.ends[number] = "cancelled"

    def answer(self, question: str | Sequence[Mapping[str, Any]], **fields: Any) -> str:
        number = self.add(question, **fields)
        self.run()
        return self.texts[number]

    def _take(self, events: Sequence[Any]) -> None:
        for kind, number, *fields in events:
            if kind == "accepted":
                self.lengths[number], self.cached[number] = fields[0], fields[3]
            elif kind == "failed":
                self.ends[number] = fields[0]
            else:
                self.order.append(number)
                self.texts[number] += fields[0]
                if fields[2] is not None:
                    self.ends[number] = fields[2]


def load_model(engine: str, **options: Any) -> Any:
    """Make a Model in this process, of the tiny model unless *options* say another path."""
    needs(PACKAGES[engine])
    return _model_class(engine)({**OPTIONS, **options})


@cache
def _model_class(engine: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        # mlx-lm lowers the number of files that its process may open, for good.
        patch.setattr("resource.setrlimit", lambda *_: None)
        return import_module(f"abstractcore.engines.worker.{engine}").Model


@cache
def tiny_model(engine: str) -> Any:
    """Give the tiny model, without a store of prefixes."""
    return load_model(engine, prefix_cache=False)


@cache
def solo_answers(engine: str) -> dict[str, str]:
    """Give the greedy answer to each question, asked alone."""
    return {question: Runner(tiny_model(engine)).answer(question) for question in QUESTIONS}
