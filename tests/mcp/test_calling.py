"""CONTRACT G1 to G3: what a call gives, what goes wrong in it, and that it can be left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest

from abstractcore import ConfigurationError, RequestTimeoutError, ToolError
from abstractcore.mcp import AsyncMCPClient, MCPClient
from tests.fakes.surfaces import Surface
from tests.mcp.conftest import Connect
from tests.mcp.raw_server import ODD_NAMES
from tests.mcp.toolboxes import Toolbox, on_mcp_server


def test_a_result_of_several_parts_is_one_text(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)

    assert surface.call(client, "call_tool", "picture") == "Look:\n[image: image/png, 10 bytes]"
    described = surface.call(client, "call_tool", "describe", {"city": "Paris"})
    assert json.loads(described) == {"city": "Paris", "rivers": ["Seine"]}


def test_structured_content_stands_beside_the_text_that_does_not_say_it(
    surface: Surface, connect: Connect, box: Toolbox
):
    client = connect(server=box.server)

    assert surface.call(client, "call_tool", "report") == 'It is mild.\n{"celsius": 21}'
    assert surface.call(client, "call_tool", "repeat") == 'a\n{"b":\n1}'


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("fail", {"how": "badly"}, "fail"),
        ("add", {"a": "one", "b": 2}, "valid integer"),
        ("add", {"a": 1}, "b"),
        ("add", {"a": float("nan"), "b": 2}, "not a JSON object"),
        ("add", [1, 2], "not a JSON object"),
        ("subtract", {}, "there is no tool 'subtract'; there are: add"),
    ],
)
def test_g3_a_failing_call_is_a_tool_error_with_the_servers_words(
    surface: Surface, connect: Connect, box: Toolbox, name: str, arguments: Any, words: str
):
    client = connect(server=box.server)

    with pytest.raises(ToolError, match=words):
        surface.call(client, "call_tool", name, arguments)

    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


@pytest.mark.parametrize(("behaviour", "words"), [("refusing", "upstream is busy"), ("wrong", "content")])
def test_g3_a_refused_or_unreadable_call_is_a_tool_error_too(
    surface: Surface, connect: Connect, raw: Callable[..., Any], behaviour: str, words: str
):
    """-32000 is what clients say of a broken connection, and what servers say of anything."""
    client = connect(**raw(behaviour))

    for _ in range(2):
        with pytest.raises(ToolError, match=words):
            surface.call(client, "call_tool", "tool")


def test_a_key_that_a_server_repeats_is_not_told(surface: Surface, connect: Connect, raw: Callable[..., Any]):
    client = connect(**raw("leaking", env={"SERVICE_KEY": "sk-0123456789"}))

    with pytest.raises(ToolError, match=r"the key \*\*\* was refused"):
        surface.call(client, "call_tool", "tool")


def test_g1_the_tools_are_tools_of_the_surface(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)

    tools = {tool.name: tool for tool in surface.call(client, "as_tools")}

    assert tools["add"].is_async == (surface.name == "async")
    assert tools["add"].description == "Add two numbers."
    assert tools["add"].parameters["properties"]["a"]["type"] == "integer"
    assert surface.run(lambda: tools["add"](a=1, b=2)) == "3"
    with pytest.raises(ToolError, match="how"):
        tools["fail"].validate({})
    with pytest.raises(ToolError, match="fail"):
        surface.run(lambda: tools["fail"](how="badly"))


def test_a_name_that_no_provider_takes_is_made_plain(
    surface: Surface, connect: Connect, raw: Callable[..., Any]
):
    client = connect(**raw("odd"))

    dotted, long = (tool.name for tool in surface.call(client, "as_tools"))

    assert dotted == "files_read"
    assert len(long) == 64
    for name, own in zip((dotted, long), ODD_NAMES, strict=True):
        assert surface.call(client, "call_tool", name) == f"{own} was called"


@pytest.mark.parametrize("as_program", [False, True], ids=["in process", "program"])
def test_progress_is_told_while_the_tool_runs(
    surface: Surface, connect: Connect, program: dict[str, Any], as_program: bool
):
    client = connect(**(program if as_program else {"server": on_mcp_server().server}))
    told: list[Any] = []

    result = surface.call(client, "call_tool", "count", {"to": 3}, progress=lambda *note: told.append(note))

    assert result == "counted"
    assert told == [(1, 3, "at 1"), (2, 3, "at 2"), (3, 3, "at 3")]


async def test_progress_may_be_awaited(box: Toolbox):
    told: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        await asyncio.sleep(0)
        told.append(done)

    async with await AsyncMCPClient.connect(server=box.server) as client:
        await client.call_tool("count", {"to": 2}, progress=progress)

    assert told == [1, 2]


def test_async_progress_is_refused_on_the_sync_surface(box: Toolbox):
    async def progress(*_: Any) -> None: ...

    with MCPClient(server=box.server) as client, pytest.raises(ConfigurationError, match="aio"):
        client.call_tool("count", {"to": 2}, progress=progress)


def test_a_failure_in_progress_ends_the_call(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)

    def progress(*_: Any) -> None:
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        surface.call(client, "call_tool", "count", {"to": 1000}, progress=progress)

    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


def test_a_call_that_takes_too_long_is_cancelled_at_the_server(
    surface: Surface, connect: Connect, box: Toolbox
):
    client = connect(server=box.server)

    with pytest.raises(RequestTimeoutError, match=r"0\.2 seconds"):
        surface.call(client, "call_tool", "wait", timeout=0.2)

    assert box.cancelled.wait(5)
    assert surface.call(client, "call_tool", "add", {"a": 1, "b": 2}) == "3"


def test_a_tool_that_takes_too_long_is_a_tool_error(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server, timeout=0.5)
    wait = next(tool for tool in surface.call(client, "as_tools") if tool.name == "wait")

    with pytest.raises(ToolError, match=r"0\.5 seconds"):
        surface.run(lambda: wait())


@pytest.mark.parametrize("as_program", [False, True], ids=["in process", "program"])
async def test_a_cancelled_call_leaves_the_client_usable(box: Toolbox, program: Any, as_program: bool):
    options = program if as_program else {"server": box.server}
    async with await AsyncMCPClient.connect(**options) as client:
        call = asyncio.create_task(client.call_tool("wait"))
        other = asyncio.create_task(client.call_tool("add", {"a": 1, "b": 1}))
        await other
        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call

        assert as_program or box.cancelled.wait(5)
        assert await client.call_tool("add", {"a": 1, "b": 2}) == "3"


async def test_d6_a_timeout_around_a_call_is_the_standard_one(box: Toolbox):
    async with await AsyncMCPClient.connect(server=box.server) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.2):
                await client.call_tool("wait")

        assert type(caught.value) is TimeoutError
        assert await client.call_tool("add", {"a": 1, "b": 2}) == "3"


@pytest.mark.parametrize("as_program", [False, True], ids=["in process", "program"])
def test_calls_run_at_the_same_time(
    surface: Surface, connect: Connect, box: Toolbox, program: Any, as_program: bool
):
    """Each waits for the others, on one client."""
    client = connect(**(program if as_program else {"server": box.server}))
    calls = [surface.later(client, "meet", {"others": 5}, method="call_tool") for _ in range(5)]

    assert surface.gather(*calls, timeout=20) == ["5"] * 5


def test_a_client_that_is_closed_in_mid_call_ends_the_call(surface: Surface, connect: Connect, box: Toolbox):
    client = connect(server=box.server)
    call = surface.start(surface.later(client, "wait", method="call_tool"))
    assert box.started.wait(5)

    surface.close(client)

    failure = call.outcome(5)
    assert type(failure).__name__ == "ClosedError", failure
    assert not isinstance(failure, CancelledError)
