"""Where a request goes, and its headers as they are sent: a URL is taken apart once.

Knows URLs and headers. Knows no socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from abstractcore.drivers.base import HttpRequest

_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]
"""A server: connections to it are alike."""
RawHeaders = Sequence[tuple[bytes, bytes]]


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
    if " " in path or not path.isprintable():
        raise ValueError("a character that must be percent-encoded")
    shown = f"[{host}]" if ":" in host else host
    default = _PORTS[parts.scheme]
    header = shown if port in (None, default) else f"{shown}:{port}"
    origin = (parts.scheme, host, port or default)
    return Target(*origin, path.encode("ascii"), header.encode("ascii"), origin)


def raw_headers(request: HttpRequest, target: Target) -> list[tuple[bytes, bytes]]:
    """Give the headers as they are sent. The key enters here, and into no local that outlives the call."""
    headers = [(b"Host", target.host_header)]
    headers += [(name.encode("ascii"), value.encode()) for name, value in request.headers.items()]
    if request.body or request.method == "POST":
        headers.append((b"Content-Length", b"%d" % len(request.body)))
    if request.secret is not None:
        name, prefix, secret = request.secret
        headers.append((name.encode("ascii"), (prefix + secret.reveal()).encode()))
    return headers
