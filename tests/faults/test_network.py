"""No connection, or none that is safe: FAULTS 1.1, from the name to the TLS handshake."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore.drivers.colours import ssl_context
from abstractcore.errors import (
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    ResponseError,
)
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.network import blackhole, failing_dns, refused_port
from tests.fakes.replies import raw
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_told, failure_of

BACKOFFS = (0.5, 1.0)


def assert_backed_off(waits: list[float]) -> None:
    assert len(waits) == len(BACKOFFS)
    assert all(0 <= wait <= most for wait, most in zip(waits, BACKOFFS, strict=True))


def test_a_refused_connection_is_tried_three_times(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 refused: connect, retried, under 5 s with the defaults."""
    llm = wire.llm(server, base_url=f"http://127.0.0.1:{refused_port()}/v1", api_key=KEY)
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, llm)

    assert_told(failure, ConnectionFailedError, phase="connect", attempts=3, retryable=True)
    assert isinstance(failure, ConnectionError)
    assert_backed_off(waits)
    assert time.monotonic() - started + sum(BACKOFFS) < 5


@pytest.mark.parametrize("fault", [faults.closes, faults.resets])
def test_a_connection_closed_at_accept_is_tried_three_times(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.1 accept+close. Whether it closed before the request came cannot be seen from here."""
    server.replies(fault(begins="accept"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ConnectionFailedError, attempts=3, retryable=True)
    assert failure.phase in ("connect", "headers")
    assert (server.connections, len(server.requests)) == (3, 0)
    assert_backed_off(waits)


@pytest.mark.parametrize(
    ("code", "attempts"), [(socket.EAI_AGAIN, 3), (socket.EAI_NONAME, 1)], ids=["again", "no name"]
)
def test_a_lookup_that_may_pass_is_retried_and_a_name_that_is_none_is_not(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    attempts: int,
) -> None:
    """1.1 DNS: EAI_AGAIN is retried, EAI_NONAME is not."""
    lookups = failing_dns(monkeypatch, code=code)

    failure = failure_of(surface, whole_or_stream, wire.llm(server, base_url="https://models.invalid/v1"))

    assert_told(failure, ConnectionFailedError, phase="connect", attempts=attempts, retryable=attempts > 1)
    assert "models.invalid" in str(failure)
    assert len(lookups) == attempts == len(waits) + 1


def test_a_name_that_cannot_be_looked_up_at_all_is_told_as_one_of_our_errors(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 DNS: a label over 63 characters never reaches a resolver."""
    llm = wire.llm(server, base_url=f"https://{'a' * 64}.invalid/v1")

    failure = failure_of(surface, whole_or_stream, llm)

    assert isinstance(failure, ConnectionFailedError | ConfigurationError)
    assert not failure.retryable
    assert waits == []


def test_tls_on_a_plain_port_is_not_retried(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 TLS: plain port."""
    llm = wire.llm(server, base_url=server.url.replace("http", "https") + "/v1", api_key=KEY)

    failure = failure_of(surface, whole_or_stream, llm)

    assert_told(failure, ConnectionFailedError, phase="tls", attempts=1, retryable=False)
    assert_no_advice_to_trust(failure)
    assert (server.connections, server.requests, waits) == (1, [], [])
    server.wait_for(lambda s: s.open_sockets == 0)


def test_an_unknown_authority_is_not_retried(
    surface: Surface, whole_or_stream: WholeOrStream, tls_server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 TLS: unknown CA."""
    failure = failure_of(surface, whole_or_stream, wire.llm(tls_server, api_key=KEY))

    assert_verification_failed(failure, tls_server, waits)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_not_retried(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    waits: list[float],
) -> None:
    """1.1 TLS: hostname."""
    server = make_server(tls="wrong-host")

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_verification_failed(failure, server, waits)


def assert_verification_failed(failure: Any, server: FakeServer, waits: list[float]) -> None:
    assert_told(failure, ConnectionFailedError, phase="tls", attempts=1, retryable=False)
    assert "verify failed" in str(failure)
    assert_no_advice_to_trust(failure)
    server.wait_for(lambda s: s.handshake_failures == 1 and s.open_sockets == 0)
    assert (server.connections, server.requests, waits) == (1, [], [])


def assert_no_advice_to_trust(failure: Any) -> None:
    assert not any(word in str(failure).lower() for word in ("disable", "insecure", "verify=", "skip"))


@pytest.mark.usefixtures("trusted")
def test_tls_that_verifies_carries_answers(
    surface: Surface, whole_or_stream: WholeOrStream, tls_server: FakeServer, wire: Wire
) -> None:
    """1.1 TLS: two calls over one connection."""
    tls_server.replies(text("Hello, you."))
    llm = wire.llm(tls_server, api_key=KEY)

    for _ in range(2):
        assert whole_or_stream.ask(surface, llm, "Hi").content == "Hello, you."

    assert tls_server.connections == 1


@pytest.mark.parametrize("fault", [faults.closes, faults.resets])
def test_a_handshake_that_breaks_off_is_retried(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    tls_server: FakeServer,
    wire: Wire,
    waits: list[float],
    fault: Any,
) -> None:
    """1.1 accept+close, on a TLS port: nothing was verified, so it is worth another try."""
    tls_server.replies(fault(begins="accept"))

    failure = failure_of(surface, whole_or_stream, wire.llm(tls_server, api_key=KEY))

    assert_told(failure, ConnectionFailedError, attempts=3, retryable=True)
    assert failure.phase in ("connect", "tls")
    assert_backed_off(waits)


def test_a_handshake_that_hangs_is_a_timeout(
    surface: Surface, whole_or_stream: WholeOrStream, tls_server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 connect timeout, in the TLS handshake."""
    tls_server.replies(faults.hangs(begins="accept"))

    failure = failure_of(surface, whole_or_stream, wire.llm(tls_server, connect_timeout=0.05))

    assert_told(failure, RequestTimeoutError, phase="tls", attempts=3, retryable=True)
    assert_backed_off(waits)
    tls_server.wait_for(lambda s: s.open_sockets == 0)


def test_roots_that_cannot_be_read_are_the_callers_to_fix(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    tls_server: FakeServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """1.1 TLS: no foreign exception for a damaged SSL_CERT_FILE."""
    (tmp_path / "roots.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    ssl_context.cache_clear()

    failure = failure_of(surface, whole_or_stream, wire.llm(tls_server, api_key=KEY))

    assert_told(failure, ConfigurationError, retryable=False)
    assert "SSL_CERT_FILE" in str(failure)
    assert tls_server.connections == 0
    monkeypatch.delenv("SSL_CERT_FILE")
    assert isinstance(ssl_context(), ssl.SSLContext)


def test_a_connection_that_nobody_completes_is_a_timeout(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 connect timeout: at most 3·min(t, 5) and the backoff."""
    with blackhole() as url:
        llm = wire.llm(server, base_url=f"{url}/v1", connect_timeout=0.1, api_key=KEY)
        started = time.monotonic()

        failure = failure_of(surface, whole_or_stream, llm)

    assert_told(failure, RequestTimeoutError, phase="connect", attempts=3, retryable=True)
    assert isinstance(failure, TimeoutError)
    assert 0.3 <= time.monotonic() - started < 1.0
    assert_backed_off(waits)


def test_connecting_is_bounded_by_the_calls_time_too(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 connect timeout: min(t, 5), also with a short t."""
    with blackhole() as url:
        started = time.monotonic()
        failure = failure_of(surface, whole_or_stream, wire.llm(server, base_url=url, timeout=0.1))

    assert_told(failure, RequestTimeoutError, phase="connect", attempts=1)
    assert time.monotonic() - started < 0.5
    assert waits == []


def test_a_name_with_several_dead_addresses_takes_no_longer_than_one(
    surface: Surface, server: FakeServer, wire: Wire, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.1 connect timeout: the limit is for the connection, not for each of its addresses."""
    with blackhole() as url:
        port = int(url.rpartition(":")[2])
        family, kind = socket.AF_INET, socket.SOCK_STREAM
        addresses = [(family, kind, 6, "", ("127.0.0.1", port))] * 4
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        llm = wire.llm(server, base_url=f"https://many.invalid:{port}", connect_timeout=0.2, max_retries=0)
        started = time.monotonic()

        failure = failure_of(surface, WholeOrStream("whole"), llm)

    assert_told(failure, RequestTimeoutError, phase="connect", attempts=1)
    assert time.monotonic() - started < 0.45


def test_another_protocol_is_told_at_once(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 not HTTP, closed after its greeting."""
    server.replies(faults.not_http())

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert (len(server.requests), waits) == (1, [])
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_server_of_another_protocol_that_waits_is_not_waited_for(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 not HTTP, as an SSH server is: it greets and waits."""
    server.replies(raw(b"SSH-2.0-OpenSSH_9.6\r\n", ending="hang"))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=5))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    server.wait_for(lambda s: s.open_sockets == 0 and s.disconnects == 1)
    assert waits == []


def test_a_header_of_200_kb_is_refused(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.1 200 KB header."""
    server.replies(faults.huge_header())

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert (len(server.requests), waits) == (1, [])
    server.wait_for(lambda s: s.open_sockets == 0)


def test_files_beyond_the_first_thousand_are_no_trouble(server: FakeServer, wire: Wire) -> None:
    """Thousands of open files: `select` cannot take a descriptor over 1023, and none of it may show."""
    server.replies(text("fine"))
    held = [os.dup(0) for _ in range(1100)]
    try:
        llm = wire.llm(server)
        assert [llm.generate("Hi").content for _ in range(2)] == ["fine", "fine"]
    finally:
        for descriptor in held:
            os.close(descriptor)
    assert server.connections == 1
