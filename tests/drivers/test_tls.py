"""HTTP/1.1 inside TLS: long texts both ways, pieces of any size, and the ways in which it ends."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from abstractcore import ConnectionFailedError
from tests.drivers.test_http11 import answered, framed
from tests.fakes.any_wire import text
from tests.fakes.replies import Close, Reset, Send, Step, raw, scripted
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

pytestmark = pytest.mark.usefixtures("trusted")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_long_texts_go_and_come_over_one_connection(
    surface: Surface, make_server: Any, version: ssl.TLSVersion
) -> None:
    server = make_server(tls=True)
    server._tls.maximum_version = version
    llm = server.llm(max_retries=0)

    for long in ("y" * 3_000_000, "z" * 1_000_000):
        server.replies(text(long))
        assert surface.generate(llm, "x" * 8_000_000, timeout=30).content == long
    server.replies(text("one two three " * 100).in_pieces(7))
    assert surface.generate(llm, "Hi", timeout=30).content == "one two three " * 100
    assert server.connections == 1


def test_a_body_may_end_with_the_connection(surface: Surface, tls_server: FakeServer) -> None:
    tls_server.replies(raw(answered()))
    assert surface.generate(tls_server.llm(), "Hi").content == "fine"


@pytest.mark.parametrize("end", [Close(), Reset()])
def test_a_body_that_is_cut_off_is_told(surface: Surface, tls_server: FakeServer, end: Step) -> None:
    tls_server.replies(scripted(Send(framed()[:-20]), end))
    with pytest.raises(ConnectionFailedError) as caught:
        surface.generate(tls_server.llm(max_retries=0), "Hi")
    assert caught.value.phase == "body"


def test_a_kept_connection_that_was_closed_is_replaced(surface: Surface, tls_server: FakeServer) -> None:
    tls_server.replies(scripted(Send(framed()), Close()))
    llm = tls_server.llm(max_retries=0)
    for _ in range(3):
        assert surface.generate(llm, "Hi").content == "fine"
    assert tls_server.connections == 3
