"""A model server on loopback that costs as little as possible: canned Chat Completions, by hand.

Run as a program it prints its port, and serves until its standard input ends. The latency
stands in the path (`/50/v1/chat/completions` answers after 50 ms); a body with
`"stream": true` gets 50 chunks, one each time the latency has passed.
"""

from __future__ import annotations

import asyncio
import json
import sys

CHUNKS = 50
_COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "test-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}
_BODY = json.dumps(_COMPLETION).encode()
_WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_BODY),
    _BODY,
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "test-model",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
    }
    return _chunked(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_DELTA = _event({"content": "word "})
_END = _event({}, "stop") + _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        length = next((int(x[15:]) for x in head.split(b"\r\n") if x[:15].lower() == b"content-length:"), 0)
        if len(rest) < length:
            return
        self.data = rest[length:]
        self.answer(head, rest[:length])

    def answer(self, head: bytes, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        delay = int(head.split(b"/", 2)[1]) / 1000
        if b'"stream":true' in body.replace(b" ", b""):
            self.transport.write(_HEAD)
            start = loop.time()
            loop.call_later(delay, self.stream, start, delay, 1)
        elif delay:
            loop.call_later(delay, self.transport.write, _WHOLE)
        else:
            self.transport.write(_WHOLE)

    def stream(self, start: float, delay: float, number: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(_DELTA if number < CHUNKS else _DELTA + _END)
        if number < CHUNKS:
            loop = asyncio.get_running_loop()
            loop.call_at(start + delay * (number + 1), self.stream, start, delay, number + 1)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
