"""What our own Python costs on a token's way from a runtime that does nothing to the caller's answer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abstractcore.engines.frames import receive, send
from abstractcore.engines.provider import EngineProvider
from abstractcore.engines.runtime import Accepted, Delta, Event, Progress, Prompt
from abstractcore.engines.worker.batch import Batch, Output, Reading
from abstractcore.engines.worker.detokenize import FromBytes
from abstractcore.generation.retry import Retry
from abstractcore.llm import LLM

AT_ONCE = 16
TOKENS = 200
STEP_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class OwnCost:
    """Microseconds of CPU: in the caller (scheduler, provider, answer), and on the worker's side."""

    caller_token: float
    caller_call: float
    worker_token: float


class Nothing:
    """A runtime without a model: each step gives each job a word, and sleeps as long as a fast one works."""

    max_batch = AT_ONCE

    def __init__(self) -> None:
        self.left: dict[int, int] = {}
        self.fresh: list[Event] = []

    def load(self, progress: Progress) -> None:
        """There is nothing to load."""

    def add(self, job: int, prompt: Prompt) -> None:
        self.left[job] = prompt.max_output_tokens or 1
        self.fresh.append(Accepted(job, 1))

    def remove(self, job: int) -> None:
        self.left.pop(job, None)

    def step(self) -> Sequence[Event]:
        time.sleep(STEP_SECONDS)  # else the caller would find many tokens at a time, which costs less
        events, self.fresh = self.fresh, []
        for job, left in list(self.left.items()):
            self.left[job] = left - 1
            if left > 1:
                events.append(Delta(job, "word ", 1))
            else:
                del self.left[job]
                events.append(Delta(job, "word", 1, "length"))
        return events

    def close(self) -> None:
        """There is nothing to free."""

    def interrupt(self) -> None:
        """A step takes no time."""

    def forget(self) -> None:
        """There is nothing to let go of."""


class NoModel:
    """The same for the worker's side: a model whose every token is a word."""

    context_length = 1_000_000

    def __init__(self) -> None:
        self.left: dict[int, int] = {}

    def read(self, prompt: Mapping[str, Any]) -> Reading:
        return Reading([0])

    def detokenizer(self) -> FromBytes:
        return FromBytes({0: b"word "}, ())

    def start(self, number: int, ids: list[int], prompt: Mapping[str, Any], room: int) -> int | None:
        self.left[number] = room
        return None

    def cancel(self, number: int) -> None:
        self.left.pop(number, None)

    def step(self) -> list[Output]:
        for number in self.left:
            self.left[number] -= 1
        return [Output(number, (0,), None if left else "length") for number, left in self.left.items()]


def own_cost(calls: int) -> OwnCost:
    """Measure with *calls* calls of many tokens, and as many of one."""
    short, long = asyncio.run(_in_caller(calls))
    per_call = short / calls
    per_token = (long - short) / (calls * (TOKENS - 1))
    return OwnCost(per_token * 1e6, per_call * 1e6, _in_worker(calls) * 1e6)


async def _in_caller(calls: int) -> tuple[float, float]:
    provider = EngineProvider("nothing", "none", key=lambda: "nothing", make=Nothing, strict=False)
    llm: Any = LLM(provider, retry=Retry(0), defaults={}, made_by=(LLM, {}))
    async with llm:
        await _seconds(llm, AT_ONCE, TOKENS)  # warm
        return await _seconds(llm, calls, 1), await _seconds(llm, calls, TOKENS)


async def _seconds(llm: Any, calls: int, tokens: int) -> float:
    """Give the CPU time of every thread for *calls* calls, some at once."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            response = await llm.agenerate("Go on.", max_output_tokens=tokens)
            assert response.usage.output_tokens == tokens

    began = time.process_time()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return time.process_time() - began


def _in_worker(calls: int) -> float:
    """Give the CPU time of one token through the worker's batch and over a pipe, both of its ends."""
    reading, writing = os.pipe()
    prompt = {"max_output_tokens": TOKENS, "stop": (), "sampling": {}}
    tokens = 0
    with open(reading, "rb", buffering=0) as inbox, open(writing, "wb", buffering=0) as outbox:
        began = time.process_time()
        while tokens < calls * TOKENS:
            batch = Batch(NoModel())
            for number in range(AT_ONCE):
                batch.add(number, prompt)
            for _ in range(TOKENS):
                send(outbox, {"events": batch.step()})
                tokens += len(receive(inbox)["events"])
        return (time.process_time() - began) / tokens
