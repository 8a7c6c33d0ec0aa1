"""HTTP/1.1 as servers speak it: what stands round an answer, and when a connection serves again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from abstractcore import APIError, BadRequestError, ResponseError
from tests.fakes.any_wire import text
from tests.fakes.replies import Hang, Head, Send, raw, scripted, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

# More than the system takes in for a server that reads nothing.
LONG = "x" * 20_000_000
ANSWER = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}'
)


def answered(*head: bytes, body: bytes = ANSWER, version: bytes = b"HTTP/1.1") -> bytes:
    lines = [version + b" 200 OK", b"Content-Type: application/json", *head, b"", body]
    return b"\r\n".join(lines)


def framed(body: bytes = ANSWER) -> bytes:
    return answered(b"Content-Length: %d" % len(body), body=body)


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
    ],
)
def test_what_comes_before_the_answer_is_passed_over(
    surface: Surface, server: FakeServer, before: bytes
) -> None:
    server.replies(scripted(Send(before), Send(framed())))
    llm = server.llm()

    for _ in range(2):
        assert surface.generate(llm, "Hi").content == "fine"
    assert server.connections == 1


def test_notes_without_end_are_no_answer(surface: Surface, server: FakeServer) -> None:
    server.replies(scripted(Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000), Hang()))
    with pytest.raises(ResponseError):
        surface.generate(server.llm(), "Hi", timeout=20)


@pytest.mark.parametrize(
    ("bytes_sent", "connections"),
    [
        (framed(), 1),
        (answered(b"Connection: close", b"Content-Length: %d" % len(ANSWER)), 2),
        (answered(b"Content-Length: %d" % len(ANSWER), version=b"HTTP/1.0"), 2),
        (
            answered(
                b"Transfer-Encoding: chunked",
                body=b"%x;a=b\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(ANSWER), ANSWER),
            ),
            1,
        ),
        (framed() + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", 2),
        (framed() + b"\r\n", 2),
    ],
    ids=["1.1", "close", "1.0", "trailers", "a second answer", "a line too many"],
)
def test_a_connection_serves_again_when_both_sides_may(
    surface: Surface, server: FakeServer, bytes_sent: bytes, connections: int
) -> None:
    server.replies(scripted(Send(bytes_sent)))
    llm = server.llm()

    for _ in range(2):
        assert surface.generate(llm, "Hi").content == "fine"
    assert server.connections == connections


def test_a_body_may_end_with_the_connection(surface: Surface, server: FakeServer) -> None:
    server.replies(raw(answered()))
    assert surface.generate(server.llm(), "Hi").content == "fine"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_leaves_nothing_to_wait_for(
    surface: Surface, server: FakeServer, status: int
) -> None:
    server.replies(scripted(Head(status, (("Content-Type", "application/json"),))), text("fine"))
    llm = server.llm(max_retries=0)
    with pytest.raises(APIError if status == 304 else ResponseError):
        surface.generate(llm, "Hi", timeout=20)
    assert surface.generate(llm, "Hi").content == "fine"
    assert server.connections == 1


def test_an_answer_before_the_whole_request_ends_the_connection(surface: Surface, make_server: Any) -> None:
    """The server would read the next request as the rest of this one."""
    server = make_server(receive_buffer=4096)
    too_long = whole(413, {"error": {"message": "too long"}})
    server.replies(replace(too_long, begins="head"), text("fine"))
    llm = server.llm(max_retries=0)

    with pytest.raises(BadRequestError, match="too long"):
        surface.generate(llm, LONG, timeout=20)

    assert surface.generate(llm, "Hi", timeout=10).content == "fine"
    assert server.connections == 2
