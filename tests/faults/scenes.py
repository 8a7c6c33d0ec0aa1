"""Where a fault plays: the server that a call is led to, or the place where there is none."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.tls import ssl_context
from abstractcore.providers import http
from tests.fakes.network import blackhole, failing_dns, refused_port
from tests.fakes.server import CA_FILE, FakeServer

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Stage:
    """A server, and the options that lead a client there, or elsewhere."""

    server: FakeServer
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    attempts: Callable[[], int] | None = None
    """How many attempts were seen, where it is not the server that sees them."""


@dataclass(frozen=True)
class Hands:
    """What a scene is built with."""

    make_server: Callable[..., FakeServer]
    monkeypatch: pytest.MonkeyPatch
    folder: Path


Scene = Callable[[Hands], contextlib.AbstractContextManager[Stage]]
SCENES: dict[str, Scene] = {}


def scene(name: str) -> Callable[[Callable[[Hands], Iterator[Stage]]], Scene]:
    def named(build: Callable[[Hands], Iterator[Stage]]) -> Scene:
        SCENES[name] = contextlib.contextmanager(build)
        return SCENES[name]

    return named


@contextlib.contextmanager
def trusting(hands: Hands, roots: Path) -> Iterator[None]:
    """These roots are trusted, as by a user who sets SSL_CERT_FILE."""
    hands.monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    ssl_context.cache_clear()
    yield
    ssl_context.cache_clear()


@scene("server")
def plain(hands: Hands) -> Iterator[Stage]:
    yield Stage(hands.make_server())


@scene("tls")
def with_tls(hands: Hands) -> Iterator[Stage]:
    with trusting(hands, CA_FILE):
        yield Stage(hands.make_server(tls=True))


@scene("unknown authority")
def unknown_authority(hands: Hands) -> Iterator[Stage]:
    yield Stage(hands.make_server(tls=True))


@scene("another name")
def another_name(hands: Hands) -> Iterator[Stage]:
    with trusting(hands, CA_FILE):
        yield Stage(hands.make_server(tls="wrong-host"))


@scene("damaged roots")
def damaged_roots(hands: Hands) -> Iterator[Stage]:
    (hands.folder / "roots.pem").write_text("no certificate")
    with trusting(hands, hands.folder / "roots.pem"):
        yield Stage(hands.make_server(tls=True))


@scene("plain port")
def plain_port(hands: Hands) -> Iterator[Stage]:
    server = hands.make_server()
    yield Stage(server, {"base_url": server.url.replace("http", "https") + "/v1"})


@scene("nobody listens")
def nobody_listens(hands: Hands) -> Iterator[Stage]:
    yield Stage(hands.make_server(), {"base_url": f"http://127.0.0.1:{refused_port()}/v1"})


@scene("nobody answers")
def nobody_answers(hands: Hands) -> Iterator[Stage]:
    with blackhole() as url:
        yield Stage(hands.make_server(), {"base_url": f"{url}/v1"})


@scene("four dead addresses")
def four_dead_addresses(hands: Hands) -> Iterator[Stage]:
    with blackhole() as url:
        port = int(url.rpartition(":")[2])
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 4
        with hands.monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            yield Stage(hands.make_server(), {"base_url": f"http://many.localhost:{port}"})


def failing_lookup(code: int) -> Callable[[Hands], Iterator[Stage]]:
    def build(hands: Hands) -> Iterator[Stage]:
        lookups = failing_dns(hands.monkeypatch, code=code)
        options = {"base_url": "https://models.invalid/v1"}
        yield Stage(hands.make_server(), options, attempts=lambda: len(lookups))

    return build


scene("a lookup that may pass")(failing_lookup(socket.EAI_AGAIN))
scene("a name that is none")(failing_lookup(socket.EAI_NONAME))


@scene("a name too long")
def a_name_too_long(hands: Hands) -> Iterator[Stage]:
    yield Stage(hands.make_server(), {"base_url": f"https://{'a' * 64}.invalid/v1"})


@scene("slow to read")
def slow_to_read(hands: Hands) -> Iterator[Stage]:
    yield Stage(hands.make_server(receive_buffer=8_192))


@scene("slow to read, tls")
def slow_to_read_tls(hands: Hands) -> Iterator[Stage]:
    with trusting(hands, CA_FILE):
        yield Stage(hands.make_server(tls=True, receive_buffer=8_192))


@scene("an impatient reader of errors")
def impatient(hands: Hands) -> Iterator[Stage]:
    assert http._ERROR_SECONDS == 5.0
    with hands.monkeypatch.context() as patched:
        patched.setattr(http, "_ERROR_SECONDS", 0.1)
        yield Stage(hands.make_server())
