"""Servers of tools, and clients of them on both surfaces; nothing of them is left after a test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore.mcp import AsyncMCPClient, MCPClient
from tests.fakes.processes import children
from tests.fakes.surfaces import Surface
from tests.mcp.toolboxes import Toolbox, on_fastmcp, on_mcp_server

ROOT = Path(__file__).parents[2]
RAW_SERVER = Path(__file__).parent / "raw_server.py"
Connect = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No thread of a client, and no process of a server."""
    before = children()
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "abstractcore-mcp"] == []
    assert children() - before == set()


@pytest.fixture
def connect(surface: Surface) -> Iterator[Connect]:
    """Connect a client of the surface's own kind; it is closed after the test."""
    clients: list[Any] = []

    def connect(**options: Any) -> Any:
        if surface.name == "sync":
            client: Any = MCPClient(**options)
        else:
            client = surface.run(lambda: AsyncMCPClient.connect(**options))
        clients.append(client)
        return client

    yield connect
    for client in clients:
        surface.close(client)


@pytest.fixture(params=["FastMCP", "MCPServer"])
def box(request: pytest.FixtureRequest) -> Toolbox:
    """A server in this process; the test runs once on each kind."""
    return on_fastmcp() if request.param == "FastMCP" else on_mcp_server()


@pytest.fixture
def program() -> dict[str, Any]:
    """The options that start a server as a program."""
    return {"command": sys.executable, "args": ["-m", "tests.mcp.toolboxes"], "cwd": ROOT}


@pytest.fixture
def raw() -> Callable[..., dict[str, Any]]:
    """The options that start the raw server with one of its behaviours."""

    def raw(behaviour: str, **options: Any) -> dict[str, Any]:
        return {"command": sys.executable, "args": [str(RAW_SERVER), behaviour], **options}

    return raw
