"""CONTRACT G1, G3: `client.mcp_client = mcp` gives its tools to the client and to its agents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import abstractcore
from abstractcore import (
    AsyncToolError,
    ConfigurationError,
    MCPConnectionError,
    MCPToolsChangedError,
    aio,
    tool,
)
from abstractcore.mcp import AsyncMCPClient
from tests.fakes.any_wire import call, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire
from tests.mcp.conftest import Connect
from tests.mcp.toolboxes import Toolbox


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


async def test_f6_an_async_mcp_client_is_refused_on_the_sync_surface(box: Toolbox, server: FakeServer):
    async with await AsyncMCPClient.connect(server=box.server) as mcp:
        client = abstractcore.client(server.llm())
        client.mcp_client = mcp

        with pytest.raises(AsyncToolError):
            client.chat("1 + 2?")

    assert server.requests == []
