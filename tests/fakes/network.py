"""Faults below HTTP: nobody listens, nobody answers, no such name."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any


def refused_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """A URL whose connections are never completed.

    Linux drops the SYNs of a listener whose accept queue is full. A system that does otherwise is
    found out here, with OSError.
    """
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(16):
            filler = sockets.enter_context(socket.socket())
            filler.settimeout(0.05)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
                return
        raise OSError("this system completes connections beyond the backlog")


def failing_dns(
    monkeypatch: Any, *, host: str = "models.invalid", code: int = socket.EAI_NONAME
) -> list[str]:
    """Make the lookup of *host* fail with *code*, asking no resolver; the list grows with each lookup.

    Both surfaces come through `socket.getaddrinfo`: an event loop calls it in a thread. EAI_AGAIN is
    the failure that may pass.
    """
    real, lookups = socket.getaddrinfo, list[str]()

    def getaddrinfo(name: Any, *args: Any, **options: Any) -> Any:
        asked = name.decode() if isinstance(name, bytes) else name
        if asked != host:
            return real(name, *args, **options)
        lookups.append(asked)
        raise socket.gaierror(code, "scripted failure")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lookups
