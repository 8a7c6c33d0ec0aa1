"""The tools that a command line names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from abstractcore.cli.toolbox import toolbox, tools_of
from abstractcore.errors import ConfigurationError, MCPConnectionError


def written(folder: Path, text: str, name: str = "some_tools.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_public_functions_are_tools_where_none_is_marked(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "from json import dumps\n"
        "def shout(text: str) -> str:\n    'Shout.'\n    return _loud(text)\n"
        "def _loud(text: str) -> str:\n    return text.upper()\n"
        "class Shop: ...\n",
    )

    (shout,) = tools_of(file)

    assert (shout.name, shout.description, shout(text="a")) == ("shout", "Shout.", "A")


def test_marked_functions_are_the_only_tools(tmp_path: Path, tools_file: str) -> None:
    assert [tool.name for tool in tools_of(tools_file)] == ["add"]


def test_a_file_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    written(tmp_path, "GREETING = 'Hello'", "a_neighbour_of_tools.py")
    file = written(tmp_path, "import a_neighbour_of_tools as n\ndef greet() -> str:\n    return n.GREETING\n")

    assert tools_of(file)[0]() == "Hello"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", "no @tool and no public function"),
        ("\nx = nothing", ":2: NameError"),
        ("def f(:", "SyntaxError"),
        ("async def f() -> str:\n    return ''", "the tool f is async"),
        ("def f(*args):\n    pass", "args"),
    ],
)
def test_a_file_without_usable_tools_is_named(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"some_tools\.py|args") as caught:
        tools_of(written(tmp_path, text))
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"no/tools\.py: there is no such file"):
        tools_of("no/tools.py")


def test_two_tools_of_one_name_are_refused(tmp_path: Path, tools_file: str) -> None:
    other = written(tmp_path, "def add(a: int) -> int:\n    return a", "other_tools.py")

    with (
        pytest.raises(ConfigurationError, match="two tools are called add"),
        toolbox([tools_file, other], None),
    ):
        pass


def test_the_servers_of_a_config_are_left_at_the_end(tmp_path: Path) -> None:
    box = {"command": sys.executable, "args": ["-m", "tests.mcp.toolboxes"]}
    config = written(tmp_path, json.dumps({"mcpServers": {"box": box}}), "servers.json")

    with toolbox(None, [config]) as tools:
        add = next(tool for tool in tools if tool.name == "box__add")
        assert add(a=1, b=2) == "3"

    with pytest.raises(ConfigurationError, match="closed"):
        add(a=1, b=2)


@pytest.mark.parametrize(
    ("server", "kind"), [("no-such-program-here", MCPConnectionError), ("a 'b", ConfigurationError)]
)
def test_a_server_that_cannot_be_started_is_an_error(server: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), toolbox(None, [server]):
        pass


def test_a_server_without_a_name_is_told_what_could_stand_there() -> None:
    with pytest.raises(ConfigurationError, match="name a URL"), toolbox(None, [" "]):
        pass
