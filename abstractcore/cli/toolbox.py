"""The tools that a command line names: functions of a Python file, and servers of tools."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import shlex
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from abstractcore.errors import ConfigurationError
from abstractcore.tools import Tool

if TYPE_CHECKING:
    from abstractcore.mcp import MCPClient


@contextmanager
def toolbox(files: Sequence[str] | None, servers: Sequence[str] | None) -> Generator[list[Tool[..., Any]]]:
    """Give the tools of Python files and of MCP servers, which are left at the end.

    Raises ConfigurationError for a file without tools, an async tool and two tools of one name, and
    MCPConnectionError.
    """
    with ExitStack() as connected:
        tools = [tool for file in files or () for tool in tools_of(file)]
        for server in servers or ():
            tools += connected.enter_context(_connected(server)).as_tools()
        _check_names(tools)
        yield tools


def tools_of(file: str) -> list[Tool[..., Any]]:
    """Run a Python file, and give its `@tool` functions, or where it has none its public functions."""
    module = _module_at(Path(file).expanduser())
    values = list(vars(module).values())
    marked = [value for value in values if isinstance(value, Tool)]
    tools = marked or [Tool.from_function(value) for value in values if _is_own_function(value, module)]
    if not tools:
        raise ConfigurationError(f"{file}: it has no @tool and no public function")
    for tool in tools:
        if tool.is_async:
            raise ConfigurationError(
                f"{file}: the tool {tool.name} is async; the command line runs plain ones"
            )
    return tools


def _module_at(path: Path) -> ModuleType:
    """Run the file as a module whose neighbours it may import, as a script may."""
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such file")
    name = f"abstractcore_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path}: this is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, os.fspath(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as failure:
        raise ConfigurationError(
            f"{path}{_line_in(failure, path)}: {type(failure).__name__}: {failure}"
        ) from failure
    return module


def _line_in(failure: Exception, path: Path) -> str:
    lines = [
        frame.lineno for frame in traceback.extract_tb(failure.__traceback__) if frame.filename == str(path)
    ]
    return f":{lines[-1]}" if lines else ""


def _is_own_function(value: Any, module: ModuleType) -> bool:
    is_public = inspect.isfunction(value) and not value.__name__.startswith("_")
    return is_public and value.__module__ == module.__name__


def _connected(server: str) -> MCPClient:
    """Connect to a URL, to the servers of a .json config, or to a command."""
    from abstractcore.mcp import MCPClient

    if server.startswith(("http://", "https://")):
        return MCPClient(url=server)
    if server.endswith(".json"):
        return MCPClient(config=read_json(server))
    try:
        words = shlex.split(server)
    except ValueError as failure:
        raise ConfigurationError(f"--mcp: not a command: {failure}") from failure
    if not words:
        raise ConfigurationError("--mcp: name a URL, a .json file or a command")
    return MCPClient(command=words[0], args=words[1:])


def read_json(file: str) -> Any:
    """Read a file of JSON. Raises ConfigurationError, which names the file and the reason."""
    try:
        return json.loads(Path(file).expanduser().read_bytes())
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or f"it is not JSON: {failure}"
        raise ConfigurationError(f"{file}: {reason}") from failure


def _check_names(tools: Sequence[Tool[..., Any]]) -> None:
    names = [tool.name for tool in tools]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"two tools are called {', '.join(twice)}")
