"""What an agent costs beside the bare calls that it makes, in one run: interleaved rounds, medians.

The bare side sends the same requests by `agenerate`, its messages written beforehand; the agent
runs a tool that does nothing. `--quick` runs fewer rounds. The server is another process on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from overhead import server

from abstractcore import LLM, aio, create_llm, tool

CALLS = 5  # model calls of a run; all but the last ask for the tool
AT_ONCE = 100
MOST_COST = 1.3
LEAST_THROUGHPUT = 0.8


@tool
async def look_up(word: str) -> str:
    """Look a word up."""
    return "nothing"


def histories() -> list[list[dict[str, Any]]]:
    """The messages of each request of a run."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    sent = [list(messages)]
    for number in range(1, CALLS):
        id_ = "call_1" if number == 1 else f"call_1_{len(messages)}"
        asked = {"id": id_, "name": "look_up", "arguments": {"word": "owl"}}
        messages.append({"role": "assistant", "content": "", "tool_calls": [asked]})
        messages.append({"role": "tool", "content": "nothing", "tool_call_id": id_, "name": "look_up"})
        sent.append(list(messages))
    return sent


async def bare_run(llm: LLM, sent: list[list[dict[str, Any]]]) -> None:
    said = [(await llm.agenerate(messages=messages, tools=[look_up])).content for messages in sent]
    assert said[-1] == "Hello there."


async def agent_run(agent: aio.Agent) -> None:
    assert await agent.run("Hi") == "Hello there."


async def cost(run: Callable[[], Awaitable[None]], times: int) -> float:
    """CPU seconds for each model call."""
    began = time.process_time()
    for _ in range(times):
        await run()
    return (time.process_time() - began) / (times * CALLS)


async def throughput(run: Callable[[], Awaitable[None]], times: int) -> float:
    """Model calls a second, of so many runs at once."""
    began = time.perf_counter()
    for _ in range(times):
        await asyncio.gather(*(run() for _ in range(AT_ONCE)))
    return AT_ONCE * CALLS * times / (time.perf_counter() - began)


async def measure(url: str, rounds: int) -> list[tuple[float, ...]]:
    async with create_llm("openai-compatible", "test-model", base_url=f"{url}/0/agent/v1") as llm:
        agent = aio.Agent(aio.client(llm), tools=[look_up])
        sent = histories()
        sides: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: bare_run(llm, sent),
            lambda: agent_run(agent),
        )
        for side in sides:
            await cost(side, 20)
        return [
            (*[await cost(side, 40) for side in sides], *[await throughput(side, 4) for side in sides])
            for _ in range(rounds)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 5 if parser.parse_args().quick else 15
    with server() as url:
        measured = asyncio.run(measure(url, rounds))
    bare, ours, bare_speed, our_speed = (statistics.median(column) for column in zip(*measured, strict=True))
    more = statistics.median(row[1] / row[0] for row in measured)
    speed = statistics.median(row[3] / row[2] for row in measured)
    print(f"CPU of a model call: bare {bare * 1e6:.0f} us, in an agent {ours * 1e6:.0f} us: {more:.2f} times")
    print(f"{AT_ONCE} at once: bare {bare_speed:.0f} calls/s, agents {our_speed:.0f}: {speed:.2f} times")
    if more > MOST_COST or speed < LEAST_THROUGHPUT:
        raise SystemExit(
            f"missed: at most {MOST_COST} times the cost, at least {LEAST_THROUGHPUT} of the speed"
        )


if __name__ == "__main__":
    main()
