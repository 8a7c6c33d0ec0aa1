"""Servers of tools that speak the Model Context Protocol.

Names are loaded when they are first used, and the package `mcp` when a client connects.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # what a type checker reads; at run time __getattr__ finds the same names
    from abstractcore.mcp.clients import AsyncMCPClient, MCPClient

__all__ = ["AsyncMCPClient", "MCPClient"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from abstractcore.mcp import clients

    found = globals()[name] = getattr(clients, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
