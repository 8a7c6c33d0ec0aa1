"""The fake proxy passes on, and tells what went through it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl

import pytest

from tests.fakes import faults
from tests.fakes.proxy import FakeProxy
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer

BASIC = "Basic " + base64.b64encode(b"user:pass").decode()


def test_a_plain_request_is_forwarded(server: FakeServer, proxy: FakeProxy) -> None:
    server.replies(whole(200, b"through"))
    client = http.client.HTTPConnection("127.0.0.1", proxy.port)
    with contextlib.closing(client):
        client.request("POST", f"{server.url}/v1/x?a=b", b"{}", {"Proxy-Authorization": BASIC})
        assert client.getresponse().read() == b"through"

    (request,) = proxy.requests
    assert (request.method, request.target) == ("POST", f"{server.url}/v1/x?a=b")
    assert request.authorization == BASIC
    assert (server.requests[0].target, server.requests[0].body) == ("/v1/x?a=b", b"{}")
    assert "proxy-authorization" not in server.requests[0].headers


def test_a_tunnel_may_lead_elsewhere(tls_server: FakeServer) -> None:
    tls_server.replies(whole(200, b"tunnelled"), faults.hangs())
    with FakeProxy(upstream=("127.0.0.1", tls_server.port), credentials="user:pass") as proxy:
        context = ssl.create_default_context(cafile=tls_server.ca_file)
        client = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context)
        with contextlib.closing(client):
            client.set_tunnel("localhost", 443, {"Proxy-Authorization": BASIC})
            client.request("GET", "/")
            assert client.getresponse().read() == b"tunnelled"
            client.request("GET", "/")
            tls_server.wait_for(lambda s: s.hanging == 1)
        tls_server.wait_for(lambda s: s.disconnects == 1, timeout=0.2)

    assert proxy.requests[0].method == "CONNECT"
    assert proxy.requests[0].target == "localhost:443"
    assert proxy.url_with_credentials == f"http://user:pass@127.0.0.1:{proxy.port}"


@pytest.mark.parametrize(("options", "status"), [({"credentials": "a:b"}, 407), ({"refuses": 502}, 502)])
def test_a_proxy_can_refuse(options, status: int) -> None:
    with FakeProxy(**options) as proxy:
        client = http.client.HTTPConnection("127.0.0.1", proxy.port)
        with contextlib.closing(client):
            client.request("GET", "http://127.0.0.1:1/")
            assert client.getresponse().status == status
