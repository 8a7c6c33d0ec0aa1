"""What abstractcore costs beside raw httpx, in one run: medians of interleaved rounds, CPU time first.

`python benchmarks/overhead.py` runs everything and prints a table with the targets;
`--quick` runs fewer rounds. The server is another process on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from abstractcore import LLM, create_llm

HERE = Path(__file__).parent
Row = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Wire:
    """One wire, as each side speaks it: our row, and for httpx a path, a body and where the words are."""

    name: str
    provider: str
    path: str
    body: dict[str, Any]
    said: Callable[[Any], str]
    said_streamed: Callable[[Any], str]
    options: dict[str, Any] = field(default_factory=dict)
    prefix: str = "data: "
    """What stands before an event's JSON in a line."""


_ASKED: dict[str, Any] = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = Wire(
    "Chat Completions",
    "openai-compatible",
    "/v1/chat/completions",
    _ASKED,
    lambda body: body["choices"][0]["message"]["content"],
    lambda event: event["choices"][0]["delta"].get("content"),
)
WIRES = (
    CHAT,
    Wire(
        "Responses",
        "openai",
        "/v1/responses",
        {"model": "test-model", "input": "Hi"},
        lambda body: body["output"][0]["content"][0]["text"],
        lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
        {"api": "responses"},
    ),
    Wire(
        "Messages",
        "anthropic",
        "/v1/messages",
        {**_ASKED, "max_tokens": 1000},
        lambda body: body["content"][0]["text"],
        lambda event: event["delta"]["text"] if event["type"] == "content_block_delta" else "",
    ),
    Wire(
        "Ollama's chat",
        "ollama",
        "/api/chat",
        {**_ASKED, "stream": False},
        lambda body: body["message"]["content"],
        lambda event: event["message"]["content"],
        prefix="",
    ),
)


@contextlib.contextmanager
def server() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "loopback.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdin
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(10)


# ---- the two that are compared -----------------------------------------------------------------


@contextlib.asynccontextmanager
async def ours(url: str, delay: int, wire: Wire = CHAT) -> AsyncIterator[LLM]:
    options = {"base_url": f"{url}/{delay}/v1", **wire.options}
    async with create_llm(wire.provider, "test-model", **options) as llm:
        yield llm


@contextlib.asynccontextmanager
async def raw(limits: httpx.Limits | None = None) -> AsyncIterator[httpx.AsyncClient]:
    options = {} if limits is None else {"limits": limits}
    async with httpx.AsyncClient(timeout=120, **options) as client:
        yield client


async def our_call(llm: LLM) -> None:
    response = await llm.agenerate("Hi")
    assert response.content == "Hello there."


async def raw_call(client: httpx.AsyncClient, url: str, delay: int, wire: Wire = CHAT) -> None:
    response = await client.post(f"{url}/{delay}{wire.path}", json=wire.body)
    assert wire.said(response.json()) == "Hello there."


async def our_stream(llm: LLM) -> int:
    count = 0
    async for chunk in llm.agenerate("Hi", stream=True):
        count += bool(chunk.content)
    return count


async def raw_stream(client: httpx.AsyncClient, url: str, delay: int, wire: Wire = CHAT) -> int:
    count = 0
    asked = {**wire.body, "stream": True}
    async with client.stream("POST", f"{url}/{delay}{wire.path}", json=asked) as response:
        async for line in response.aiter_lines():
            if line.startswith(wire.prefix) and line and line != "data: [DONE]":
                count += bool(wire.said_streamed(json.loads(line[len(wire.prefix) :])))
    return count


async def spent(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Tell the CPU and the wall seconds of *work*."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return time.process_time() - cpu, time.perf_counter() - wall


# ---- the rows ----------------------------------------------------------------------------------


def import_cost(rounds: int) -> Row:
    def child(code: str) -> float:
        program = f"{code}\nimport time; print(time.process_time())"
        return float(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

    costs = [child("import abstractcore") - child("") for _ in range(max(9, rounds))]
    cost = statistics.median(costs) * 1000
    return "import abstractcore, CPU", f"{cost:.1f} ms", "< 60 ms", cost < 60


async def sequential(url: str, rounds: int, calls: int, wire: Wire) -> Row:
    async with ours(url, 0, wire) as llm, raw() as client:

        async def of_ours() -> None:
            for _ in range(calls):
                await our_call(llm)

        async def of_raw() -> None:
            for _ in range(calls):
                await raw_call(client, url, 0, wire)

        mine, theirs = await compared(of_ours, of_raw, rounds, calls)
    value = f"{mine:.0f} µs against {theirs:.0f} µs: {mine / theirs:.2f} x"
    name = f"{wire.name}, one call after another, CPU a call"
    return name, value, "<= 1.25 x raw httpx", mine <= 1.25 * theirs


async def compared(
    of_ours: Callable[[], Awaitable[Any]], of_raw: Callable[[], Awaitable[Any]], rounds: int, parts: int
) -> tuple[float, float]:
    """Tell the microseconds of CPU that a part takes, ours and theirs: medians of interleaved rounds."""
    await of_ours()
    await of_raw()
    pairs = [((await spent(of_ours))[0], (await spent(of_raw))[0]) for _ in range(rounds)]
    mine, theirs = (statistics.median(side) / parts * 1e6 for side in zip(*pairs, strict=True))
    return mine, theirs


async def concurrent(url: str, rounds: int, width: int, calls: int, wire: Wire) -> list[Row]:
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=None)

    async def throughput(call: Callable[[], Awaitable[Any]], number: int) -> float:
        gate = asyncio.Semaphore(width)

        async def one() -> None:
            async with gate:
                await call()

        _, wall = await spent(lambda: asyncio.gather(*(one() for _ in range(number))))
        return number / wall

    speeds: list[tuple[float, float, float]] = []
    async with ours(url, 50, wire) as llm, raw(unlimited) as free, raw() as default:
        for _ in range(rounds):
            mine = await throughput(lambda: our_call(llm), calls)
            slow = await throughput(lambda: raw_call(free, url, 50, wire), width * 2)
            stock = await throughput(lambda: raw_call(default, url, 50, wire), width * 2)
            speeds.append((mine, slow, stock))
    mine, slow, stock = (statistics.median(side) for side in zip(*speeds, strict=True))
    name = f"{wire.name}, {width} concurrent, 50 ms, calls a second"
    return [
        (
            name,
            f"{mine:.0f} against {slow:.0f}: {mine / slow:.1f} x",
            ">= 8 x unlimited httpx",
            mine >= 8 * slow,
        ),
        (
            name,
            f"{mine:.0f} against {stock:.0f}: {mine / stock:.1f} x",
            ">= 3 x default httpx",
            mine >= 3 * stock,
        ),
    ]


async def thousand(url: str, wire: Wire) -> Row:
    lag = 0.0

    async def ticker() -> None:
        nonlocal lag
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lag = max(lag, time.perf_counter() - before - 0.005)

    failures: list[BaseException] = []
    async with ours(url, 50, wire) as llm:
        ticking = asyncio.create_task(ticker())

        async def work() -> None:
            for _ in range(3):
                ended = await asyncio.gather(*(our_call(llm) for _ in range(1000)), return_exceptions=True)
                failures.extend(each for each in ended if each is not None)

        cpu, wall = await spent(work)
        ticking.cancel()
    speed, cost = 3000 / wall, cpu / 3000 * 1e6
    told = f"{len(failures)} failed" + (f", first {failures[0]!r:.80}" if failures else "")
    value = f"{told}, {speed:.0f} calls/s, {cost:.0f} µs CPU a call, loop lag {lag * 1000:.0f} ms"
    return f"{wire.name}, 1,000 concurrent, 50 ms", value, "0 failed", not failures


async def streams(url: str, rounds: int, width: int, wire: Wire) -> Row:
    async with ours(url, 20, wire) as llm, raw() as client:

        async def of_ours() -> None:
            counts = await asyncio.gather(*(our_stream(llm) for _ in range(width)))
            assert set(counts) == {50}

        async def of_raw() -> None:
            counts = await asyncio.gather(*(raw_stream(client, url, 20, wire) for _ in range(width)))
            assert set(counts) == {50}

        mine, theirs = await compared(of_ours, of_raw, rounds, width * 50)
    value = f"{mine:.0f} µs against {theirs:.0f} µs: {mine / theirs:.2f} x"
    name = f"{wire.name}, {width} streams, a chunk each 20 ms, CPU a chunk"
    return name, value, "<= 1 x raw httpx", mine <= theirs


async def leaks(url: str, calls: int, wire: Wire) -> list[Row]:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def sockets() -> int:
        links = (os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdigit())
        return sum(link.startswith("socket:") for link in _existing(links))

    before_sockets = sockets()
    async with ours(url, 0, wire) as llm:
        for _ in range(calls // 10):
            await our_call(llm)
        gc.collect()
        before = resident()
        for _ in range(calls):
            await our_call(llm)
        gc.collect()
        grown = (resident() - before) / calls
    await asyncio.sleep(0)
    left = sockets() - before_sockets
    return [
        (f"{wire.name}, {calls:,} calls, memory", f"{grown:+.1f} bytes a call", "<= 20 bytes", grown <= 20),
        (f"{wire.name}, {calls:,} calls, sockets left", str(left), "0", left == 0),
    ]


def _existing(links: Iterator[str]) -> Iterator[str]:
    while True:
        try:
            yield next(links)
        except StopIteration:
            return
        except FileNotFoundError:
            return


async def measure(quick: bool) -> list[Row]:
    rounds = 3 if quick else 7
    rows = [import_cost(9)]
    with server() as url:
        for wire in WIRES:
            rows.append(await sequential(url, rounds, 200 if quick else 1000, wire))
            rows += await concurrent(url, 1 if quick else 3, 300, 1500 if quick else 6000, wire)
            rows.append(await thousand(url, wire))
        for wire in WIRES:
            rows.append(await streams(url, rounds, 50 if quick else 100, wire))
            rows += await leaks(url, 2000 if quick else 20_000, wire)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rows = asyncio.run(measure(parser.parse_args().quick))
    width = max(len(name) for name, *_ in rows)
    print(f"Python {sys.version.split()[0]}, httpx {httpx.__version__}, {os.cpu_count()} CPUs")
    for name, value, target, met in rows:
        print(f"{name:<{width}}  {value}  (target {target}: {'met' if met else 'MISSED'})")
    return 0 if all(met for *_, met in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
