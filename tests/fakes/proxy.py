"""A loopback HTTP proxy: CONNECT tunnels and plain forwarding, recorded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from .loop_thread import LoopThread
from .requests import RequestHead, read_head


@dataclass(frozen=True)
class Proxied:
    """One request for the proxy: CONNECT with host:port as target, or a method with a whole URL."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("proxy-authorization")


class FakeProxy:
    """Pass traffic on, to the target or, if given, to *upstream* whatever the target.

    *credentials* ("user:password") are demanded with 407 if given; *refuses* answers every request
    with that status instead.
    """

    def __init__(
        self,
        *,
        upstream: tuple[str, int] | None = None,
        credentials: str | None = None,
        refuses: int | None = None,
    ) -> None:
        self.requests: list[Proxied] = []
        self.connections = 0
        self._upstream, self._credentials, self._refuses = upstream, credentials, refuses
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = LoopThread("fake proxy")
        self.port: int = self._thread.run(self._start)
        self.url = f"http://127.0.0.1:{self.port}"
        self.url_with_credentials = f"http://{credentials}@127.0.0.1:{self.port}" if credentials else self.url

    def __enter__(self) -> FakeProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop every connection and stop; twice is once."""
        if self._thread.is_alive:
            self._thread.run(self._stop)
            self._thread.close()

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._handle(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # a side that left ends the exchange, and so does close()
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = read_head((await reader.readuntil(b"\r\n\r\n"))[:-4])
        request = Proxied(head.method, head.target, head.headers)
        self.requests.append(request)
        if status := self._refusal(request):
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return
        host, port = self._upstream or _address(head)
        up_reader, up_writer = await asyncio.open_connection(host, port)
        try:
            if head.method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                up_writer.write(_origin_form(head))
            await _pass_both_ways(reader, writer, up_reader, up_writer)
        finally:
            up_writer.transport.abort()

    def _refusal(self, request: Proxied) -> bytes | None:
        if self._refuses:
            return b"%d Refused" % self._refuses
        if self._credentials is None:
            return None
        wanted = "Basic " + base64.b64encode(self._credentials.encode()).decode()
        return None if request.authorization == wanted else b"407 Proxy Authentication Required"


def _address(head: RequestHead) -> tuple[str, int]:
    parts = urlsplit(f"//{head.target}" if head.method == "CONNECT" else head.target)
    return parts.hostname or "", parts.port or 80


def _origin_form(head: RequestHead) -> bytes:
    # One request a connection upstream: a second one would pass through the pipe unread.
    parts = urlsplit(head.target)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    kept = [field for field in head.raw_headers if not field[0].lower().startswith(("proxy-", "connection"))]
    fields = "".join(f"{name}: {value}\r\n" for name, value in [*kept, ("Connection", "close")])
    return f"{head.method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")


async def _pass_both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
) -> None:
    """Pipe until either side ends; the other is then closed by the caller."""
    pipes = [asyncio.ensure_future(_pipe(reader, up_writer)), asyncio.ensure_future(_pipe(up_reader, writer))]
    try:
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
