"""B7, E2, F1: the time of a turn bounds its tools, its approval and the listing of served tools too."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from abstractcore import (
    Agent,
    BasicSession,
    ConfigurationError,
    RequestTimeoutError,
    Tool,
    aio,
    client,
    tool,
)
from tests.fakes.any_wire import call, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

SOON = 5.0


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a tool that hangs waits for; set at the end, so that its thread ends."""
    released = threading.Event()
    yield released
    released.set()


def hanging(released: threading.Event, form: str) -> Any:
    """A tool that never comes back, in each of its forms."""

    def plain() -> str:
        """Hang."""
        released.wait(30)
        return "late"

    def generator() -> Iterator[str]:
        """Hang after a first word."""
        yield "begun"
        released.wait(30)

    async def awaited() -> str:
        """Hang."""
        return await asyncio.get_running_loop().create_future()

    return tool({"plain": plain, "generator": generator, "awaited": awaited}[form])


@pytest.mark.parametrize("form", ["plain", "generator", "awaited"])
@pytest.mark.parametrize("concurrent", [False, True])
def test_b7_the_time_of_a_turn_bounds_its_tools(
    surface: Surface, server: FakeServer, released: threading.Event, form: str, concurrent: bool
):
    if form == "awaited" and surface.name == "sync":
        pytest.skip("the sync surface takes no async tool")
    made = hanging(released, form)
    session = BasicSession(server.llm(), tools=[made])
    session.tool_policy = replace(session.tool_policy, concurrent_tool_calls=concurrent)
    server.replies(call(made.name), text("It was late."))
    begun = time.monotonic()

    with pytest.raises(RequestTimeoutError) as raised:
        surface.generate(session, "?", run_tools=True, timeout=0.2)

    assert raised.value.phase == "total"
    assert time.monotonic() - begun < SOON
    assert (session.messages, len(server.requests)) == ([], 1)


def test_b7_the_time_of_a_turn_bounds_its_approval(server: FakeServer):
    async def approve(_: Any) -> bool:
        return await asyncio.get_running_loop().create_future()

    server.replies(call("plain"), text("It was late."))
    agent = aio.Agent(aio.client(server.llm()), tools=[tool(plain)], approve=approve)
    with pytest.raises(RequestTimeoutError):
        asyncio.run(agent.run("?", timeout=1))
    assert len(server.requests) == 1


@pytest.mark.parametrize("leaves", ["its own time", "asyncio.timeout"])
def test_b7_d6_an_approval_in_a_thread_keeps_nobody(
    server: FakeServer, released: threading.Event, leaves: str
):
    """Neither the run, whose time is over, nor the loop, which ends; the tool is not run."""
    server.replies(call("never"), text("It was late."))

    async def main() -> None:
        client = aio.client(server.llm())
        agent = aio.Agent(client, tools=[tool(never)], approve=lambda _: released.wait(30))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5 if leaves == "asyncio.timeout" else None):
                await agent.run("?", timeout=None if leaves == "asyncio.timeout" else 0.5)
        assert agent.messages == []
        await client.aclose()

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < SOON
    assert len(server.requests) == 1


def test_b7_an_approval_that_came_too_late_runs_nothing(server: FakeServer):
    """Of a blocking caller, in whose own thread it is given."""

    def approve(_: Any) -> bool:
        threading.Event().wait(0.6)  # as somebody who thinks for longer than the turn has
        return True

    server.replies(call("never"), text("It was late."))
    agent = Agent(client(server.llm()), tools=[tool(never)], approve=approve)
    with pytest.raises(RequestTimeoutError):
        agent.run("?", timeout=0.5)
    assert (agent.messages, len(server.requests)) == ([], 1)


def test_b7_no_model_is_asked_once_the_time_is_over(surface: Surface, server: FakeServer):
    """Whoever took it: here it is who watches the turn."""

    def watch(event: Any) -> None:
        if event.kind == "tool_result":
            threading.Event().wait(0.6)

    server.replies(call("plain"), text("It was late."))
    session = BasicSession(server.llm(), tools=[tool(plain)])
    with pytest.raises(RequestTimeoutError):
        surface.generate(session, "?", run_tools=True, events=watch, timeout=0.5)
    assert (session.messages, len(server.requests)) == ([], 1)


def never() -> str:
    """Is not called."""
    raise KeyboardInterrupt("it was called")


def plain() -> str:
    """Answer."""
    return "yes"


def test_e3_a_tool_s_own_timeout_is_told_in_its_own_words(surface: Surface, server: FakeServer):
    @tool
    def ask() -> None:
        """Ask."""
        raise TimeoutError("the other side is silent")

    server.replies(call("ask"), text("Sorry."))
    session = BasicSession(server.llm(), tools=[ask])
    assert surface.generate(session, "?", run_tools=True).content == "Sorry."
    assert session.messages[2]["content"] == '{"error": "TimeoutError: the other side is silent"}'


def test_e2_a_plain_function_that_gives_a_coroutine_is_awaited_or_refused(
    surface: Surface, server: FakeServer
):
    async def answer() -> str:
        return "yes"

    made = Tool(lambda: answer(), name="ask", description="Ask.", parameters={})
    server.replies(call("ask"), text("Yes."))
    session = BasicSession(server.llm(), tools=[made])
    if surface.name == "sync":
        with pytest.raises(TypeError, match=r"abstractcore\.aio"):
            surface.generate(session, "?", run_tools=True)
        assert session.messages == []
    else:
        surface.generate(session, "?", run_tools=True)
        assert session.messages[2]["content"] == "yes"


# ---- served tools -------------------------------------------------------------------------------


class Slow:
    """An MCP client of sync code whose server does not answer."""

    def __init__(self, released: threading.Event) -> None:
        self.released = released
        self.threads: list[int] = []

    def as_tools(self) -> list[Any]:
        self.threads.append(threading.get_ident())
        self.released.wait(30)
        return [tool(plain)]


class SlowAsync(Slow):
    """The same, awaited."""

    async def as_tools(self) -> list[Any]:  # type: ignore[override]
        return await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("kind", [Slow, SlowAsync])
def test_b7_the_time_of_a_turn_bounds_the_listing_of_served_tools(
    surface: Surface, server: FakeServer, released: threading.Event, kind: Callable[..., Any]
):
    if kind is SlowAsync and surface.name == "sync":
        pytest.skip("the sync surface takes no async client of servers")
    session = BasicSession(server.llm())
    session.mcp_client = kind(released)
    begun = time.monotonic()

    with pytest.raises(RequestTimeoutError) as raised:
        surface.generate(session, "?", run_tools=True, timeout=0.2)

    assert raised.value.phase == "total"
    assert time.monotonic() - begun < SOON
    assert (session.messages, server.requests) == ([], [])
    session.mcp_client = None
    server.replies(text("Hi."))
    assert surface.generate(session, "?", run_tools=True).content == "Hi."


async def test_e2_the_loop_goes_on_while_a_sync_client_lists_its_tools(
    server: FakeServer, released: threading.Event
):
    server.replies(text("Hi."))
    client = aio.client(server.llm())
    client.mcp_client = mcp = Slow(released)
    asking = asyncio.create_task(client.chat("Hello"))
    while not mcp.threads:
        await asyncio.sleep(0)
    assert not asking.done()
    released.set()

    assert await asking == "Hi."
    assert mcp.threads != [threading.get_ident()]
    await client.aclose()


def test_what_serves_no_tools_is_no_mcp_client(surface: Surface, server: FakeServer):
    session = BasicSession(server.llm())
    session.mcp_client = object()
    with pytest.raises(ConfigurationError, match="MCPClient"):
        surface.generate(session, "?", run_tools=True)
    assert server.requests == []
