"""The client's side of a soak, in a process of its own: rounds of mixed calls, and what is left after each.

`python -m tests.crash.soaking BASE_URL SECONDS SEED` prints a line of JSON for each round: the calls so far,
how they ended, and, with nothing under way, the traced memory, the resident memory and the open files.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import json
import os
import random
import resource
import sys
import threading
import time
import tracemalloc
from typing import Any

from abstractcore import AbstractCoreError, BasicSession, create_llm

TASKS = 24
"""Calls that run side by side in the event loop; as many again are made in threads."""
THREADS = 3
CALLS_IN_TURN = 10
"""How many calls a task or a thread makes one after the other in a round."""
PROVIDERS = (("openai-compatible", "/v1"), ("openai", "/v1"), ("anthropic", "/v1"), ("ollama", ""))
ended: collections.Counter[str] = collections.Counter()


def look_up(word: str) -> str:
    """Look a word up."""
    return word[::-1]


def make(url: str) -> list[Any]:
    """One LLM on each wire."""
    options: dict[str, Any] = {"api_key": "soak", "max_retries": 1, "read_timeout": 0.2, "timeout": 10}
    llms = [create_llm(name, "test-model", base_url=url + path, **options) for name, path in PROVIDERS]
    llms[1:2] = [create_llm("openai", "test-model", base_url=url + "/v1", api="responses", **options)]
    return llms


@contextlib.contextmanager
def counted(kind: str) -> Any:
    """Count how a call ended; a failure that is none of ours ends the soak."""
    try:
        yield
    except AbstractCoreError as failure:
        ended[type(failure).__name__] += 1
    except TimeoutError:
        ended["cancelled"] += 1
    else:
        ended[kind] += 1


async def ask(llm: Any, drawn: random.Random) -> None:
    """One call of some kind, awaited."""
    kind = drawn.choice(("whole", "stream", "left", "cancelled", "session", "tools"))
    with counted(kind):
        match kind:
            case "whole":
                await llm.agenerate("Hello")
            case "stream" | "left":
                async for _ in llm.agenerate("Hello", stream=True):
                    if kind == "left":
                        break
            case "cancelled":
                async with asyncio.timeout(drawn.random() * 0.02):
                    async for _ in llm.agenerate("Hello", stream=True):
                        pass
            case "session":
                session = BasicSession(llm)
                await session.agenerate("one")
                await session.agenerate("two")
            case _:
                await llm.agenerate("Use your tool.", tools=[look_up])


def ask_blocking(llm: Any, drawn: random.Random) -> None:
    """One call of some kind, in a thread."""
    kind = drawn.choice(("whole", "stream", "left", "session", "tools"))
    with counted(kind):
        match kind:
            case "whole":
                llm.generate("Hello")
            case "stream" | "left":
                for _ in llm.generate("Hello", stream=True):
                    if kind == "left":
                        break
            case "session":
                session = BasicSession(llm)
                session.generate("one")
                session.generate("two")
            case _:
                llm.generate("Use your tool.", tools=[look_up])


def one_round(llms: list[Any], drawn: random.Random) -> None:
    """As many calls as a round has, in threads and in a loop of their own."""

    def in_turn(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(CALLS_IN_TURN):
            ask_blocking(mine.choice(llms), mine)

    async def in_turn_awaited(seed: int) -> None:
        mine = random.Random(seed)
        for _ in range(CALLS_IN_TURN):
            await ask(mine.choice(llms), mine)

    async def side_by_side() -> None:
        await asyncio.gather(*(in_turn_awaited(drawn.randrange(1 << 30)) for _ in range(TASKS)))

    threads = [threading.Thread(target=in_turn, args=(drawn.randrange(1 << 30),)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    asyncio.run(side_by_side())
    for thread in threads:
        thread.join()


def sample() -> dict[str, Any]:
    """What is there with nothing under way."""
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    return {
        "calls": ended.total(),
        "traced": traced,
        "resident": resident(),
        "files": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "threads": threading.active_count(),
        "ended": dict(ended),
    }


def resident() -> int:
    """The bytes in memory now; where the system does not say, the most that there were."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(url: str, seconds: float, seed: int) -> None:
    drawn = random.Random(seed)
    kept = make(url)
    tracemalloc.start()
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        fresh = make(url)  # an LLM that is made and closed must leave nothing either
        one_round([*kept, *fresh], drawn)
        for llm in fresh:
            llm.close()
        print(json.dumps(sample()), flush=True)
    for llm in kept:
        llm.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
