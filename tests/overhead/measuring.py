"""What ready, a call and a chunk cost, as multiples of what raw httpx spends on the same in the same run.

Two measures. *cpu* is the process' CPU time: it sees everything, and shakes on a busy machine, so that it is
the median of interleaved rounds. *steps* counts the bytecode instructions that are executed: it does not see
what C does, and comes out the same each time.

`python -m tests.overhead` prints the figures, and with `--record` keeps them as those to hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from abstractcore import create_llm

ROOT = Path(__file__).parents[2]
CHUNKS = 50
_PATH = "/v1/chat/completions"
_BODY: dict[str, Any] = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}
_STREAM = {**_BODY, "stream": True}
Work = Callable[[], Any]
Pair = tuple[Work, Work]
"""The same work, ours and raw httpx's; both may be async."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The model server of the benchmarks, in a process of its own, whose CPU is not counted."""
    command = [sys.executable, str(ROOT / "benchmarks" / "loopback.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


# ---- the work ------------------------------------------------------------------------------------


@contextlib.contextmanager
def calls(url: str, number: int) -> Iterator[Pair]:
    """Some calls one after the other, from a thread."""
    with _llm(url, 0) as llm, httpx.Client(timeout=60) as client:

        def ours() -> None:
            for _ in range(number):
                assert llm.generate("Hi").content == "Hello there."

        def raw() -> None:
            for _ in range(number):
                reply = client.post(f"{url}/0{_PATH}", json=_BODY)
                assert reply.json()["choices"][0]["message"]["content"] == "Hello there."

        yield ours, raw


@contextlib.asynccontextmanager
async def async_calls(url: str, number: int) -> Any:
    """Some calls one after the other, on an event loop."""
    async with _llm(url, 0) as llm, httpx.AsyncClient(timeout=60) as client:

        async def ours() -> None:
            for _ in range(number):
                assert (await llm.agenerate("Hi")).content == "Hello there."

        async def raw() -> None:
            for _ in range(number):
                reply = await client.post(f"{url}/0{_PATH}", json=_BODY)
                assert reply.json()["choices"][0]["message"]["content"] == "Hello there."

        yield ours, raw


@contextlib.asynccontextmanager
async def streams(url: str, number: int, delay: int) -> Any:
    """Some streams at once, of a chunk each *delay* ms: each chunk is a read of its own."""
    async with _llm(url, delay) as llm, httpx.AsyncClient(timeout=60) as client:

        async def our_stream() -> int:
            return sum([bool(chunk.content) async for chunk in llm.agenerate("Hi", stream=True)])

        async def raw_stream() -> int:
            async with client.stream("POST", f"{url}/{delay}{_PATH}", json=_STREAM) as reply:
                lines = [
                    json.loads(line[6:]) async for line in reply.aiter_lines() if line.startswith("data: {")
                ]
            return sum(bool(event["choices"][0]["delta"].get("content")) for event in lines)

        async def ours() -> None:
            assert {*await asyncio.gather(*(our_stream() for _ in range(number)))} == {CHUNKS}

        async def raw() -> None:
            assert {*await asyncio.gather(*(raw_stream() for _ in range(number)))} == {CHUNKS}

        yield ours, raw


def _llm(url: str, delay: int) -> Any:
    return create_llm("openai-compatible", "test-model", base_url=f"{url}/{delay}/v1", api_key="k")


# ---- the measures --------------------------------------------------------------------------------


async def cpu(pair: Pair, rounds: int) -> float:
    """CPU time, ours by theirs: the median of rounds in which each has a turn."""
    for work in pair:
        await _done(work)
    return statistics.median([await _seconds(pair[0]) / await _seconds(pair[1]) for _ in range(rounds)])


async def _seconds(work: Work) -> float:
    gc.collect()
    gc.disable()
    try:
        before = time.process_time()
        await _done(work)
        return time.process_time() - before
    finally:
        gc.enable()


async def steps(pair: Pair) -> float:
    """Bytecode instructions, ours by theirs."""
    for work in pair:
        await _done(work)
    ours, theirs = [await _instructions(work) for work in pair]
    return ours / theirs


async def _instructions(work: Work) -> int:
    count = 0

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return step

    tracer = sys.gettrace()
    sys.settrace(step)
    try:
        await _done(work)
    finally:
        sys.settrace(tracer)
    return count


async def _done(work: Callable[[], Awaitable[None] | None]) -> None:
    given = work()
    if given is not None:
        await given


# ---- the figures ---------------------------------------------------------------------------------


def ready(rounds: int = 5) -> float:
    """CPU time from nothing to an object that can be asked, ours by that of an httpx client."""
    told = "{}\nimport time; print(time.process_time())"
    ours = "from abstractcore import create_llm; create_llm('openai-compatible', 'm', base_url='http://a/v1')"
    raw = "import httpx; httpx.Client(verify=False)"
    codes = [told.format(code) for code in (ours, raw, "")]
    taken = [[_child(code) for code in codes] for _ in range(rounds)]
    return statistics.median((mine - bare) / (theirs - bare) for mine, theirs, bare in taken)


def imported() -> float:
    """Bytecode instructions of `import abstractcore`, by those of `import httpx`."""
    ours, theirs = [_child(_COUNTED.format(code)) for code in ("import abstractcore", "import httpx")]
    return ours / theirs


_COUNTED = """
import sys
count = 0
def step(frame, event, _):
    global count
    frame.f_trace_opcodes, frame.f_trace_lines = True, False
    count += event == "opcode"
    return step
sys.settrace(step)
exec({!r})
sys.settrace(None)
print(count)
"""


def _child(code: str) -> float:
    return float(subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True).stdout)


async def figures() -> dict[str, float]:
    """All figures of this run."""
    with server() as url:
        with calls(url, 100) as pair:
            found = {"call, cpu": await cpu(pair, 7)}
        with calls(url, 5) as pair:
            found["call, steps"] = await steps(pair)
        async with async_calls(url, 100) as pair:
            found["async call, cpu"] = await cpu(pair, 7)
        async with async_calls(url, 5) as pair:
            found["async call, steps"] = await steps(pair)
        async with streams(url, 10, 5) as pair:
            found["chunk, cpu"] = await cpu(pair, 5)
        async with streams(url, 1, 10) as pair:
            found["chunk, steps"] = await steps(pair)
    return {"import, steps": imported(), "ready, cpu": ready(), **found}
