"""D6, C3, FAULTS 1.8: a run with tools can be cancelled at every await, and nothing is left of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from abstractcore import AgentEvent, aio, tool
from tests.fakes.any_wire import calls, text
from tests.fakes.cancelling import CancelsAt
from tests.fakes.faults import hangs
from tests.fakes.server import FakeServer
from tests.fakes.wires import check_is_valid, sent

BEFORE: list[Any] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
DONE = "It is done."
TURN = 7  # the messages of a whole one
SOON = 1.0


@dataclass
class Box:
    """Tools of each form, and what was done in which run."""

    run: str = ""
    did: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def note(self, event: AgentEvent) -> None:
        """Note a model call; it is told before anything is sent."""
        self.did.append((self.run, event.kind))

    def done_in(self, run: str) -> Counter[str]:
        """What was done in a run, by kind."""
        return Counter(what for of, what in self.did if of == run)

    def tools(self) -> list[Any]:
        @tool
        def plain(run: str) -> str:
            """Answer at once, in a thread."""
            self.did.append((run, "plain"))
            return "plain"

        @tool
        async def waits(run: str) -> str:
            """Wait twice."""
            for _ in range(2):
                await asyncio.sleep(0)
                self.did.append((run, "waits"))
            return "waited"

        @tool
        async def pours(run: str) -> AsyncIterator[str]:
            """Give two pieces."""
            for piece in "ab":
                self.did.append((run, "pours"))
                await asyncio.sleep(0)
                yield piece

        return [plain, waits, pours]


def answer(request: Any) -> Any:
    """Two rounds of tools, then a text; each in several pieces, so that there is more to wait for."""
    size = 700 if sent(request).streams else 100
    return replied(request).in_pieces(size, pause=0.001, head=True)


def replied(request: Any) -> Any:
    asked = sent(request)
    last = max(number for number, kind in enumerate(asked.kinds) if kind == "user")
    run = {"run": asked.items[last].text}
    rounds = asked.kinds[last:].count("result")
    if rounds == 0:
        return calls([("waits", run), ("plain", run)])
    return calls([("pours", run)]) if rounds == 2 else text(DONE, piece=6)


class Asked:
    """Someone to ask, of one kind: what is asked, and the histories that must not change."""

    def __init__(self, who: str, llm: Any, box: Box) -> None:
        self.who = who
        self.client = aio.client(llm, system="S", tools=box.tools())
        self.agents = [
            aio.Agent(self.client, name=name, concurrent_tool_calls=True, events=box.note) for name in "ab"
        ]
        session = self.client.session
        session.tool_policy = replace(session.tool_policy, events=box.note)
        for agent in self.agents:
            agent.restore(BEFORE)
        self.forget()

    def forget(self) -> None:
        self.client.messages = list(BEFORE)
        for agent in self.agents:
            agent.messages = list(BEFORE)

    def start(self, task: str, **options: Any) -> Any:
        if self.who == "client":
            return self.client.chat(task, **options)
        if self.who == "agent":
            return self.agents[0].run(task, **options)
        return aio.Parallel(self.agents).run(task, **options)

    async def work(self, task: str, *, stream: bool = False) -> None:
        """Do a run to its end."""
        if not stream:
            assert (await self.start(task)).startswith(DONE)
            return
        async with aclosing(self.start(task, stream=True)) as chunks:
            said = "".join([chunk.content async for chunk in chunks if chunk.phase == "generating"])
        assert sorted(said) == sorted(DONE * (2 if self.who == "parallel" else 1))

    def histories(self) -> list[Any]:
        agents = self.agents if self.who == "parallel" else self.agents[:1]
        return [self.client.messages] if self.who == "client" else [agent.messages for agent in agents]


@pytest.mark.parametrize("who", ["client", "agent", "parallel"])
@pytest.mark.parametrize("stream", [False, True])
async def test_d6_a_run_with_tools_is_cancelled_at_every_await(server: FakeServer, who: str, stream: bool):
    server.route = answer
    box = Box()
    asked = Asked(who, server.llm(), box)
    after: dict[str, Counter[str]] = {}
    count, was_cancelled = 0, True
    while was_cancelled:
        count += 1
        task = box.run = f"Run {count}."
        asked.forget()
        begun = time.monotonic()
        outcome = await CancelsAt(count).run(partial(asked.work, task, stream=stream))
        assert time.monotonic() - begun < SOON
        was_cancelled = isinstance(outcome, asyncio.CancelledError)
        assert was_cancelled or outcome is None
        check_are_as_before(asked, was_cancelled)
        await server.until(lambda s: s.in_flight == 0)
        after[task] = box.done_in(task)
        if was_cancelled and count % 10 == 0:
            box.run = f"Again {count}."
            await asked.work(box.run)
            check_is_valid(sent(server.requests[-1]).items)

    assert count > 15
    assert {task: box.done_in(task) for task in after} == after
    sent_of = Counter(sent(request).all("user")[-1].text for request in server.requests)
    assert all(sent_of[task] <= after[task]["model_call"] for task in after)
    assert len(asyncio.all_tasks()) == 1
    await asked.client.aclose()
    await server.until(lambda s: s.open_sockets == 0)


async def test_d6_a_cancel_ends_the_requests_of_tools_in_threads_too(server: FakeServer):
    """A sync tool that asks a model itself: its thread cannot be ended, its request can."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    inner = server.llm()

    @tool
    def ask() -> str:
        """Ask."""
        loop.call_soon_threadsafe(begun.set)
        return inner.generate("Inside?").content

    server.route = lambda request: hangs() if sent(request).last == "Inside?" else calls([("ask", {})])
    client = aio.client(server.llm(), tools=[ask])
    turn = asyncio.create_task(client.chat("Ask."))
    await begun.wait()
    await server.until(lambda s: len(s.requests) == 2)
    turn.cancel()

    with pytest.raises(asyncio.CancelledError):
        await turn
    await server.until(lambda s: s.in_flight == 0)
    await client.aclose()


def check_are_as_before(asked: Asked, was_cancelled: bool) -> None:
    """A turn stands in a history as a whole or not at all; one worker of a Parallel may have done its own."""
    added = {len(history) - len(BEFORE) for history in asked.histories()}
    if not was_cancelled:
        assert added == {TURN}
    else:
        assert added <= ({0, TURN} if asked.who == "parallel" else {0})
    assert all(history[: len(BEFORE)] == BEFORE for history in asked.histories())
