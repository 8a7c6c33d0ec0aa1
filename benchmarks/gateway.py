"""What the gateway costs: the same calls through it and past it, in one run, interleaved; medians.

The model server, the gateway and the client are three processes on loopback. `--quick` runs fewer rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from overhead import server

from abstractcore import LLM, create_llm

AT_ONCE = 300
DELAY_MS = 50  # of the model server's answer, or between two of its 50 chunks
_PROGRAM = "import sys, uvicorn; from abstractcore.serve import app; \
uvicorn.run(app({'m': __import__('abstractcore').create_llm('openai-compatible', 'test-model', \
base_url=sys.argv[1])}), port=int(sys.argv[2]), log_level='error', access_log=False)"


@contextlib.contextmanager
def gateway(upstream: str) -> Iterator[tuple[str, int]]:
    """Run a gateway before *upstream*; give its address and its process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, upstream, str(port)])
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, "the gateway ended"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1", process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used; Linux tells it."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def whole(llm: LLM, calls: int) -> float:
    """Calls a second, so many at once."""
    began = time.perf_counter()
    for _ in range(calls // AT_ONCE):
        answers = await asyncio.gather(*[llm.agenerate("Hi") for _ in range(AT_ONCE)])
        assert all(answer.content for answer in answers)
    return calls / (time.perf_counter() - began)


async def one_after_another(llm: LLM, calls: int) -> float:
    """Milliseconds a call."""
    began = time.perf_counter()
    for _ in range(calls):
        await llm.agenerate("Hi")
    return (time.perf_counter() - began) / calls * 1000


async def streamed(llm: LLM, chunks: int) -> float:
    """Chunks a second, of streams of 50 at once."""

    async def read() -> int:
        return len([chunk async for chunk in llm.agenerate("Hi", stream=True)])

    began = time.perf_counter()
    assert sum(await asyncio.gather(*[read() for _ in range(chunks // 50)])) >= chunks
    return chunks / (time.perf_counter() - began)


async def measure(upstream: str, rounds: int) -> None:
    with gateway(f"{upstream}/{DELAY_MS}/v1") as (url, pid), gateway(f"{upstream}/0/v1") as (fast, _):
        direct = create_llm("openai-compatible", "test-model", base_url=f"{upstream}/{DELAY_MS}/v1")
        near = create_llm("openai-compatible", "test-model", base_url=f"{upstream}/0/v1")
        through = create_llm("openai-compatible", "m", base_url=url)
        nearly = create_llm("openai-compatible", "m", base_url=fast)
        async with direct, near, through, nearly:
            rows: dict[str, list[tuple[float, float]]] = {}
            cpu: dict[str, list[tuple[float, float]]] = {"call": [], "chunk": []}
            for llm in (direct, through):
                await whole(llm, AT_ONCE)
            for _ in range(rounds):
                alone = [await one_after_another(llm, 200) for llm in (near, nearly)]
                add(rows, "ms a call, one after another", alone)
                for name, what, count, work in (
                    (f"calls/s, {AT_ONCE} at once", "call", 3 * AT_ONCE, whole),
                    ("chunks/s, 100 streams of 50 chunks", "chunk", 100 * 50, streamed),
                ):
                    own = time.process_time()
                    past = await work(direct, count)
                    own, before = time.process_time() - own, cpu_seconds(pid)
                    add(rows, name, [past, await work(through, count)])
                    cpu[what].append((own / count, (cpu_seconds(pid) - before) / count))
    show(rows, cpu)


def add(rows: dict[str, list[tuple[float, float]]], name: str, pair: list[float]) -> None:
    rows.setdefault(name, []).append((pair[0], pair[1]))


def show(rows: dict[str, list[tuple[float, float]]], cpu: dict[str, list[tuple[float, float]]]) -> None:
    print("| | past it | through the gateway | ratio |\n|---|---|---|---|")
    for name, pairs in rows.items():
        past, through = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"| {name} | {past:,.1f} | {through:,.1f} | {through / past:.2f} |")
    for what, seconds in cpu.items():
        client, gate = (statistics.median(side) * 1e6 for side in zip(*seconds, strict=True))
        print(f"| CPU, µs a {what}: the client's own, and the gateway's | {client:,.0f} | {gate:,.0f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 1 if parser.parse_args().quick else 5
    with server() as upstream:
        asyncio.run(measure(upstream, rounds))


if __name__ == "__main__":
    main()
