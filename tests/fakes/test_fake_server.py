"""The fake does what it is told and sees what its clients do: driven with plain sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from tests.fakes import faults
from tests.fakes.plain_client import SOON, connected, post, read_all, read_until, reset
from tests.fakes.replies import (
    Close,
    Head,
    Pause,
    Reply,
    Send,
    SetEvent,
    WaitFor,
    ndjson,
    raw,
    scripted,
    sse,
    whole,
)
from tests.fakes.server import FakeServer

# Replies and recording.


def test_replies_come_in_order_and_the_last_one_stays(server: FakeServer) -> None:
    server.replies(whole(200, {"n": 1}), whole(418, b"two"), whole(200, b"three"))

    assert post(server) == (200, b'{"n":1}')
    assert post(server) == (418, b"two")
    assert post(server) == (200, b"three")
    assert post(server) == (200, b"three")
    assert len(server.requests) == 4


def test_a_request_is_recorded_whole(server: FakeServer) -> None:
    server.replies(whole(200))
    before = time.monotonic()
    post(server, {"messages": [{"role": "user", "content": "é"}]}, path="/v1/x?a=b")

    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/x", "a=b")
    assert request.headers["content-type"] == "application/json"
    assert ("Content-Type", "application/json") in request.raw_headers
    assert request.messages[-1].content == "é"
    assert request.messages[-1] == {"role": "user", "content": "é"}
    assert (request.connection_id, request.number_on_connection) == (1, 1)
    assert before <= request.received_at <= time.monotonic()


def test_a_body_that_is_not_strict_json_is_refused(server: FakeServer) -> None:
    server.replies(whole(200))
    post(server, {"temperature": float("nan")})

    with pytest.raises(ValueError, match="NaN"):
        _ = server.requests[0].json


def test_a_chunked_request_body_is_read(server: FakeServer) -> None:
    server.replies(whole(200, keep_alive=False))
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(server, head + b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n') as client:
        read_all(client)

    assert server.requests[0].json == {"a": 1}


def test_keep_alive_serves_many_requests_on_one_connection(server: FakeServer) -> None:
    server.replies(whole(200, b"ok"))
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    with contextlib.closing(client):
        for _ in range(3):
            client.request("GET", "/")
            assert client.getresponse().read() == b"ok"
        assert server.open_sockets == 1

    server.wait_for(lambda s: s.open_sockets == 0, timeout=SOON)
    assert (server.connections, server.disconnects) == (1, 0)
    assert [request.number_on_connection for request in server.requests] == [1, 2, 3]


def test_a_route_answers_by_the_request(server: FakeServer) -> None:
    server.route = lambda request: whole(200, request.messages[-1].content)

    assert post(server, {"messages": [{"content": "echo"}]}) == (200, b"echo")


def test_always_answers_a_path_without_using_up_a_reply(server: FakeServer) -> None:
    server.replies(whole(500))
    client = http.client.HTTPConnection("127.0.0.1", server.port)
    with contextlib.closing(client):
        client.request("GET", "/v1/models")
        listing = json.loads(client.getresponse().read())

    assert listing["data"][0]["id"] == "test-model"


def test_a_request_without_a_scripted_reply_is_an_error_of_the_test() -> None:
    with FakeServer() as server:
        assert post(server)[0] == 500
        assert "no reply was scripted" in str(server.errors[0])


def test_a_failing_route_is_an_error_of_the_test() -> None:
    with FakeServer() as server:
        server.route = lambda request: request.json["absent"]
        with connected(server):
            server.wait_for(lambda s: s.errors)
        assert isinstance(server.errors[0], KeyError)


def test_concurrent_replies_are_counted(server: FakeServer) -> None:
    gate = threading.Event()
    server.replies(whole(200, keep_alive=False).after(WaitFor(gate)))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(5)]
        server.wait_for(lambda s: s.hanging == 5)
        gate.set()
        for client in clients:
            assert read_all(client).startswith(b"HTTP/1.1 200 OK")

    server.wait_for(lambda s: s.open_sockets == 0)
    assert (server.max_concurrent, server.max_open_sockets, server.in_flight) == (5, 5, 0)
    assert server.disconnects == 0


def test_wait_for_says_what_the_server_saw(server: FakeServer) -> None:
    with pytest.raises(AssertionError, match="disconnects=0"):
        server.wait_for(lambda s: s.disconnects == 1, timeout=0.01)


async def test_until_leaves_the_loop_running(server: FakeServer) -> None:
    server.replies(faults.hangs())
    with connected(server):
        await server.until(lambda s: s.hanging == 1)


# The client leaves.


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    "reply",
    [
        faults.hangs(),
        whole(200, {}).cut(0, ending="hang"),
        sse([{"n": 1}], ending="hang"),
        faults.comments_only(pause=0.01),
        faults.endless_body(),
        faults.drips(whole(200, b"slow"), pause=5),
        scripted(Pause(30)),
        faults.hangs(begins="accept"),
    ],
    ids=["hang", "after headers", "stream", "comments", "endless", "drip", "pause", "accept"],
)
def test_a_leaving_client_is_counted_at_once(server: FakeServer, reply: Reply, leave) -> None:
    server.replies(reply)
    with connected(server) as client:
        server.wait_for(lambda s: s.in_flight == 1)
        leave(client)
        left_at = time.monotonic()
        server.wait_for(lambda s: s.disconnects == 1 and s.open_sockets == 0, timeout=SOON)

    assert server.disconnect_times[0] - left_at < SOON
    server.wait_for(lambda s: s.in_flight == 0, timeout=SOON)


def test_a_client_that_reads_its_whole_answer_is_no_disconnect(server: FakeServer) -> None:
    server.replies(sse([{"n": n} for n in range(2_000)]), whole(200, b"x" * 5_000_000))
    for _ in range(2):
        post(server)

    server.wait_for(lambda s: s.open_sockets == 0)
    assert server.disconnects == 0


def test_a_client_that_leaves_amid_a_large_answer_is_a_disconnect(server: FakeServer) -> None:
    server.replies(whole(200, b"x" * 50_000_000))
    with connected(server) as client:
        client.recv(1)

    server.wait_for(lambda s: s.disconnects == 1, timeout=SOON)


# Framing.


def test_a_stream_comes_event_by_event(server: FakeServer) -> None:
    gate = threading.Event()
    server.replies(sse([{"n": 1}, WaitFor(gate), "two\nlines", b": raw\n\n"]))
    with connected(server) as client:
        first = read_until(client, b'data: {"n":1}\n\n')
        assert b"text/event-stream" in first
        assert b"two" not in first
        gate.set()
        rest = read_until(client, b"0\r\n\r\n")

    assert b"data: two\ndata: lines\n\n" in rest
    assert b": raw\n\n" in rest
    assert b"data: [DONE]\n\n" in rest


def test_json_lines_and_pieces(server: FakeServer) -> None:
    server.replies(ndjson([{"a": "é"}, {"b": 2}]).in_pieces(3))
    with connected(server) as client:
        wire = read_until(client, b"0\r\n\r\n")

    assert b'3\r\n{"a\r\n3\r\n":"\r\n' in wire
    server.replies(ndjson([{"a": "é"}]).in_pieces(1))
    assert post(server)[1] == '{"a":"é"}\n'.encode()


def test_a_slow_body_comes_a_byte_at_a_time(server: FakeServer) -> None:
    server.replies(faults.drips(whole(200, b"ab", keep_alive=False), pause=0.001))
    with connected(server) as client:
        pieces = list(iter(lambda: client.recv(65_536), b""))

    assert len(pieces) > 20
    assert b"".join(pieces).endswith(b"ab")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_body_lacks_its_end(server: FakeServer, chunked: bool) -> None:
    server.replies(whole(200, b"0123456789", chunked=chunked).cut(0.5))
    with connected(server) as client:
        wire = read_all(client)

    assert b"01234" in wire
    assert b"5678" not in wire
    assert not wire.endswith(b"0\r\n\r\n")
    assert server.disconnects == 0


def test_a_reset_is_a_reset(server: FakeServer) -> None:
    server.replies(sse([{"n": 1}], done=False, ending="reset"), faults.resets())
    for _ in range(2):
        with connected(server) as client, pytest.raises(ConnectionResetError):
            read_all(client)


def test_steps_and_raw_bytes(server: FakeServer) -> None:
    reached = threading.Event()
    server.replies(raw(b"220 hello"), scripted(Head(299), Send(b"x"), SetEvent(reached), Close()))
    with connected(server) as client:
        assert read_all(client) == b"220 hello"
    with connected(server) as client:
        assert read_all(client) == b"HTTP/1.1 299 Unheard Of\r\n\r\nx"
    assert reached.is_set()
