"""E1 to E4, FAULTS 1.6: an agent's tools, in each of their forms, on both surfaces."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

import abstractcore
from abstractcore import aio, tool
from tests.agents.conftest import House
from tests.fakes.any_wire import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.wires import Wire, sent


class Desk:
    """Someone whose methods are tools."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    @tool
    def method(self, word: str) -> str:
        """Say a word."""
        return f"{self.owner}: {word}"


@tool
def plain(word: str) -> str:
    """Say a word."""
    return word


@tool(name="renamed", description="Say it otherwise.")
def named(word: str) -> str:
    """Not this."""
    return word


@tool
def generator(word: str) -> Iterator[str]:
    """Say a word, letter by letter."""
    yield from word


@tool
async def awaited(word: str) -> str:
    """Say a word."""
    await asyncio.sleep(0)
    return word


@tool
async def awaited_generator(word: str) -> AsyncIterator[str]:
    """Say a word, letter by letter."""
    for letter in word:
        yield letter


def undecorated(word: str) -> str:
    """Say a word."""
    return word


FORMS = [plain, named, generator, Desk("Ann").method, undecorated]
ASYNC_FORMS = [awaited, awaited_generator]


def name_of(form: Any) -> str:
    return getattr(form, "name", None) or form.__name__


@pytest.mark.parametrize("form", [*FORMS, *ASYNC_FORMS], ids=name_of)
def test_e1_a_tool_of_each_form_is_run(house: House, server: FakeServer, form: Any):
    if form in ASYNC_FORMS and house.is_sync:
        pytest.skip("E2: the sync surface refuses it, see the tests of F6")
    server.replies(call(name_of(form), word="owl"), text("It is said."))
    agent = house.Agent(house.client(server.llm()), tools=[form])

    assert house.run(agent) == "It is said."
    assert agent.messages[2]["content"] == ("Ann: owl" if name_of(form) == "method" else "owl")
    told = sent(server.requests[0]).tools[name_of(form)]
    assert told["description"].startswith("Say")
    assert list(told["parameters"]["properties"]) == ["word"]


class Unit(enum.Enum):
    C = "celsius"


@dataclass
class Place:
    name: str


class Trip(BaseModel):
    stops: list[Place]


def test_e1_e3_arguments_come_as_the_types_of_the_signature(house: House, server: FakeServer, wire: Wire):
    seen: list[Any] = []

    @tool
    def look(unit: Unit, trip: Trip, kind: Literal["a"], days: Annotated[int, Field(ge=1)] = 1) -> None:
        """Look."""
        seen.append((unit, trip, kind, days))

    given = {"unit": "celsius", "trip": {"stops": [{"name": "Oslo"}]}, "kind": "a", "days": "2"}
    server.replies(call("look", **given), text("Seen."))
    house.run(house.Agent(house.client(wire.llm(server)), tools=[look]))

    assert seen == [(Unit.C, Trip(stops=[Place("Oslo")]), "a", 2)]


where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")


@pytest.mark.parametrize("concurrent", [False, True])
def test_e2_a_tool_sees_the_context_variables_of_its_caller(
    house: House, server: FakeServer, concurrent: bool
):
    @tool
    def look() -> str:
        """Look."""
        return f"{where.get()}, {threading.current_thread() is caller[0]}"

    caller: list[Any] = []
    server.replies(calls([("look", {}), ("look", {})]), text("Seen."))
    agent = house.Agent(house.client(server.llm()), tools=[look], concurrent_tool_calls=concurrent)

    def sync() -> Any:
        caller.append(threading.current_thread())
        where.set("here")
        return agent.run("?")

    async def awaited() -> Any:
        caller.append(threading.current_thread())
        where.set("here")
        return await agent.run("?")

    assert house.surface.run(lambda: contextvars.copy_context().run(sync) if house.is_sync else awaited())
    assert [m["content"] for m in agent.messages if m["role"] == "tool"] == ["here, False"] * 2


def test_e3_a_result_is_turned_to_text_once(house: House, server: FakeServer):
    @tool
    def give(what: str) -> Any:
        """Give."""
        return {"text": "ä\n", "list": [1, None], "model": Trip(stops=[Place("Oslo")]), "none": None}[what]

    server.replies(calls([("give", {"what": w}) for w in ("text", "list", "model", "none")]), text("Given."))
    agent = house.Agent(house.client(server.llm()), tools=[give])
    house.run(agent)

    results = [m["content"] for m in agent.messages if m["role"] == "tool"]
    assert results == ["ä\n", "[1, null]", '{"stops": [{"name": "Oslo"}]}', "null"]


def test_e4_an_agent_s_calls_run_side_by_side_and_answer_in_order(house: House, server: FakeServer):
    together = threading.Barrier(3, timeout=5)

    @tool
    def meet(name: str) -> str:
        """Meet."""
        together.wait()
        return name

    server.replies(calls([("meet", {"name": n}) for n in "abc"]), text("Met."))
    agent = house.Agent(house.client(server.llm()), tools=[meet], concurrent_tool_calls=True)

    assert house.run(agent) == "Met."
    assert [i.text for i in sent(server.requests[1]).all("result")] == ["a", "b", "c"]


def test_e4_one_call_that_fails_is_a_message_and_the_others_go_on(house: House, server: FakeServer):
    @tool
    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    server.replies(calls([("divide", {"a": 1, "b": b}) for b in (0, 2)]), text("Done."))
    agent = house.Agent(house.client(server.llm()), tools=[divide], concurrent_tool_calls=True)
    house.run(agent)

    failed, went_well = (i.text for i in sent(server.requests[1]).all("result"))
    assert "ZeroDivisionError" in failed
    assert went_well == "0.5"


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_no_message(
    house: House, server: FakeServer, kind: type[BaseException], concurrent: bool
):
    """FAULTS 1.6: it goes through, and the history is as it was."""
    if concurrent and not house.is_sync:
        pytest.skip("asyncio.run itself leaves sockets open when a task of a TaskGroup raises these")

    @tool
    def stop() -> None:
        """Stop."""
        raise kind

    server.replies(calls([("stop", {}), ("plain", {"word": "owl"})]), text("I was told."))
    agent = house.Agent(house.client(server.llm()), tools=[stop, plain], concurrent_tool_calls=concurrent)

    with pytest.raises(kind):
        agent.run("?") if house.is_sync else asyncio.run(agent.run("?"))
    assert (agent.messages, len(server.requests)) == ([], 1)


@pytest.mark.parametrize("concurrent", [False, True])
async def test_a_cancel_that_a_tool_raises_ends_the_run(server: FakeServer, concurrent: bool):
    """FAULTS 1.6"""

    @tool
    async def stop() -> None:
        """Stop."""
        raise asyncio.CancelledError

    server.replies(calls([("stop", {}), ("plain", {"word": "owl"})]), text("I was told."))
    client = aio.client(server.llm())
    agent = aio.Agent(client, tools=[stop, plain], concurrent_tool_calls=concurrent)
    with pytest.raises(asyncio.CancelledError):
        await agent.run("?")
    assert (agent.messages, len(server.requests)) == ([], 1)
    await client.aclose()


async def test_an_async_generator_that_is_left_is_closed_at_once(server: FakeServer):
    """D6: what it holds is let go when the stream is."""
    closed = asyncio.Event()

    @tool
    async def pour() -> AsyncIterator[str]:
        """Pour."""
        try:
            for _ in range(100):
                yield "x"
        finally:
            await asyncio.sleep(0)
            closed.set()

    server.replies(call("pour"))
    client = aio.client(server.llm(), tools=[pour])
    async for chunk in client.chat("?", stream=True):
        if chunk.content == "x":
            break
    async with asyncio.timeout(1):
        await closed.wait()
    assert client.messages == []
    await client.aclose()


class Hanging:
    """An agent's tool that waits until the test is over, and tells how many calls of it wait."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.caught = threading.Event()
        self.begun = threading.Semaphore(0)
        self.tool: Any = tool(name="hang")(self._hang)

    def _hang(self) -> str:
        """Hang."""
        self.begun.release()
        self.over.wait(30)
        return "late"

    def interrupt_when_begun(self, count: int) -> threading.Thread:
        """Press Ctrl-C as soon as so many calls wait; again if Python missed it on its way into a wait."""

        def interrupt() -> None:
            for _ in range(count):
                assert self.begun.acquire(timeout=5)
            while True:
                self.interrupted = time.monotonic()
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                if self.caught.wait(1.5):
                    return

        thread = threading.Thread(target=interrupt)
        thread.start()
        return thread


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.over.set()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there is no way to press Ctrl-C here")
@pytest.mark.parametrize("who", ["in turn", "concurrent", "parallel"])
def test_ctrl_c_ends_a_run_whose_tools_hang(server: FakeServer, hanging: Hanging, who: str):
    """FAULTS 1.8: within a second, though a thread cannot be ended; the history is as it was."""
    server.replies(calls([("hang", {}), ("hang", {})]))
    client = abstractcore.client(server.llm(), tools=[hanging.tool])
    agents = [abstractcore.Agent(client, concurrent_tool_calls=who == "concurrent") for _ in range(2)]
    runs: Any = abstractcore.Parallel(agents) if who == "parallel" else agents[0]
    thread = hanging.interrupt_when_begun(1 if who == "in turn" else 2)

    with pytest.raises(KeyboardInterrupt):
        runs.run("?")

    hanging.caught.set()
    assert time.monotonic() - hanging.interrupted < 2  # a second, and what a busy machine adds
    thread.join()
    assert [agent.messages for agent in agents] == [[], []]
    server.wait_for(lambda s: s.in_flight == 0)
    sent_before = len(server.requests)
    server.replies(text("Hi."))
    assert abstractcore.client(client.llm).chat("Hello") == "Hi."
    assert len(server.requests) == sent_before + 1
