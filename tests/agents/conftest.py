"""One face for both surfaces: what is to be made of a client, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import abstractcore
from abstractcore import StreamChunk, aio, tool
from tests.fakes.any_wire import text
from tests.fakes.requests import Recorded
from tests.fakes.surfaces import Surface
from tests.fakes.wires import sent


class House:
    """The names of one surface, and `run` on it."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.is_sync = surface.name == "sync"
        names: Any = abstractcore if self.is_sync else aio
        self.client: Any = names.client
        self.Agent: Any = names.Agent
        self.Chain: Any = names.Chain
        self.Parallel: Any = names.Parallel
        self.Router: Any = names.Router
        self.EvaluatorOptimizer: Any = names.EvaluatorOptimizer
        self.pretty_print: Any = names.pretty_print

    def run(self, runs: Any, task: str = "Task.", **options: Any) -> Any:
        return self.surface.run(lambda: runs.run(task, **options))

    def start(self, runs: Any, task: str = "Task.", **options: Any) -> Any:
        return self.surface.start(lambda: runs.run(task, **options))

    def stream(self, runs: Any, task: str = "Task.", **options: Any) -> list[StreamChunk]:
        """All the chunks of a streamed run."""
        iterator = self.surface.iterate(self.surface.run(lambda: runs.run(task, stream=True, **options)))
        return list(iter(lambda: self.surface.step(iterator), None))

    def take_one(self, runs: Any, task: str = "Task.") -> StreamChunk:
        """Leave a streamed run by `break` after its first chunk."""

        def sync() -> Any:
            for chunk in runs.run(task, stream=True):
                return chunk

        async def awaited() -> Any:
            async for chunk in runs.run(task, stream=True):
                return chunk

        return self.surface.run(sync if self.is_sync else awaited)


@pytest.fixture
def house(surface: Surface) -> House:
    return House(surface)


@pytest.fixture
def failure_of() -> Callable[..., BaseException]:
    def failure_of(house: House, runs: Any, kind: Any = Exception, **options: Any) -> BaseException:
        with pytest.raises(kind) as raised:
            house.run(runs, **options)
        return raised.value

    return failure_of


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}!"


def echo(request: Recorded) -> Any:
    """Answer with the system prompt and the task."""
    asked = sent(request)
    return text(f"{asked.system}({asked.last})")


def texts(chunks: Sequence[StreamChunk], agent: str | None = None) -> str:
    return "".join(
        c.content for c in chunks if c.phase == "generating" and (agent is None or c.agent == agent)
    )
