"""What a model was told of each tool, held fast: a server that tells another story later is stopped.

A description goes straight into the prompt, so a server could change a harmless one into an
instruction once it is trusted (CVE-2025-54136).
"""

from __future__ import annotations

from collections.abc import Iterable

from abstractcore.errors import MCPToolsChangedError
from abstractcore.types import ToolSpec


class Pins:
    """What was approved: the first description and schema of each name, and what the caller approves."""

    def __init__(self) -> None:
        self._approved: dict[str, ToolSpec] = {}
        self._changed: dict[str, ToolSpec] = {}
        self._shown: dict[str, ToolSpec] = {}

    def see(self, specs: Iterable[ToolSpec]) -> None:
        """Take what the server tells now. A name that is new is pinned; one that left stays pinned."""
        told = {spec.name: spec for spec in specs}
        self._approved = {**told, **self._approved}
        self._changed = {name: spec for name, spec in told.items() if spec != self._approved[name]}

    def check(self, name: str | None = None) -> None:
        """Raise MCPToolsChangedError if a tool, or the one called *name*, is not what was approved."""
        changed = (
            self._changed
            if name is None
            else {key: self._changed[key] for key in self._changed if key == name}
        )
        if not changed:
            return
        self._shown = dict(changed)
        names = ", ".join(changed)
        raise MCPToolsChangedError(
            f"mcp: the server has changed what it says of {names} since it was approved. "
            "Compare the error's changes, then call approve_changes().",
            changes={name: (self._approved[name], spec) for name, spec in changed.items()},
        )

    def approve(self) -> None:
        """Take what the last MCPToolsChangedError showed, and nothing that came later."""
        self._approved = {**self._approved, **self._shown}
        self._changed = {name: spec for name, spec in self._changed.items() if spec != self._approved[name]}
        self._shown = {}
