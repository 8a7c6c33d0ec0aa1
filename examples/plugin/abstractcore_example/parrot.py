"""The module of the engine, which the worker's process imports. It gives back what the user said.

`Model` is all that the worker needs: it knows ids and steps. Batches, cancels, stop texts, deadlines and
streams are abstractcore's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abstractcore.engines.worker.batch import Output, Reading
from abstractcore.engines.worker.detokenize import Detokenizer, FromBytes


class Model:
    """One loaded model: here a token is a byte."""

    knows_tools = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        # Read the weights at options["path"] here; raise ValueError or OSError when they are no good.
        self.context_length: int = options["context_length"] or 2048
        self._left: dict[int, list[int]] = {}

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        """Give the ids of a prompt."""
        return Reading(list(prompt["messages"][-1]["content"].encode()))

    def detokenizer(self) -> Detokenizer:
        """Begin an answer's text."""
        return FromBytes({byte: bytes([byte]) for byte in range(256)}, silent=())

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int | None:
        """Take a job."""
        self._left[number] = ids[:room]
        return None

    def cancel(self, number: int) -> None:
        """Forget a job."""
        self._left.pop(number, None)

    def step(self) -> Sequence[Output]:
        """Give each job one token."""
        return [self._next(number, left) for number, left in self._left.items()]

    def _next(self, number: int, left: list[int]) -> Output:
        token = left.pop(0)
        return Output(number, [token], finish=None if left else "stop")
