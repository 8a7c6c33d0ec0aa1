"""Other hosts on the way: redirects, which are not followed, and proxies. FAULTS 1.1."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.errors import (
    APIError,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
)
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.network import refused_port
from tests.fakes.proxy import FakeProxy
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_keeps_secrets, assert_told, failure_of

LOGIN = "proxyuser:pa%20ssw0rd"
SECRETS = ("proxyuser", "ssw0rd")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    waits: list[float],
    status: int,
) -> None:
    """1.1 redirect cross-host: the host alone is named, and nothing is sent there."""
    server, other = make_server(), make_server()
    server.replies(faults.redirect(f"{other.url}/v1/hidden-path?token=hidden-token", status=status))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, APIError, status_code=status, location="127.0.0.1", attempts=1, retryable=False)
    assert "hidden" not in f"{failure} {vars(failure)!r}"
    assert (len(server.requests), other.connections, waits) == (1, 0, [])
    assert server.open_sockets == 1


# Proxies.


@pytest.fixture
def locked_proxy() -> Iterator[FakeProxy]:
    """A proxy that asks who one is."""
    with FakeProxy(credentials="proxyuser:pa ssw0rd") as running:
        yield running


def with_login(proxy: FakeProxy) -> str:
    return proxy.url.replace("http://", f"http://{LOGIN}@")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_plain_request_is_forwarded(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """1.1 proxies: HTTP_PROXY."""
    monkeypatch.setenv(variable, proxy.url)
    server.replies(text("By the way."))
    llm = wire.llm(server, api_key=KEY)

    answers = [whole_or_stream.ask(surface, llm, "Hi").content for _ in range(2)]

    assert answers == ["By the way."] * 2
    assert [(each.method, each.target) for each in proxy.requests] == [
        ("POST", f"{server.url}{wire.path}")
    ] * 2


@pytest.mark.usefixtures("trusted")
def test_a_tls_request_goes_through_a_tunnel(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    tls_server: FakeServer,
    wire: Wire,
    proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1.1 proxies: HTTPS_PROXY. One CONNECT, and the key goes to the server alone."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    tls_server.replies(text("Through."))
    llm = wire.llm(tls_server, api_key=KEY)

    answers = [whole_or_stream.ask(surface, llm, "Hi").content for _ in range(2)]

    assert answers == ["Through."] * 2
    assert [(each.method, each.target) for each in proxy.requests] == [
        ("CONNECT", f"127.0.0.1:{tls_server.port}")
    ]
    assert "authorization" not in proxy.requests[0].headers
    assert tls_server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", ["127.0.0.1", "*", "example.org, 127.0.0.1"])
def test_a_host_in_no_proxy_is_asked_directly(
    surface: Surface, server: FakeServer, wire: Wire, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """1.1 proxies: NO_PROXY."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setenv("NO_PROXY", name)
    server.replies(text("Directly."))

    assert surface.generate(wire.llm(server), "Hi").content == "Directly."


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("tls", [False, True], ids=["forward", "tunnel"])
def test_a_proxy_is_told_who_asks_and_the_server_is_not(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    locked_proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch,
    tls: bool,
) -> None:
    """1.1 proxies: credentials, percent-decoded."""
    server = make_server(tls=tls)
    monkeypatch.setenv("HTTPS_PROXY" if tls else "HTTP_PROXY", with_login(locked_proxy))
    server.replies(text("Known."))

    assert whole_or_stream.ask(surface, wire.llm(server), "Hi").content == "Known."
    assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.parametrize("tls", [False, True], ids=["forward", "tunnel"])
def test_a_proxy_that_refuses_the_login_is_not_asked_again(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    make_server: Callable[..., FakeServer],
    wire: Wire,
    locked_proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    tls: bool,
) -> None:
    """1.1 proxies: 407. A status of a forwarded request, no connection of a tunnel; never the credentials."""
    server = make_server(tls=tls)
    wrong = with_login(locked_proxy).replace("pa%20", "wrong")
    monkeypatch.setenv("HTTPS_PROXY" if tls else "HTTP_PROXY", wrong)

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    if tls:
        assert_told(failure, ConnectionFailedError, phase="connect", attempts=1, retryable=False)
    else:
        assert_told(failure, APIError, status_code=407, attempts=1, retryable=False)
    assert "407" in str(failure)
    assert_keeps_secrets(failure, *SECRETS)
    assert (len(locked_proxy.requests), server.connections, waits) == (1, 0, [])


def test_a_proxy_that_is_not_there_is_a_failed_connection(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> None:
    """1.1 refused, by the proxy."""
    monkeypatch.setenv("HTTP_PROXY", f"http://{LOGIN}@127.0.0.1:{refused_port()}")

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY))

    assert_told(failure, ConnectionFailedError, phase="connect", attempts=3, retryable=True)
    assert_keeps_secrets(failure, *SECRETS)
    assert len(waits) == 2


def test_a_proxy_that_opens_no_tunnel_is_a_connect_timeout(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> None:
    """1.1 connect timeout: the tunnel is a part of connecting."""
    server.replies(faults.hangs())
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    llm = create_llm("openai-compatible", "m", base_url="https://127.0.0.1:1/v1", connect_timeout=0.1)
    server.llms.append(llm)
    started = time.monotonic()

    failure = failure_of(surface, whole_or_stream, llm)

    assert_told(failure, RequestTimeoutError, phase="connect", attempts=3, retryable=True)
    assert time.monotonic() - started < 2
    assert [each.method for each in server.requests] == ["CONNECT"] * 3
    server.wait_for(lambda s: s.open_sockets == 0)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "ftp"])
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_that_cannot_be_used_is_told_when_the_llm_is_made(
    monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    """1.1 unusable ALL_PROXY: ConfigurationError that names the variable, with the credentials masked."""
    monkeypatch.setenv(variable, f"{scheme}://{LOGIN}@127.0.0.1:1080")

    failure = refusal_to_make()

    assert variable in str(failure)
    assert_keeps_secrets(failure, *SECRETS)


@pytest.mark.parametrize("text", ["http://", "http://host:port", f"http://{LOGIN}@host:99999", "http://[::1"])
def test_a_proxy_that_is_no_url_is_told_when_the_llm_is_made(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """1.1 unusable ALL_PROXY: what is no URL at all."""
    monkeypatch.setenv("ALL_PROXY", text)

    failure = refusal_to_make()

    assert "ALL_PROXY" in str(failure)
    assert_keeps_secrets(failure, *SECRETS)


def refusal_to_make() -> Any:
    with pytest.raises(ConfigurationError) as caught:
        create_llm("openai", "m", api_key=KEY)
    return caught.value


def test_an_unusable_proxy_for_others_is_nobodys_trouble(
    surface: Surface, server: FakeServer, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.1 unusable ALL_PROXY, for a host in NO_PROXY."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.replies(text("Directly."))

    assert surface.generate(wire.llm(server), "Hi").content == "Directly."
