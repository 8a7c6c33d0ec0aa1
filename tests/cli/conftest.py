"""The command line, run in this process where it needs no terminal, and in one of its own where it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from abstractcore.cli.app import app
from tests.fakes.server import FakeServer

TOOLS = '''
from abstractcore import tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
'''
A_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154"
    "789c63f8cfc0f01f0005000380ff9c6ee3d30000000049454e44ae426082"
)
Run = Callable[..., Any]


@pytest.fixture
def at_server(server: FakeServer) -> list[str]:
    """The options that name the fake server's model."""
    return ["--model", "openai-compatible:test-model", "--base-url", f"{server.url}/v1"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Run]:
    """Run a command to its end: `run("ask", "Hi", input="…", OPENAI_API_KEY="k")`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))

    def run(*arguments: str, input: str | bytes = "", **environment: str) -> Any:
        done = CliRunner().invoke(app, [*arguments], input=input, env=environment, prog_name="abstractcore")
        assert done.exc_info is None or done.exc_info[0] is SystemExit, done.exc_info
        return done

    return run


@pytest.fixture
def tools_file(tmp_path: Path) -> str:
    """A Python file with one tool, `add`."""
    path = tmp_path / "my_tools.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """The path of a picture."""
    path = tmp_path / "a picture.png"
    path.write_bytes(A_PIXEL)
    return str(path)


def one_line_of(done: Any) -> str:
    """What a failed command says: one line, and no traceback."""
    line, end = done.stderr.split("\n")
    assert end == ""
    assert done.stdout == ""
    return line
