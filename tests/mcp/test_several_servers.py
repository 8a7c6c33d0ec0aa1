"""A config of several servers: their tools under the servers' names, and no tool in the place of another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import ConfigurationError, MCPConnectionError, MCPToolsChangedError
from tests.fakes.processes import children
from tests.fakes.surfaces import Surface
from tests.mcp.conftest import Connect


def config(**servers: dict[str, Any]) -> dict[str, Any]:
    return {"mcpServers": servers}


def test_the_tools_of_each_server_stand_under_its_name(
    surface: Surface, connect: Connect, raw: Callable[..., Any]
):
    client = connect(
        config=config(one=raw("server"), two=raw("odd", description="what hosts write beside it"))
    )

    names = [spec.name for spec in surface.call(client, "list_tools")]

    assert names[:3] == ["one__turn", "one__tool", "two__files_read"]
    assert surface.call(client, "call_tool", "one__tool") == "tool was called"
    assert surface.call(client, "call_tool", "two__files_read") == "files.read was called"


def test_one_server_of_a_config_has_its_name_in_front_too(
    surface: Surface, connect: Connect, raw: Callable[..., Any]
):
    """A second one that is added later renames nothing."""
    client = connect(config=config(one=raw("server"), off=raw("server", disabled=True)))

    assert [spec.name for spec in surface.call(client, "list_tools")] == ["one__turn", "one__tool"]


@pytest.mark.parametrize(
    "servers",
    [{"a": "twins"}, {"a.b": "server", "a/b": "server"}],
    ids=["tools of one server", "tools of two"],
)
def test_two_tools_of_one_name_are_an_error_and_not_an_overwrite(
    connect: Connect, raw: Callable[..., Any], servers: dict[str, str]
):
    before = children()

    with pytest.raises(ConfigurationError, match="two tools would be called"):
        connect(config=config(**{name: raw(behaviour) for name, behaviour in servers.items()}))

    assert children() == before


def test_one_server_that_cannot_be_reached_closes_the_others_and_is_named(
    connect: Connect, raw: Callable[..., Any]
):
    before = children()

    with pytest.raises(MCPConnectionError, match=r"broken \(no-such-program\)"):
        connect(config=config(good=raw("server"), broken={"command": "no-such-program"}))

    assert children() == before


def test_one_server_that_dies_leaves_the_others_usable(
    surface: Surface, connect: Connect, raw: Callable[..., Any]
):
    client = connect(config=config(good=raw("server"), bad=raw("dying")))

    with pytest.raises(MCPConnectionError, match="bad"):
        surface.call(client, "call_tool", "bad__tool")

    assert surface.call(client, "call_tool", "good__tool") == "tool was called"


def test_one_server_of_2026_that_dies_leaves_the_others_usable(
    surface: Surface, connect: Connect, program: dict[str, Any]
):
    """The stream on which it would announce changes ends with it, and is no reason to ask it again."""
    client = connect(config=config(good=program, bad=program))

    with pytest.raises(MCPConnectionError, match="bad"):
        surface.call(client, "call_tool", "bad__stop")

    assert surface.call(client, "call_tool", "good__add", {"a": 1, "b": 2}) == "3"


def test_a_change_at_one_server_names_the_tool_with_its_server(
    surface: Surface, connect: Connect, raw: Callable[..., Any]
):
    client = connect(config=config(one=raw("server"), two=raw("server")))
    surface.call(client, "call_tool", "two__turn")

    with pytest.raises(MCPToolsChangedError) as caught:
        surface.call(client, "list_tools")

    assert set(caught.value.changes) == {"two__turn", "two__tool"}
