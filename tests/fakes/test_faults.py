"""Each fault is really produced: seen with plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import zlib

import pytest

from tests.fakes import faults
from tests.fakes.network import blackhole, failing_dns, refused_port
from tests.fakes.plain_client import REQUEST, SOON, connected, post, read_all, read_until
from tests.fakes.replies import (
    Hang,
    scripted,
    sse,
    whole,
)
from tests.fakes.server import FakeServer


def test_closing_at_accept_reads_no_request(server: FakeServer) -> None:
    server.replies(faults.closes(begins="accept"))
    with connected(server, b"") as client:
        assert read_all(client) == b""

    assert (server.connections, server.requests) == (1, [])


def test_a_stale_connection_is_left_and_the_reply_kept(server: FakeServer) -> None:
    server.replies(whole(200, b"one"), faults.stale_keep_alive(whole(200, b"two")), whole(200, b"three"))
    with connected(server) as client:
        read_until(client, b"one")
        client.sendall(REQUEST)
        assert read_all(client) == b""
    assert post(server)[1] == b"two"
    assert post(server)[1] == b"three"


def test_an_idle_connection_is_closed_unannounced(server: FakeServer) -> None:
    server.replies(faults.idle_close(whole(200, b"one")))
    with connected(server) as client:
        assert b"Connection: close" not in read_all(client)


def test_an_announced_close(server: FakeServer) -> None:
    server.replies(whole(200, b"one", keep_alive=False))
    with connected(server) as client:
        assert b"Connection: close\r\n" in read_all(client)


def test_an_answer_before_the_body(server: FakeServer) -> None:
    server.replies(faults.before_body(whole(413, b"too large")))
    head = b"POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n"
    with connected(server, head) as client:
        assert b"413" in read_until(client, b"too large")
        client.sendall(b"x" * 8_000_000)
        assert read_all(client) == b""

    assert server.requests[0].body == b""


def test_an_answer_before_the_body_and_a_reset(server: FakeServer) -> None:
    server.replies(faults.before_body(whole(413, b"too large"), then="close"))
    head = b"POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n"
    with connected(server, head) as client, pytest.raises(OSError, match=r"reset|pipe"):
        client.sendall(b"x" * 8_000_000)


def test_a_body_that_is_never_read_blocks_its_writer() -> None:
    with FakeServer(receive_buffer=8_192) as server:
        server.replies(faults.never_reads_body(0.5))
        with connected(server, b"POST / HTTP/1.1\r\nContent-Length: 30000000\r\n\r\n") as client:
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.sendall(b"x" * 30_000_000)
        server.wait_for(lambda s: s.disconnects == 1, timeout=2)


def test_gzip_and_what_goes_wrong_with_it(server: FakeServer) -> None:
    plain = whole(200, {"a": "b" * 100})
    streamed = sse([{"n": 1}, {"n": 2}])
    for reply in (plain, streamed):
        server.replies(reply, faults.gzipped(reply))
        expected, packed = post(server)[1], post(server)[1]
        assert zlib.decompress(packed, 31) == expected

        server.replies(faults.gzipped(reply, fault="garbage"), faults.gzipped(reply, fault="truncated"))
        with pytest.raises(zlib.error, match="header"):
            zlib.decompress(post(server)[1], 31)
        with pytest.raises(zlib.error, match="incomplete"):
            zlib.decompress(post(server)[1], 31)


def test_a_bomb_is_small_on_the_wire(server: FakeServer) -> None:
    server.replies(faults.gzip_bomb(200_000_000))
    packed = post(server)[1]

    assert len(packed) < 400_000
    assert len(zlib.decompress(packed, 31)) == 200_000_000


def test_faults_of_the_head(server: FakeServer) -> None:
    server.replies(faults.not_http(), faults.huge_header(), faults.redirect("http://x.invalid/", status=307))
    with connected(server) as client:
        assert read_all(client).startswith(b"220 ")
    with connected(server) as client:
        assert len(read_until(client, b"\r\n\r\n")) > 200_000
    with connected(server) as client:
        assert b"Location: http://x.invalid/\r\n" in read_until(client, b"\r\n\r\n")


@pytest.mark.parametrize("make", [faults.endless_headers, faults.endless_interim, faults.comments_only])
def test_what_never_ends_is_slow_enough_to_be_stopped(server: FakeServer, make) -> None:
    server.replies(make(pause=0.01))
    with connected(server) as client:
        server.wait_for(lambda s: s.bytes_sent > 300)
        client.recv(100)
    server.wait_for(lambda s: s.disconnects == 1, timeout=SOON)
    assert server.bytes_sent < 1_000_000


def test_bodies_that_are_not_what_they_should_be(server: FakeServer) -> None:
    server.replies(faults.html(502), faults.deep_json(60_000), faults.error_body_hangs(500))
    status, page = post(server)
    assert (status, page[:9]) == (502, b"<!doctype")
    assert post(server)[1].count(b"[") == 60_000
    with connected(server) as client:
        read_until(client, b'{"error"')
        server.wait_for(lambda s: s.hanging == 1)


# TLS and the network.


def test_tls_with_the_test_authority(tls_server: FakeServer) -> None:
    tls_server.replies(whole(200, b"secret"), scripted(Hang()))
    context = ssl.create_default_context(cafile=tls_server.ca_file)
    client = http.client.HTTPSConnection("127.0.0.1", tls_server.port, context=context)
    with contextlib.closing(client):
        client.request("GET", "/")
        assert client.getresponse().read() == b"secret"
        client.request("GET", "/")
        tls_server.wait_for(lambda s: s.hanging == 1)
    tls_server.wait_for(lambda s: s.disconnects == 1 and s.open_sockets == 0, timeout=SOON)


@pytest.mark.parametrize(
    ("tls", "trusted"), [(True, False), ("wrong-host", True)], ids=["unknown CA", "name"]
)
def test_tls_that_does_not_verify(make_server, tls, trusted: bool) -> None:
    server = make_server(tls=tls)
    context = ssl.create_default_context(cafile=server.ca_file) if trusted else ssl.create_default_context()
    with connected(server, b"") as client, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(client, server_hostname="127.0.0.1")

    server.wait_for(lambda s: s.handshake_failures == 1 and s.open_sockets == 0)
    assert (server.connections, server.requests) == (1, [])


def test_tls_on_a_plain_port(server: FakeServer) -> None:
    context = ssl.create_default_context()
    with connected(server, b"") as client, pytest.raises(ssl.SSLError, match=r"(?i)wrong.version.number"):
        context.wrap_socket(client, server_hostname="127.0.0.1")

    server.wait_for(lambda s: s.bad_requests == 1)


def test_a_tls_handshake_that_hangs(tls_server: FakeServer) -> None:
    tls_server.replies(faults.hangs(begins="accept"))
    with connected(tls_server, b"") as client:
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            ssl.create_default_context().wrap_socket(client, server_hostname="127.0.0.1")


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_closes_amid_everything(tls: bool) -> None:
    server = FakeServer(tls=tls)
    server.replies(faults.hangs())
    sent = [b"", b""] if tls else [REQUEST, b"half a requ"]
    with connected(server, sent[0]), connected(server, sent[1]), connected(server, b""):
        server.wait_for(lambda s: s.open_sockets == 3)
        server.close()
        server.close()
    assert (server.open_sockets, server.disconnects, server.errors) == (0, 0, [])


def test_tls_carries_large_and_broken_answers(tls_server: FakeServer) -> None:
    tls_server.replies(whole(200, b"x" * 5_000_000, keep_alive=False), sse([{"n": 1}], ending="reset"))
    context = ssl.create_default_context(cafile=tls_server.ca_file)
    answers = []
    for _ in range(2):
        with (
            connected(tls_server, b"") as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(REQUEST)
            answers.append(read_all(client))  # a ragged end is no error here: the ssl module hides it
    assert len(answers[0]) > 5_000_000
    assert b"[DONE]" in answers[1]
    assert not answers[1].endswith(b"0\r\n\r\n")
    tls_server.wait_for(lambda s: s.open_sockets == 0, timeout=SOON)
    assert tls_server.disconnects == 0


def test_what_was_sent_before_a_reset_arrives(server: FakeServer) -> None:
    server.replies(sse([{"n": 1}, {"n": 2}], done=False, ending="reset"))
    for _ in range(50):
        with connected(server) as client:
            read_until(client, b'{"n":2}\n\n')
            with pytest.raises(ConnectionResetError):
                read_all(client)


def test_a_client_may_leave_at_the_end_mark_of_a_stream(server: FakeServer) -> None:
    server.replies(sse([{"n": 1}]))
    for _ in range(50):
        with connected(server) as client:
            read_until(client, b"[DONE]\n\n")
    server.wait_for(lambda s: s.open_sockets == 0)
    assert server.disconnects == 0


def test_hundreds_of_clients_at_once(server: FakeServer) -> None:
    server.replies(faults.hangs())
    with contextlib.ExitStack() as clients:
        for _ in range(400):
            clients.enter_context(connected(server))
        server.wait_for(lambda s: s.max_concurrent == s.hanging == 400)
    server.wait_for(lambda s: s.disconnects == 400 and s.open_sockets == 0)


def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", refused_port()), timeout=1)


def test_nobody_answers() -> None:
    with blackhole() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=0.2)


async def test_no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = failing_dns(monkeypatch)
    with pytest.raises(socket.gaierror):
        socket.create_connection(("models.invalid", 80))
    with pytest.raises(socket.gaierror):
        await asyncio.get_running_loop().getaddrinfo("models.invalid", 80)
    assert lookups == ["models.invalid"] * 2
