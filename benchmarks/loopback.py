"""A model server on loopback that costs as little as possible: canned answers of every wire, by hand.

Run as a program it prints its port, and serves until its standard input ends. The latency
stands in the path (`/50/v1/chat/completions` answers after 50 ms), whose end says the wire; a body
with `"stream": true` gets 50 chunks, one each time the latency has passed. Where `/agent/` stands in the
path, the first answers of a conversation call a tool.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CHUNKS = 50
TEXT = "Hello there."
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Canned:
    """What is sent on one wire: an answer, and the parts of a stream."""

    whole: bytes
    head: bytes
    first: bytes
    delta: bytes
    end: bytes


def _canned(
    body: Any,
    first: Sequence[Any],
    delta: Any,
    end: Sequence[Any],
    frame: Callable[[Any], bytes],
    kind: bytes = b"text/event-stream",
) -> Canned:
    data = json.dumps(body).encode()
    return Canned(
        _JSON % (len(data), data),
        _HEAD % kind,
        b"".join(_chunked(frame(event)) for event in first),
        _chunked(frame(delta)),
        b"".join(_chunked(frame(event)) for event in end) + b"0\r\n\r\n",
    )


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _data(event: Any) -> bytes:
    return b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"


def _named(event: Any) -> bytes:
    return b"event: " + event["type"].encode() + b"\n" + _data(event)


def _line(event: Any) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _chat() -> Canned:
    known = {"id": "chatcmpl-1", "created": 1, "model": "test-model"}
    message = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    body = {**known, "object": "chat.completion", "choices": [message], "usage": usage}

    def event(delta: dict[str, str], reason: str | None = None) -> Any:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        streamed = {"object": "chat.completion.chunk", "system_fingerprint": "fp_0123456789"}
        return {**known, **streamed, "choices": [choice]}

    return _canned(body, [], event({"content": "word "}), [event({}, "stop"), b"[DONE]"], _data)


def _responses() -> Canned:
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "test-model",
        "output": [{**message, "content": [part]}],
        "usage": usage,
    }
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    delta = {
        "type": "response.output_text.delta", "sequence_number": 4, **place, "delta": "word ",
        "logprobs": [], "obfuscation": "0123456789",
    }  # fmt: skip
    begun = {**body, "status": "in_progress", "output": [], "usage": None}
    first = [{"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")]
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}}
    said = {**message, "content": [{**part, "text": "word " * CHUNKS}]}
    end = [
        {"type": "response.output_item.done", "output_index": 0, "item": said},
        {"type": "response.completed", "response": {**body, "output": [said]}},
    ]
    return _canned(body, [*first, added], delta, end, _named)


def _messages() -> Canned:
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "test-model",
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 3},
    }
    first = [
        {"type": "message_start", "message": {**body, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
    end = [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": CHUNKS},
        },
        {"type": "message_stop"},
    ]
    return _canned(body, first, delta, end, _named)


def _ollama() -> Canned:
    known = {"model": "test-model", "created_at": "2026-11-22T10:00:00.123456Z"}
    counts = {"total_duration": 5, "load_duration": 1, "prompt_eval_count": 5, "eval_count": 3}
    ended = {"done": True, "done_reason": "stop", **counts}
    body = {**known, "message": {"role": "assistant", "content": TEXT}, **ended}
    delta = {**known, "message": {"role": "assistant", "content": "word "}, "done": False}
    end = {**known, "message": {"role": "assistant", "content": ""}, **ended}
    return _canned(body, [], delta, [end], _line, b"application/x-ndjson")


CANNED = {
    b"completions": _chat(), b"responses": _responses(), b"messages": _messages(), b"chat": _ollama(),
}  # fmt: skip
MODELS = json.dumps({"object": "list", "data": [{"id": "test-model", "object": "model"}]}).encode()
MODELS = _JSON % (len(MODELS), MODELS)
ROUNDS = 4


def _calling() -> bytes:
    """One call of a tool, on the chat wire."""
    function = {"name": "look_up", "arguments": '{"word": "owl"}'}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    known = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "test-model"}
    data = json.dumps({**known, "choices": [choice], "usage": usage}).encode()
    return _JSON % (len(data), data)


CALLING = _calling()


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
        path = head.split(b" ", 2)[1]
        delay = int(path.split(b"/", 2)[1]) / 1000
        if path.endswith(b"/models"):
            self.transport.write(MODELS)
            return
        canned = CANNED[path.rpartition(b"/")[2]]
        if b'"stream":true' in body.replace(b" ", b""):
            self.transport.write(canned.head + canned.first)
            start = loop.time()
            loop.call_later(delay, self.stream, canned, start, delay, 1)
        elif delay:
            loop.call_later(delay, self.transport.write, canned.whole)
        elif b"/agent/" in path and body.count(b"tool_call_id") < ROUNDS:
            self.transport.write(CALLING)
        else:
            self.transport.write(canned.whole)

    def stream(self, canned: Canned, start: float, delay: float, number: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(canned.delta if number < CHUNKS else canned.delta + canned.end)
        if number < CHUNKS:
            loop = asyncio.get_running_loop()
            loop.call_at(start + delay * (number + 1), self.stream, canned, start, delay, number + 1)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
