"""The child program: measures one client, in the environment of that client, by commands on its input.

`child.py ADAPTER URL` says `{}` once it is ready, reads lines of JSON such as
`{"row": "concurrent", "width": 100}`,
and answers each with a line of figures. An answer that is not the server's words ends it with an error. Each
row opens a client of its own and warms it up.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import places
from counting import counter
from fresh import resident

TEXT = "Hello there."
STREAMED = "word " * 50
CHUNKS = 50
TICK = 0.005
Figures = dict[str, float]


def right(said: object, expected: str = TEXT) -> None:
    if said != expected:
        raise SystemExit(f"the answer is {said!r}, not {expected!r}")


async def asked(call: Callable[[], Awaitable[str]], times: int) -> None:
    for _ in range(times):
        right(await call())


async def streamed(stream: Callable[[], AsyncIterator[str | None]]) -> None:
    right("".join([piece async for piece in stream() if piece]), STREAMED)


class Spent:
    """CPU and wall seconds of a with-block."""

    def __enter__(self) -> Spent:
        gc.collect()
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu, self.wall = time.process_time() - self.cpu, time.perf_counter() - self.wall


# ---- the rows ------------------------------------------------------------------------------------


async def async_call(adapter: Any, url: str, *, calls: int) -> Figures:
    """One call after another on an event loop."""
    async with adapter.awaited(f"{url}/0") as (call, _):
        await asked(call, 10)
        with Spent() as spent:
            await asked(call, calls)
    return {"async_cpu": spent.cpu / calls * 1e6}


def sync_call(adapter: Any, url: str, *, calls: int) -> Figures:
    """One call after another from a thread."""
    with adapter.blocking(f"{url}/0") as call:
        for _ in range(10):
            right(call())
        with Spent() as spent:
            for _ in range(calls):
                right(call())
    return {"sync_cpu": spent.cpu / calls * 1e6}


async def chunk(adapter: Any, url: str, *, streams: int) -> Figures:
    """One stream after another, a chunk each millisecond; a stream's share of its own call is in it."""
    async with adapter.awaited(f"{url}/1") as (_, stream):
        await streamed(stream)
        with Spent() as spent:
            for _ in range(streams):
                await streamed(stream)
    return {"chunk_cpu": spent.cpu / (streams * CHUNKS) * 1e6}


class Lag:
    """By how much a ticker on this loop came late, at worst."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def _tick(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, time.perf_counter() - before - TICK)

    async def __aenter__(self) -> Lag:
        self.task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()


async def concurrent(adapter: Any, url: str, *, width: int, seconds: float) -> Figures:
    """Waves of *width* calls at once, a server that takes 50 ms, and at least one warm wave."""
    took: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        right(await call())
        took.append(time.perf_counter() - began)

    async with adapter.awaited(f"{url}/50") as (call, _):
        await asyncio.gather(*(one() for _ in range(width)))
        took.clear()
        async with Lag() as lag:
            await asyncio.sleep(0)
            with Spent() as spent:
                end = time.perf_counter() + seconds
                while not took or time.perf_counter() < end:
                    await asyncio.gather(*(one() for _ in range(width)))
    calls, ordered = len(took), sorted(took)
    return {
        f"cpu_{width}": spent.cpu / calls * 1e6,
        f"speed_{width}": calls / spent.wall,
        f"p50_{width}": statistics.median(ordered) * 1e3,
        f"p99_{width}": ordered[int((calls - 1) * 0.99)] * 1e3,
        f"lag_{width}": lag.worst * 1e3,
    }


async def paced(adapter: Any, url: str, *, width: int) -> Figures:
    """*width* streams at once, a chunk each 20 ms; keep-up is the server's time by ours."""
    async with adapter.awaited(f"{url}/20") as (_, stream):
        await streamed(stream)
        with Spent() as spent:
            await asyncio.gather(*(streamed(stream) for _ in range(width)))
    ideal = CHUNKS * 0.020
    return {"paced_cpu": spent.cpu / (width * CHUNKS) * 1e6, "keep_up": ideal / spent.wall}


def threads(adapter: Any, url: str, *, width: int, calls: int) -> Figures:
    """*width* threads with one client, each asking *calls* times; a server that answers at once."""

    def ask(times: int) -> None:
        for _ in range(times):
            right(call())

    with adapter.blocking(f"{url}/0") as call, ThreadPoolExecutor(width) as pool:
        list(pool.map(ask, [2] * width))
        with Spent() as spent:
            list(pool.map(ask, [calls] * width))
    return {"threads_speed": width * calls / spent.wall}


async def leak(adapter: Any, url: str, *, calls: int, seconds: float) -> Figures:
    """The slope of memory over up to *calls* calls, as far as *seconds* reach, without the first fifth."""
    samples: list[tuple[int, int]] = []
    step = calls // 100
    async with adapter.awaited(f"{url}/0") as (call, _):
        end = time.perf_counter() + seconds
        while len(samples) < 100 and (len(samples) < 10 or time.perf_counter() < end):
            await asked(call, step)
            gc.collect()
            samples.append((step * (len(samples) + 1), resident()))
    settled = samples[len(samples) // 5 :]
    slope = statistics.linear_regression(*zip(*settled, strict=True)).slope
    return {"leak": slope, "leak_calls": samples[-1][0]}


async def instructions(adapter: Any, url: str, *, calls: int) -> Figures:
    """Runs under callgrind: three spans, whose counts the parent reads."""
    span = counter()
    async with adapter.awaited(f"{url}/0") as (call, _):
        await asked(call, 5)
        with span():
            await asked(call, calls)
    async with adapter.awaited(f"{url}/20") as (_, stream):
        await streamed(stream)
        with span():
            await streamed(stream)
    if hasattr(adapter, "blocking"):
        await asyncio.to_thread(blocking_span, adapter, url, calls, span)
    return {}


def blocking_span(adapter: Any, url: str, calls: int, span: Any) -> None:
    with adapter.blocking(f"{url}/0") as call:
        for _ in range(5):
            right(call())
        with span():
            for _ in range(calls):
                right(call())


ROWS: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (async_call, sync_call, chunk, concurrent, paced, threads, leak, instructions)
}


def main() -> None:
    _, name, url = sys.argv
    figures_out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a client prints is not a figure
    adapter = places.adapter(name)
    print("{}", file=figures_out, flush=True)  # ready
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            command = json.loads(line)
            figures = ROWS[command.pop("row")](adapter, url, **command)
            if asyncio.iscoroutine(figures):
                figures = runner.run(figures)
            print(json.dumps(figures), file=figures_out, flush=True)


if __name__ == "__main__":
    main()
