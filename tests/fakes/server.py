"""A loopback HTTP/1.1 server that says what a test scripted, and counts what its clients do.

Knows sockets, HTTP/1.1 requests and recording. Knows no dialect: bodies come from replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from .faults import closes, resets
from .loop_thread import LoopThread
from .replies import Reply, whole
from .requests import Recorded, RequestHead, read_head

CERTIFICATES = Path(__file__).parent / "certs"
CA_FILE = CERTIFICATES / "ca.pem"


class FakeServer:
    """Serve scripted replies on 127.0.0.1 from an event loop in a thread of its own.

    *tls* True serves a certificate for localhost and 127.0.0.1, signed by `CA_FILE`; "wrong-host" one
    for another name. *receive_buffer* bounds what the system takes in while nothing is read.
    """

    def __init__(
        self, *, tls: bool | Literal["wrong-host"] = False, receive_buffer: int | None = None
    ) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.open_sockets = 0
        self.max_open_sockets = 0
        self.disconnects = 0
        self.disconnect_times: list[float] = []
        self.in_flight = 0
        self.max_concurrent = 0
        self.hanging = 0
        self.bytes_sent = 0
        self.handshake_failures = 0
        self.bad_requests = 0
        self.errors: list[BaseException | str] = []
        self.llms: list[Any] = []
        self.route: Callable[[Recorded], Reply] | None = None
        self.always: dict[str, Reply] = {}
        self._queue: deque[Reply] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._tls = _tls_context("wrong-host" if tls == "wrong-host" else "localhost") if tls else None
        self._listener = _listen(receive_buffer)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.ca_file = str(CA_FILE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()
        self._thread = LoopThread("fake server")
        self._thread.run(self._start)

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def replies(self, *replies: Reply) -> None:
        """Answer with these from now on, one a request in order of arrival; the last one stays."""
        with self._condition:
            self._queue = deque(replies)

    def llm(self, provider: str = "openai-compatible", model: str = "test-model", **options: Any) -> Any:
        """An LLM that talks to this server."""
        from abstractcore import create_llm

        options.setdefault("base_url", self.url + "/v1")
        llm = create_llm(provider, model=model, **options)
        self.llms.append(llm)
        return llm

    def wait_for(self, holds: Callable[[FakeServer], Any], timeout: float = 1.0) -> None:
        """Wait until *holds* of this server; AssertionError with its counts when it never does."""
        with self._condition:
            if not self._condition.wait_for(lambda: holds(self), timeout):
                raise AssertionError(f"not within {timeout} s: {self!r}")

    async def until(self, holds: Callable[[FakeServer], Any], timeout: float = 1.0) -> None:
        """Do as `wait_for`, with the caller's event loop left running."""
        await asyncio.to_thread(self.wait_for, holds, timeout)

    def close(self) -> None:
        """Drop every connection and stop; twice is once."""
        if self._closed:
            return
        self._closed = True
        self._thread.run(self._stop)
        self._thread.close()
        self._listener.close()

    def __repr__(self) -> str:
        counts = "requests connections open_sockets disconnects in_flight hanging handshake_failures errors"
        values = ((name, getattr(self, name)) for name in counts.split())
        shown = (f"{name}={len(value) if name == 'requests' else value}" for name, value in values)
        return f"<FakeServer {self.url} {' '.join(shown)}>"

    # Below: in the server's own thread.

    async def _start(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._note_loop_error)
        self._accepting = self._spawn(self._accept())

    async def _stop(self) -> None:
        for connection in list(self._open):
            connection.abort()
        self._accepting.cancel()
        await asyncio.sleep(0)  # a client just accepted gets its transport, which then closes its socket
        for task in list(self._tasks):
            task.cancel()
        while self._tasks or self._open:
            await asyncio.sleep(0.001)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._retire)
        return task

    def _retire(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._note(errors=[failure])

    def _note_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._note(errors=[context.get("exception") or context["message"]])

    def _note(self, **changes: Any) -> None:
        """Add to counters and lists, and wake who waits for it."""
        with self._condition:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)
            self.max_open_sockets = max(self.max_open_sockets, self.open_sockets)
            self.max_concurrent = max(self.max_concurrent, self.in_flight)
            self._condition.notify_all()

    async def _accept(self) -> None:
        # By hand and not through a Server, so that connections count before and without a TLS handshake.
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as real servers do
            self._note(connections=1, open_sockets=1)
            self._spawn(self._adopt(client, self.connections))

    async def _adopt(self, client: socket.socket, number: int) -> None:
        connection = _Connection(self, number, self._take_at_accept())
        context = None if connection.first else self._tls
        self._open.add(connection)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, client, ssl=context)
        except (OSError, ssl.SSLError):
            self._note(handshake_failures=1)
        finally:
            if not connection.is_made:
                self._gone(connection)

    def _gone(self, connection: _Connection) -> None:
        if connection in self._open:
            self._open.discard(connection)
            self._note(open_sockets=-1)

    def _take_at_accept(self) -> Reply | None:
        with self._condition:
            waiting = self._queue and self._queue[0].begins == "accept"
            return self._take() if waiting else None

    def _take(self) -> Reply:
        return self._queue.popleft() if len(self._queue) > 1 else self._queue[0]

    def _begins_at_head(self, request: Recorded) -> bool:
        """Whether the reply to come wants this request's body unread (a route sees it read)."""
        coming = self.always.get(f"{request.method} {request.path}")
        if coming is None and self.route is None and self._queue:
            coming = self._queue[0]
        return coming is not None and coming.begins == "head"

    def _reply_to(self, request: Recorded) -> Reply:
        fixed = self.always.get(f"{request.method} {request.path}")
        if fixed is None and self.route:
            fixed = self.route(request)
        with self._condition:
            if fixed is None and not self._queue:
                self._note(errors=[f"no reply was scripted for {request.method} {request.target}"])
                return whole(500, {"error": {"message": "the test scripted no reply"}})
            reply = fixed or self._queue[0]
            if reply.if_reused and request.number_on_connection > 1:
                return closes() if reply.if_reused == "close" else resets()
            return fixed or self._take()


class _Connection(asyncio.Protocol):
    """One client: requests read in, replies played out.

    A Protocol, not streams: `eof_received` tells of the client's leaving at once, whatever is going on.
    """

    def __init__(self, server: FakeServer, number: int, first: Reply | None) -> None:
        self.server = server
        self.number = number
        self.first = first
        self.is_made = False
        self.announces_close = False
        self._buffer = bytearray()
        self._more = asyncio.Event()
        self._writable: asyncio.Future[None] | None = None
        self._is_over = False
        self._is_replying = False
        self._unread = 0

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self.is_made = True
        self.transport = transport
        if self._is_over:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=1, low=0)  # a reply is over when the system has its bytes
        self._task = self.server._spawn(self._live())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._more.set()

    def eof_received(self) -> None:
        self._client_left()
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self.server._gone(self)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _client_left(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._is_replying:
            self.server._note(disconnects=1, disconnect_times=[time.monotonic()])
        self._task.cancel()

    # What steps call.

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), 65_536):  # asyncio moves all that is left after each partial write
            if self._is_over:
                return
            if self.transport.is_closing():  # the client is gone: connection_lost, on its way, cancels us
                await asyncio.get_running_loop().create_future()
            part = data[start : start + 65_536]
            self.transport.write(part)
            self.server._note(bytes_sent=len(part))
            if self._writable:
                await self._writable

    async def hang(self) -> None:
        with self._counted_hanging():
            await asyncio.get_running_loop().create_future()

    async def held(self, event: threading.Event) -> None:
        with self._counted_hanging():
            while not event.is_set():
                await asyncio.sleep(0.002)

    async def discard_body(self) -> None:
        self.transport.resume_reading()
        while self._unread > len(self._buffer):
            self._unread -= len(self._buffer)
            self._buffer.clear()
            await self._arrival()
        del self._buffer[: self._unread]
        self._unread = 0

    def close(self) -> None:
        self._is_over = True
        self.transport.close()

    async def reset(self) -> None:
        await self._delivered()
        self._is_over = True
        linger_zero = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self.transport.abort()

    def abort(self) -> None:
        """Drop the client because the server is closed."""
        self._is_over = True
        if self.is_made:
            self.transport.abort()

    async def _delivered(self) -> None:
        """Wait a little until the client's system has what was sent: a RST drops what waits here."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        for _ in range(200):
            waiting = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
            if not self._writable and not any(waiting):
                return
            await asyncio.sleep(0.001)

    @contextlib.contextmanager
    def _counted_hanging(self) -> Any:
        self.server._note(hanging=1)
        try:
            yield
        finally:
            self.server._note(hanging=-1)

    # The conversation.

    async def _live(self) -> None:
        try:
            await self._converse()
        except Exception:
            self.abort()  # an error of the test's own script: the client need not wait for it
            raise

    async def _converse(self) -> None:
        if self.first:
            await self._play(self.first, None)
            self.close()
            return
        count = 0
        while not self._is_over:
            count += 1
            try:
                reply, request = await self._next_request(count)
            except ValueError:
                self.server._note(bad_requests=1)
                reply, request = whole(400, b"not HTTP", keep_alive=False), None
            await self._play(reply, request)

    async def _next_request(self, count: int) -> tuple[Reply, Recorded]:
        head = await self._head()
        request = Recorded(
            method=head.method,
            target=head.target,
            headers=head.headers,
            raw_headers=head.raw_headers,
            body=b"",
            connection_id=self.number,
            number_on_connection=count,
            received_at=time.monotonic(),
            version=head.version,
        )
        if self.server._begins_at_head(request):
            self.transport.pause_reading()
            self._unread = head.content_length
        else:
            request = replace(request, body=await self._body(head))
        reply = self.server._reply_to(request)
        self.server._note(requests=[request])
        return reply, request

    async def _play(self, reply: Reply, request: Recorded | None) -> None:
        closes = not reply.keep_alive or (request is not None and request.wants_close)
        self.announces_close = closes
        self._is_replying = True
        self.server._note(in_flight=1)
        try:
            for step in reply.steps(request):
                await step.run(self)
        finally:
            self._is_replying = False
            self.server._note(in_flight=-1)
        if closes and not self._is_over:
            self.close()

    # Reading.

    async def _head(self) -> RequestHead:
        return read_head(await self._until(b"\r\n\r\n"))

    async def _body(self, head: RequestHead) -> bytes:
        if not head.is_chunked:
            return await self._exactly(head.content_length)
        body = bytearray()
        while size := int(await self._until(b"\r\n"), 16):
            body += await self._exactly(size)
            await self._until(b"\r\n")
        await self._until(b"\r\n")
        return bytes(body)

    async def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if self._buffer[:1] == b"\x16":  # a TLS ClientHello on a plain port
                raise ValueError("TLS")
            await self._arrival()
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return found

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._arrival()
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    async def _arrival(self) -> None:
        self._more.clear()
        await self._more.wait()


def _listen(receive_buffer: int | None) -> socket.socket:
    listener = socket.socket()
    if receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def _tls_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context
