"""E2: the event loop never waits for a tool, a generator or a question to a person that blocks its thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from abstractcore import aio, tool
from tests.fakes.any_wire import calls, text
from tests.fakes.server import FakeServer
from tests.fakes.wires import sent

TICK = 0.005
MOST = 0.05
BLOCKS = 0.1  # twice as long as the loop may stand still
RUNS = 12  # of which one must do: a busy machine stops the loop too, for no fault of ours

blocked_in: set[int] = set()


def block() -> None:
    blocked_in.add(threading.get_ident())
    time.sleep(BLOCKS)


@tool
def plain() -> str:
    """Block."""
    block()
    return "done"


@tool
def generator() -> Iterator[str]:
    """Block twice."""
    for _ in range(2):
        block()
        yield "done"


def approve(call: Any) -> bool:
    block()
    return True


async def longest_gap(work: asyncio.Future[Any]) -> float:
    """How much later than asked the loop has come back, at most, while *work* went on."""
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(TICK)
        now = time.perf_counter()
        longest, last = max(longest, now - last - TICK), now
    return longest


@pytest.mark.parametrize("concurrent", [False, True], ids=["in turn", "side by side"])
def test_e2_the_loop_is_back_within_50_ms_while_tools_block(server: FakeServer, concurrent: bool):
    server.route = lambda request: (
        text("ok")
        if sent(request).kinds[-1] == "result"
        else calls([(one.name, {}) for one in (plain, generator)])
    )

    async def run(client: aio.Client) -> float:
        agents = [aio.Agent(client, approve=approve, concurrent_tool_calls=concurrent) for _ in range(5)]
        work = asyncio.gather(*(agent.run("?") for agent in agents))
        gap = await longest_gap(work)
        assert await work == ["ok"] * 5
        return gap

    async def main() -> list[float]:
        gaps: list[float] = []
        async with aio.client(server.llm(), tools=[plain, generator]) as client:
            await run(client)  # whatever is loaded at the first use
            while len(gaps) < RUNS and min(gaps, default=MOST) >= MOST:
                gaps.append(await run(client))
        return gaps

    blocked_in.clear()
    gaps = asyncio.run(main())

    assert min(gaps) < MOST, gaps
    assert blocked_in
    assert threading.get_ident() not in blocked_in
