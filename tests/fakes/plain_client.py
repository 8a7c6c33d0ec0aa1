"""Plain sockets that speak to the fake in its own tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
from collections.abc import Iterator

from .server import FakeServer

SOON = 0.2
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def connected(server: FakeServer, sent: bytes = REQUEST) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as client:
        client.sendall(sent)
        yield client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65_536), b""))


def read_until(client: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        more = client.recv(65_536)
        assert more, data
        data += more
    return data


def post(server: FakeServer, body: object = None, path: str = "/v1/chat/completions") -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with contextlib.closing(client):
        client.request("POST", path, json.dumps(body or {}), {"Content-Type": "application/json"})
        answer = client.getresponse()
        return answer.status, answer.read()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
