"""Where a request goes: a URL, taken apart once.

Knows URLs. Knows no socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]
"""A server: connections to it are alike."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what is asked of it."""

    scheme: str
    host: str
    port: int
    path: bytes
    """With its query."""
    host_header: bytes
    origin: Origin

    @property
    def where(self) -> str:
        """Name the server to a reader."""
        return f"{self.host}:{self.port}"


@lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """Take *url* apart, once. Raises ValueError for what is no http or https URL."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme not in _PORTS or not host:
        raise ValueError("not an http or https URL with a host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    shown = f"[{host}]" if ":" in host else host
    default = _PORTS[parts.scheme]
    header = shown if port in (None, default) else f"{shown}:{port}"
    origin = (parts.scheme, host, port or default)
    return Target(*origin, path.encode("ascii"), header.encode("ascii"), origin)
