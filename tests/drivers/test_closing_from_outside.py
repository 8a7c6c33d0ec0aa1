"""A connection is closed by another thread than the one that opens, reads or writes it, and by Ctrl-C."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import ClosedError
from abstractcore.drivers import sockets
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.sockets import BlockingSockets, BlockingStream
from abstractcore.drivers.tls import ssl_context
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface


def in_a_thread(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.usefixtures("trusted")
def test_closing_ends_a_handshake(surface: Surface, tls_server: FakeServer) -> None:
    tls_server.replies(faults.hangs(begins="accept"))
    llm = tls_server.llm(timeout=30, connect_timeout=30)
    started = surface.start(surface.later(llm, "Hi"))
    tls_server.wait_for(lambda s: s.hanging == 1, 10)

    llm.close()

    with pytest.raises(ClosedError):
        started.result(10)
    tls_server.wait_for(lambda s: s.open_sockets == 0, 10)


@pytest.mark.usefixtures("trusted")
def test_ctrl_c_ends_a_handshake_and_leaves_no_socket(tls_server: FakeServer) -> None:
    tls_server.replies(faults.hangs(begins="accept"))
    llm = tls_server.llm(timeout=30, connect_timeout=30)
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        tls_server.wait_for(lambda s: s.hanging == 1, 10)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        llm.generate("Hi")
    thread.join()
    gc.collect()  # a socket that nobody has closed would say so
    tls_server.wait_for(lambda s: s.open_sockets == 0, 10)


def test_a_call_that_is_closed_while_it_connects_sends_nothing(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies(text("fine"))
    asked, goes_on = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:
        asked.set()
        assert goes_on.wait(20)
        return real(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    llm = server.llm(base_url=f"http://localhost:{server.port}/v1", timeout=30, connect_timeout=30)
    started = surface.start(surface.later(llm, "Hi"))
    assert asked.wait(10)

    llm.close()
    goes_on.set()

    with pytest.raises(ClosedError):
        started.result(10)
    assert server.requests == []


def test_a_descriptor_stays_that_of_the_thread_that_waits_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number would be given to the next socket that anybody opens, which this one would then read."""
    mine, peer = socket.socketpair()
    stream, number = BlockingStream(mine, Clock(5.0)), mine.fileno()
    real = sockets.is_ready

    def closed_meanwhile(sock: socket.socket, *args: Any, **options: Any) -> bool:
        in_a_thread(stream.close)
        assert sock.fileno() == number
        return real(sock, *args, **options)

    monkeypatch.setattr(sockets, "is_ready", closed_meanwhile)
    assert stream.read(100) == b""
    with pytest.raises(Exception, match="was closed"):
        stream.read(100)
    assert not stream.is_fit()

    stream.close()
    assert mine.fileno() == -1
    peer.close()


@pytest.mark.usefixtures("trusted")
def test_tls_that_is_closed_from_outside_does_not_go_on_in_the_clear(
    tls_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = BlockingSockets(Clock(5.0))
    stream = opener.connect_tcp("127.0.0.1", tls_server.port).start_tls(ssl_context(), "localhost")
    stream.write(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
    real = sockets.is_ready

    def closed_when_ready(*args: Any, **options: Any) -> bool:
        ready = real(*args, **options)
        in_a_thread(opener.abort)
        return ready

    monkeypatch.setattr(sockets, "is_ready", closed_when_ready)
    data = stream.read(4096)

    assert data == b"" or data.startswith(b"HTTP/1.1 ")
    opener.abort()
