"""CONTRACT G1, G2: one whole source, every kind of it, and one error for whatever goes wrong."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp.client.transports import FastMCPTransport

from abstractcore import ConfigurationError, MCPConnectionError, MissingDependencyError
from abstractcore.mcp import AsyncMCPClient, MCPClient
from tests.fakes.network import refused_port
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.mcp.conftest import Connect
from tests.mcp.toolboxes import INPUT, Toolbox, on_fastmcp

KEY = "sk-mcp-0123456789"
NOT_ONE_SOURCE: list[dict[str, Any]] = [
    {},
    {"url": "http://127.0.0.1/mcp", "command": "server"},
    {"config": {"mcpServers": {"a": {"url": "http://127.0.0.1/mcp"}}}, "command": "server"},
    {"config": {"mcpServers": {"a": {"url": "http://127.0.0.1/mcp", "command": "server"}}}},
    {"config": {"mcpServers": {"a": {}}}},
    {"config": {"mcpServers": {}}},
    {"config": {}},
    {"config": {"mcpServers": {"a": {"type": "sse", "url": "http://127.0.0.1/sse"}}}},
    {"command": "server", "headers": {"X-Key": KEY}},
    {"url": "http://127.0.0.1/mcp", "args": ["x"]},
    {"command": "server", "args": "x"},
    {"command": "server", "args": ["x", 1]},
    {"command": ["server", "x"]},
    {"command": "server", "env": {"X": 1}},
    {"url": "http://127.0.0.1/mcp", "headers": ["X-Key"]},
    {"url": "127.0.0.1/mcp"},
    {"server": "server.py"},
    {"server": object()},
    {"command": "server", "timeout": 0},
]


def test_g1_a_server_in_this_process_is_connected_to(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)

    add = next(spec for spec in surface.call(client, "list_tools") if spec.name == "add")

    assert add.description == "Add two numbers."
    assert add.parameters["required"] == INPUT["required"]
    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


def test_g1_a_transport_of_fastmcp_is_a_server_too(surface: Surface, connect: Connect):
    """What stands on no known server class goes through fastmcp's own client."""
    client = connect(server=FastMCPTransport(on_fastmcp().server))

    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


def test_g1_a_program_is_started_and_ended(surface: Surface, connect: Connect, program: dict[str, Any]):
    client = connect(**program)

    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


@pytest.mark.parametrize("options", NOT_ONE_SOURCE, ids=lambda options: "+".join(options) or "none")
def test_g1_anything_but_one_whole_source_is_refused(connect: Connect, options: dict[str, Any]):
    with pytest.raises(ConfigurationError) as failure:
        connect(**options)

    assert KEY not in str(failure.value)


def test_g1_an_argument_that_does_not_exist_is_a_type_error(connect: Connect):
    with pytest.raises(TypeError, match="'uri'"):
        connect(uri="http://127.0.0.1/mcp")


def test_g1_the_async_client_says_how_it_is_made():
    with pytest.raises(ConfigurationError, match=r"await MCPClient\.connect"):
        AsyncMCPClient(server=on_fastmcp().server)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": "no-such-program"}, "No such file"),
        ({"command": sys.executable, "args": ["-c", ""]}, "Connection closed"),
        ({"command": sys.executable, "cwd": "/no/such/folder"}, "No such file"),
    ],
    ids=["missing", "ends at once", "no folder"],
)
def test_a_program_that_cannot_be_talked_to_is_one_error(connect: Connect, options: Any, words: str):
    with pytest.raises(MCPConnectionError, match=words):
        connect(**options)


def test_a_server_that_does_not_answer_is_given_up(connect: Connect, raw: Callable[..., Any]):
    with pytest.raises(MCPConnectionError, match=r"did not answer within 0\.5 seconds"):
        connect(**raw("silent"), timeout=0.5)


def test_a_server_with_pages_without_end_is_refused(connect: Connect, raw: Callable[..., Any]):
    with pytest.raises(MCPConnectionError, match="more than 100 pages"):
        connect(**raw("endless"))


def test_a_url_that_nobody_listens_on_is_one_error(connect: Connect):
    with pytest.raises(MCPConnectionError, match="connection attempts failed"):
        connect(url=f"http://127.0.0.1:{refused_port()}/mcp")


def test_a_url_that_refuses_says_with_which_status(connect: Connect, server: FakeServer):
    server.route = lambda _: whole(401, "no", headers=[("Content-Type", "text/plain")])

    with pytest.raises(MCPConnectionError, match="HTTP 401 Unauthorized"):
        connect(url=server.url + "/mcp", headers={"Authorization": f"Bearer {KEY}"})

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", ["url", "program", "config"])
def test_no_error_and_no_traceback_shows_a_secret(connect: Connect, way: str):
    address = f"http://user:{KEY}@127.0.0.1:{refused_port()}/mcp?token={KEY}"
    entry = {"url": address, "headers": {"Authorization": f"Bearer {KEY}"}}
    program = {"command": "no-such-program", "args": ["--key", KEY], "env": {"SERVICE_KEY": KEY}}
    options: dict[str, Any] = {
        "url": entry,
        "program": program,
        "config": {"config": {"mcpServers": {"a": entry, "b": program}}},
    }[way]

    with pytest.raises(MCPConnectionError) as caught:
        connect(**options)

    ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [
        frame for frame in ours.stack if "abstractcore" in frame.filename and "tests" not in frame.filename
    ]
    assert KEY not in str(caught.value)
    assert frames
    assert not [frame for frame in frames if KEY in str(frame.locals)]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "mcp", None)

    with pytest.raises(MissingDependencyError, match=r'pip install "abstractcore\[mcp\]"'):
        connect(command="server")


def test_names_the_tools_module_and_the_package_have_the_sync_client():
    import abstractcore
    import abstractcore.tools

    assert abstractcore.tools.MCPClient is MCPClient
    assert abstractcore.MCPClient is MCPClient


def test_a_client_shows_where_it_leads_and_no_secret(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)

    assert "in this process" in repr(client)
    surface.close(client)
    assert "closed" in repr(client)
