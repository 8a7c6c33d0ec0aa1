"""CONTRACT G1, G3, F6: `client.mcp_client = mcp` gives its tools to the client and to its agents."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import abstractcore
from abstractcore import (
    AsyncToolError,
    ClosedError,
    ConfigurationError,
    MCPConnectionError,
    MCPToolsChangedError,
    aio,
    tool,
)
from abstractcore.mcp import AsyncMCPClient
from tests.fakes.any_wire import call, calls, text
from tests.fakes.processes import children
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire
from tests.mcp.conftest import Connect
from tests.mcp.toolboxes import Toolbox, on_mcp_server


@tool
def add(a: int, b: int) -> int:
    """Add in this process."""
    return a + b


def module(surface: Surface) -> Any:
    return abstractcore if surface.name == "sync" else aio


def test_g1_a_client_calls_the_tools_of_its_mcp_client(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer, wire: Wire
):
    server.replies(call("add", a=1, b=2), text("It is 3."))
    client = module(surface).client(wire.llm(server))
    client.mcp_client = connect(server=box.server)

    assert surface.call(client, "chat", "1 + 2?") == "It is 3."

    asked, answered = (wire.sent(request) for request in server.requests)
    assert asked.tools["add"]["parameters"]["required"] == ["a", "b"]
    assert answered.kinds == ["user", "call", "result"]
    assert client.messages[2]["content"] == "3"


def test_g1_an_agent_calls_them_too(surface: Surface, connect: Connect, box: Toolbox, server: FakeServer):
    server.replies(call("add", a=1, b=2), call("describe", city="Paris"), text("Done."))
    client = module(surface).client(server.llm())
    client.mcp_client = connect(server=box.server)
    agent = module(surface).Agent(client, "Use the MCP tools.")

    assert surface.call(agent, "run", "Go on.") == "Done."

    results = [message["content"] for message in agent.messages if message["role"] == "tool"]
    assert results[0] == "3"
    assert json.loads(results[1])["city"] == "Paris"


@pytest.mark.parametrize("as_program", [False, True], ids=["in process", "program"])
def test_g1_a_server_s_progress_is_streamed_by_the_agent_that_calls_it(
    surface: Surface, connect: Connect, program: dict[str, Any], server: FakeServer, as_program: bool
):
    """As that of a native tool, and as an event."""
    server.replies(call("count", to=2), text("Done."))
    client = module(surface).client(server.llm())
    client.mcp_client = connect(**(program if as_program else {"server": on_mcp_server().server}))
    events: list[abstractcore.AgentEvent] = []
    agent = module(surface).Agent(client, events=events.append)

    chunks = whole(surface, lambda: agent.run("Count.", stream=True))

    progress = ["1/2 at 1", "2/2 at 2"]
    assert [c.content for c in chunks if c.phase == "tool_calling" and c.content] == [*progress, "counted"]
    assert [e.content for e in events if e.kind == "tool_progress"] == progress
    assert agent.messages[2]["content"] == "counted"


def test_g3_a_failing_tool_of_a_server_is_a_tool_message(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer
):
    server.replies(call("add", a="one", b=2), text("It cannot be done."))
    client = module(surface).client(server.llm())
    client.mcp_client = connect(server=box.server)

    assert surface.call(client, "chat", "one + 2?") == "It cannot be done."

    assert "valid integer" in json.loads(client.messages[2]["content"])["error"]


def test_g3_a_dead_server_is_an_error_before_any_request(
    surface: Surface, connect: Connect, program: dict[str, Any], server: FakeServer
):
    client = module(surface).client(server.llm())
    client.mcp_client = connect(**program)
    with pytest.raises(MCPConnectionError):
        surface.call(client.mcp_client, "call_tool", "stop")

    with pytest.raises(MCPConnectionError):
        surface.call(client, "chat", "1 + 2?")

    assert (server.requests, client.messages) == ([], [])


def test_g3_a_tool_named_like_a_local_one_is_an_error(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer
):
    client = module(surface).client(server.llm(), tools=[add])
    client.mcp_client = connect(server=box.server)

    with pytest.raises(ConfigurationError, match="'add'"):
        surface.call(client, "chat", "1 + 2?")

    assert server.requests == []


def test_a_changed_description_does_not_reach_the_model(
    surface: Surface, connect: Connect, raw: Callable[..., Any], server: FakeServer
):
    client = module(surface).client(server.llm())
    client.mcp_client = mcp = connect(**raw("server"))
    surface.call(mcp, "call_tool", "turn")

    with pytest.raises(MCPToolsChangedError):
        surface.call(client, "chat", "Hello")

    assert server.requests == []
    mcp.approve_changes()
    server.replies(text("Hello."))
    assert surface.call(client, "chat", "Hello") == "Hello."


# ---- in the middle of a turn --------------------------------------------------------------------


@pytest.fixture
def before() -> list[Any]:
    """A turn that went well."""
    return [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


@pytest.mark.parametrize(
    ("kind", "behaviour", "called"),
    [(MCPConnectionError, "dying", ["tool"]), (MCPToolsChangedError, "server", ["turn", "tool"])],
)
@pytest.mark.parametrize("who", ["client", "agent", "stream"])
def test_g3_c3_what_only_the_caller_can_mend_ends_the_turn(
    surface: Surface,
    connect: Connect,
    raw: Callable[..., Any],
    server: FakeServer,
    before: list[Any],
    who: str,
    kind: type[Exception],
    behaviour: str,
    called: list[str],
):
    """The model is not told of it, nothing more is sent, and the history is as it was."""
    client = module(surface).client(server.llm())
    client.mcp_client = connect(**raw(behaviour))
    client.messages = before
    agent = module(surface).Agent(client)
    agent.restore(before)
    server.replies(*(call(name) for name in called), text("I was told."))
    asks = {
        "client": lambda: surface.call(client, "chat", "Go on."),
        "agent": lambda: surface.call(agent, "run", "Go on."),
        "stream": lambda: whole(surface, lambda: client.chat("Go on.", stream=True)),
    }

    with pytest.raises(kind):
        asks[who]()

    assert client.messages == agent.messages == before
    assert len(server.requests) == len(called)
    client.mcp_client = None
    server.replies(text("Here."))
    assert surface.call(client, "chat", "Still there?") == "Here."


def whole(surface: Surface, stream: Callable[[], Any]) -> list[Any]:
    iterator = surface.iterate(surface.run(stream))
    return list(iter(lambda: surface.step(iterator), None))


def test_g3_a_server_that_is_killed_in_mid_call_ends_the_run(
    surface: Surface, connect: Connect, program: dict[str, Any], server: FakeServer
):
    others = children()
    client = module(surface).client(server.llm())
    client.mcp_client = mcp = connect(**program)
    (process,) = children() - others
    begun = threading.Event()
    agent = module(surface).Agent(client, events=lambda e: begun.set() if e.kind == "tool_call" else None)
    server.replies(call("wait"), text("I was told."))

    run = surface.start(lambda: agent.run("Go on."))
    assert begun.wait(5)
    assert surface.call(mcp, "call_tool", "add", {"a": 1, "b": 2}) == "3"
    os.kill(process, signal.SIGKILL)

    assert isinstance(run.outcome(5), MCPConnectionError)
    assert (agent.messages, len(server.requests)) == ([], 1)


def test_g3_e4_of_concurrent_calls_the_error_is_bare(
    surface: Surface, connect: Connect, raw: Callable[..., Any], server: FakeServer
):
    """All of them meet the dead server, and one error of the kind that is documented comes out."""
    client = module(surface).client(server.llm())
    client.mcp_client = connect(**raw("dying"))
    agent = module(surface).Agent(client, concurrent_tool_calls=True)
    server.replies(calls([("tool", {}), ("turn", {}), ("tool", {})]), text("I was told."))

    with pytest.raises(MCPConnectionError) as raised:
        surface.call(agent, "run", "Go on.")

    if surface.name == "sync":
        assert len(raised.value.__notes__) == 2
    assert (agent.messages, len(server.requests)) == ([], 1)


def test_g3_e4_siblings_are_cancelled_or_run_to_their_end(
    surface: Surface, connect: Connect, program: dict[str, Any], server: FakeServer
):
    """As the workers of a Parallel: tasks are cancelled, threads cannot be."""
    client = module(surface).client(server.llm())
    client.mcp_client = connect(**program)
    seen: list[str] = []

    def slow() -> str:
        """Wait until the server has gone."""
        with pytest.raises(MCPConnectionError):
            client.mcp_client.call_tool("wait")
        seen.append("ended")
        return "done"

    async def slow_and_async() -> str:
        """Wait for ever."""
        try:
            return await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    own = tool(slow if surface.name == "sync" else slow_and_async)
    agent = module(surface).Agent(client, tools=[own], concurrent_tool_calls=True)
    server.replies(calls([(own.name, {}), ("stop", {})]), text("I was told."))

    with pytest.raises(MCPConnectionError) as raised:
        surface.call(agent, "run", "Go on.")

    assert seen == ["ended" if surface.name == "sync" else "cancelled"]
    assert not hasattr(raised.value, "__notes__")


def test_g3_a_dead_server_of_an_agent_that_is_a_tool_reaches_the_caller(
    surface: Surface, connect: Connect, raw: Callable[..., Any], server: FakeServer
):
    names = module(surface)
    client, other = names.client(server.llm()), names.client(server.llm())
    client.mcp_client = connect(**raw("dying"))
    helper = names.Agent(client, "You help.", name="helper")
    boss = names.Agent(other, "You ask.", tools=[helper.as_tool()])
    server.replies(call("helper", task="Stop."), call("tool"), text("I was told."))

    with pytest.raises(MCPConnectionError):
        surface.call(boss, "run", "Go on.")

    assert (boss.messages, len(server.requests)) == ([], 2)


def test_g3_a_dead_server_of_a_workflow_that_is_a_tool_reaches_the_caller(
    surface: Surface, connect: Connect, raw: Callable[..., Any], server: FakeServer
):
    """Though a Parallel says what failed in groups."""
    names = module(surface)
    client, other = names.client(server.llm()), names.client(server.llm())
    client.mcp_client = connect(**raw("dying"))
    helpers = names.Parallel([names.Parallel([names.Agent(client, "You help.")])])
    boss = names.Agent(other, "You ask.", tools=[helpers.as_tool(name="helpers")])
    server.replies(call("helpers", task="Stop."), call("tool"), text("I was told."))

    with pytest.raises(MCPConnectionError):
        surface.call(boss, "run", "Go on.")

    assert (boss.messages, len(server.requests)) == ([], 2)


def test_g3_a_client_that_is_closed_in_mid_call_ends_the_turn(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer
):
    client = module(surface).client(server.llm())
    client.mcp_client = connect(server=box.server)
    server.replies(call("wait"), text("I was told."))

    turn = surface.start(lambda: client.chat("Go on."))
    assert box.started.wait(5)
    surface.close(client.mcp_client)

    assert isinstance(failure := turn.outcome(5), ClosedError), failure
    assert (client.messages, len(server.requests)) == ([], 1)


def test_g3_a_client_that_is_closed_before_the_call_ends_the_turn(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer
):
    client = module(surface).client(server.llm())
    client.mcp_client = mcp = connect(server=box.server)

    def approve(_: Any) -> bool:
        mcp.close()
        return True

    async def approve_async(_: Any) -> bool:
        await mcp.aclose()
        return True

    agent = module(surface).Agent(client, approve=approve if surface.name == "sync" else approve_async)
    server.replies(call("add", a=1, b=2), text("I was told."))

    with pytest.raises(ClosedError):
        surface.call(agent, "run", "Go on.")
    assert (agent.messages, len(server.requests)) == ([], 1)


@pytest.mark.parametrize("way", ["cancel", "timeout"])
async def test_d6_leaving_an_async_turn_ends_the_call_of_a_sync_client_at_the_server(
    box: Toolbox, server: FakeServer, way: str
):
    server.replies(call("wait"))
    with abstractcore.MCPClient(server=box.server) as mcp:
        client = aio.client(server.llm())
        client.mcp_client = mcp
        turn = asyncio.create_task(client.chat("Wait.", timeout=60 if way == "cancel" else 1))
        while not box.started.is_set():
            await asyncio.sleep(0.001)
        if way == "cancel":
            turn.cancel()
        with pytest.raises(asyncio.CancelledError if way == "cancel" else TimeoutError):
            await turn

        assert box.cancelled.wait(5)
        assert mcp.call_tool("add", {"a": 1, "b": 2}) == "3"
        await client.aclose()


def test_e3_a_tool_of_a_server_that_takes_too_long_is_cancelled_there(
    surface: Surface, connect: Connect, box: Toolbox, server: FakeServer
):
    client = module(surface).client(server.llm())
    client.mcp_client = connect(server=box.server)
    server.replies(call("wait"), text("It took too long."))
    agent = module(surface).Agent(client, tool_timeout=0.3)

    assert surface.call(agent, "run", "Wait.") == "It took too long."

    assert box.cancelled.wait(5)
    assert surface.call(client.mcp_client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


# ---- colours ------------------------------------------------------------------------------------


async def test_f6_an_async_mcp_client_is_refused_where_it_is_given_to_the_sync_surface(
    box: Toolbox, server: FakeServer
):
    async with await AsyncMCPClient.connect(server=box.server) as mcp:
        client = abstractcore.client(server.llm())
        with pytest.raises(AsyncToolError, match=r"mcp_client.*abstractcore\.aio"):
            client.mcp_client = mcp
        assert client.mcp_client is None

        aio.client(client).mcp_client = mcp  # which share their state
        with pytest.raises(AsyncToolError):
            abstractcore.Agent(client)
        with pytest.raises(AsyncToolError):
            abstractcore.Parallel.from_client(client, ["a"])
        with pytest.raises(AsyncToolError):
            client.chat("1 + 2?")
        session = abstractcore.BasicSession(client.llm)
        session.mcp_client = mcp
        with pytest.raises(AsyncToolError):
            session.generate("1 + 2?", run_tools=True)

    assert server.requests == []


async def test_f6_a_connection_that_was_not_awaited_is_refused(box: Toolbox, server: FakeServer):
    with pytest.raises(ConfigurationError, match="await"):
        aio.client(server.llm()).mcp_client = AsyncMCPClient.connect(server=box.server)


def test_h1_the_sync_mcp_client_of_a_wrapped_client_serves_the_async_surface(
    box: Toolbox, server: FakeServer
):
    """Its tools are sync tools, which run in threads (E2): the loop goes on while one waits."""

    async def ask(client: aio.Client) -> tuple[str, int]:
        asking = asyncio.create_task(client.chat("Wait."))
        turns = 0
        while not box.started.is_set():
            await asyncio.sleep(0.001)
            turns += 1
        box.released.set()
        return await asking, turns

    server.replies(call("linger"), text("It waited."))
    with abstractcore.MCPClient(server=box.server) as mcp:
        client = abstractcore.client(server.llm())
        client.mcp_client = mcp
        wrapped = aio.client(client)
        assert wrapped.mcp_client is mcp
        said, turns = asyncio.run(ask(wrapped))

    assert said == "It waited."
    assert turns > 0
    assert client.messages[2]["content"] == "lingered"
