"""CONTRACT G1, G2: servers that others wrote, as programs: mcp-server-time, and two on Node.js."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import abstractcore
from abstractcore import ToolError, aio
from tests.fakes.any_wire import calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.mcp.conftest import Connect
from tests.real.conftest import node
from tests.real.processes import absent

NPM = Path(sys.prefix) / "npm" / "node_modules" / "@modelcontextprotocol"


def on_node(package: str, *args: str) -> dict[str, Any]:
    """The options that start a server of the npm packages."""
    node_path, script = node(), NPM / package / "dist" / "index.js"
    if node_path is None:
        absent("Node.js is not installed")
    if not script.exists():
        absent(f"@modelcontextprotocol/{package} is not installed: `make test` does that")
    return {"command": node_path, "args": [str(script), *args]}


@pytest.fixture
def time_server() -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-m", "mcp_server_time", "--local-timezone", "UTC"]}


def test_the_time_server_tells_the_time(surface: Surface, connect: Connect, time_server: dict[str, Any]):
    client = connect(**time_server)

    assert {spec.name for spec in surface.call(client, "list_tools")} == {"get_current_time", "convert_time"}
    told = surface.call(client, "call_tool", "get_current_time", {"timezone": "Europe/Paris"})
    assert json.loads(told)["timezone"] == "Europe/Paris"
    with pytest.raises(ToolError, match="Nowhere"):
        surface.call(client, "call_tool", "get_current_time", {"timezone": "Nowhere/Land"})


def test_the_everything_server_shows_every_kind_of_result(surface: Surface, connect: Connect):
    client = connect(**on_node("server-everything", "stdio"))

    assert surface.call(client, "call_tool", "echo", {"message": "é"}) == "Echo: é"
    image = surface.call(client, "call_tool", "get-tiny-image")
    assert "[image: image/png, " in image
    weather = surface.call(client, "call_tool", "get-structured-content", {"location": "New York"})
    assert set(json.loads(weather)) == {"temperature", "conditions", "humidity"}
    links = surface.call(client, "call_tool", "get-resource-links", {"count": 2})
    assert links.count("[resource ") == 2
    resource = surface.call(
        client, "call_tool", "get-resource-reference", {"resourceType": "Text", "resourceId": 1}
    )
    assert "[resource demo://resource/dynamic/text/1]\nResource 1: This is a plaintext resource" in resource
    with pytest.raises(ToolError):
        surface.call(client, "call_tool", "get-sum", {"a": "one", "b": 2})


def test_the_everything_server_tells_its_progress(surface: Surface, connect: Connect):
    client = connect(**on_node("server-everything", "stdio"))
    told: list[Any] = []

    surface.call(
        client,
        "call_tool",
        "trigger-long-running-operation",
        {"duration": 0.2, "steps": 2},
        progress=lambda done, total, _: told.append((done, total)),
    )

    assert told == [(1, 2), (2, 2)]


def test_an_agent_streams_the_progress_of_the_everything_server(
    surface: Surface, connect: Connect, server: FakeServer
):
    name = "trigger-long-running-operation"
    server.replies(calls([(name, {"duration": 0.2, "steps": 2})]), text("It is done."))
    names: Any = abstractcore if surface.name == "sync" else aio
    client = names.client(server.llm())
    client.mcp_client = connect(**on_node("server-everything", "stdio"))

    stream = surface.run(lambda: names.Agent(client).run("Do it.", stream=True))
    iterator = surface.iterate(stream)
    told = [chunk.content for chunk in iter(lambda: surface.step(iterator), None) if chunk.is_tool_call()]

    assert told[1:3] == ["1/2", "2/2"]
    assert told[3].startswith("Long running operation completed")


def test_the_filesystem_server_reads_and_writes_in_its_folder_alone(
    surface: Surface, connect: Connect, tmp_path: Path
):
    folder = tmp_path / "open"
    folder.mkdir()
    (tmp_path / "closed.txt").write_text("secret")
    client = connect(**on_node("server-filesystem", str(folder)))

    surface.call(client, "call_tool", "write_file", {"path": str(folder / "a.txt"), "content": "hello"})

    assert (folder / "a.txt").read_text() == "hello"
    assert surface.call(client, "call_tool", "read_text_file", {"path": str(folder / "a.txt")}) == "hello"
    with pytest.raises(ToolError, match="denied"):
        surface.call(client, "call_tool", "read_text_file", {"path": str(tmp_path / "closed.txt")})


def test_several_real_servers_are_one_set_of_tools(
    surface: Surface, connect: Connect, time_server: dict[str, Any], tmp_path: Path
):
    servers = {
        "time": time_server,
        "files": on_node("server-filesystem", str(tmp_path)),
        "everything": on_node("server-everything", "stdio"),
    }
    client = connect(config={"mcpServers": servers})

    names = {tool.name for tool in surface.call(client, "as_tools")}

    assert {"time__convert_time", "files__write_file", "everything__get-sum"} <= names
    assert "5" in surface.call(client, "call_tool", "everything__get-sum", {"a": 2, "b": 3})
