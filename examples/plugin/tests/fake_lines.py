"""A server of the wire of lines, that answers as a test tells it."""

from __future__ import annotations

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

END = {"end": "stop", "tokens": (4, 6)}


class FakeLines(ThreadingHTTPServer):
    """Answers with `script`, one entry a request: lines, a status, or None for an endless answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: deque[list[dict[str, Any]] | int | None] = deque()
        self.asked = 0
        self.left = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeLines
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200, b'["one", "two"]')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.script.popleft()
        self.server.asked += 1
        if isinstance(answer, int):
            self._send(answer, b'{"error": "no"}')
        elif answer is None:
            self._go_on()
        else:
            self._send(200, "".join(json.dumps(line) + "\n" for line in answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _go_on(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b'{"text": "more "}\n')
                threading.Event().wait(0.01)
        except OSError:
            self.server.left.set()
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
