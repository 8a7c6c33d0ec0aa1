"""Functions that a model may call.

Names are loaded when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # what a type checker reads; at run time __getattr__ finds the same names
    from abstractcore.mcp import MCPClient
    from abstractcore.tools.context import ToolContext
    from abstractcore.tools.decorator import Tool, tool

_HOME = {
    "MCPClient": "abstractcore.mcp",  # a room above this one, which it may name and does not import
    "Tool": "abstractcore.tools.decorator",
    "ToolContext": "abstractcore.tools.context",
    "tool": "abstractcore.tools.decorator",
}

__all__ = ["MCPClient", "Tool", "ToolContext", "tool"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
