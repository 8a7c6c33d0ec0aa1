"""How much faster eight calls are than one: OpenVINO's pipeline without our code, and through create_llm.

    python benchmarks/openvino_alone.py [MODEL.gguf] [--rounds 4]

Rounds are interleaved. It shows the best pace of each, and the least CPU time for a token, of all processes:
on a machine with something else to do that says more than the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino_genai

from abstractcore import create_llm
from abstractcore.engines.catalog import models_here

TOPICS = ("dog", "cat", "bird", "fish", "horse", "tree", "river", "hill")
TOKENS = 64


def cpu_seconds(pid: int) -> float:
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


class Alone:
    """The pipeline, with the settings that the engine gives it."""

    def __init__(self, model: str) -> None:
        config = openvino_genai.SchedulerConfig()
        config.cache_size, config.enable_prefix_caching = 2, True
        config.max_num_batched_tokens, config.max_num_seqs = 256, 16
        self._pipeline: Any = openvino_genai.ContinuousBatchingPipeline(model, config, "CPU", {})
        self._requests = 0

    def ask(self, count: int) -> None:
        pipeline = self._pipeline
        config = pipeline.get_config()
        config.max_new_tokens, config.ignore_eos, config.do_sample = TOKENS, True, False
        handles: list[Any] = []
        for topic in TOPICS[:count]:
            self._requests += 1
            tokenizer = pipeline.get_tokenizer()
            messages = [{"role": "user", "content": f"Write a story about a {topic}."}]
            text = tokenizer.apply_chat_template(messages, True)
            ids = tokenizer.encode(text, add_special_tokens=False).input_ids
            handles.append(pipeline.add_request(self._requests, ids, config))
        while pipeline.has_non_finished_requests():
            pipeline.step()
            for handle in handles:
                if handle.can_read():
                    handle.read()

    def cpu(self) -> float:
        return time.process_time()


class Ours:
    """The same calls through create_llm; the model's process counts too."""

    def __init__(self, model: str) -> None:
        self._llm: Any = create_llm("openvino", model, max_output_tokens=TOKENS, temperature=0)
        self._llm.load()
        self._worker: int = self._llm._provider.lease.scheduler()._runtime._worker.pid

    def ask(self, count: int) -> None:
        asyncio.run(self._ask(count))

    async def _ask(self, count: int) -> None:
        calls = (f"Write a story about a {topic}." for topic in TOPICS[:count])
        await asyncio.gather(*(self._llm.agenerate(call, extra={"ignore_eos": True}) for call in calls))

    def cpu(self) -> float:
        return time.process_time() + cpu_seconds(self._worker)


def measured(ask: Callable[[int], None], cpu: Callable[[], float], count: int) -> tuple[float, float]:
    """Give tokens per second, and milliseconds of CPU for a token."""
    used, began = cpu(), time.perf_counter()
    ask(count)
    seconds = time.perf_counter() - began
    return count * TOKENS / seconds, (cpu() - used) / (count * TOKENS) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=next(iter(models_here("openvino")), None))
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    if options.model is None:
        parser.error("no model: pass the path of a GGUF file")
    sides = {"the pipeline alone": Alone(options.model), "through create_llm": Ours(options.model)}
    told: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for side in sides.values():
        side.ask(8)  # warm
    for _ in range(options.rounds):
        for name, side in sides.items():
            for count in (1, 8):
                told.setdefault((name, count), []).append(measured(side.ask, side.cpu, count))
    print(f"{'':20}{'one, tokens/s':>15}{'eight':>8}{'ratio':>8}{'one, CPU ms':>14}{'eight':>8}{'ratio':>8}")
    for name in sides:
        (pace, pace8), (cpu, cpu8) = (
            [best(figure[kind] for figure in told[name, count]) for count in (1, 8)]
            for kind, best in ((0, max), (1, min))
        )
        print(f"{name:20}{pace:15.0f}{pace8:8.0f}{pace8 / pace:8.1f}{cpu:14.2f}{cpu8:8.2f}{cpu / cpu8:8.1f}")


if __name__ == "__main__":
    main()
