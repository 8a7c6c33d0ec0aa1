"""Pass a stream on to a browser as server-sent events: a plain ASGI app, for any ASGI server.

    uvicorn examples.sse_server:app          # then: curl -N -d 'Tell me a story.' localhost:8000
    python examples/sse_server.py            # without a server: asks itself once, and prints the events

MODEL names provider and model, as in MODEL=openai:gpt-5-mini. When the browser leaves, the model stops.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from abstractcore import AbstractCoreError, create_llm

llm = create_llm(os.environ.get("MODEL", "ollama:qwen3:4b-instruct"))  # nothing is sent yet
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(f"{scope['type']}: this app answers http alone")
    prompt = await read_body(receive)
    answering = asyncio.create_task(answer(prompt, send))
    leaving = asyncio.create_task(until_it_leaves(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        answering.cancel()
        leaving.cancel()
        await asyncio.wait((answering, leaving))
    if not answering.cancelled():
        answering.result()  # what went wrong in it is the server's to see


async def answer(prompt: str, send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        async with llm.agenerate(prompt, stream=True) as stream:
            async for chunk in stream:
                await send(event({"text": chunk.content, "done": chunk.is_done()}))
    except AbstractCoreError as error:
        await send(event({"error": type(error).__name__}))
    await send({"type": "http.response.body", "body": b""})


def event(data: dict[str, Any]) -> dict[str, Any]:
    body = f"data: {json.dumps(data)}\n\n".encode()
    return {"type": "http.response.body", "body": body, "more_body": True}


async def read_body(receive: Receive) -> str:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body.decode()


async def until_it_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def ask_itself() -> None:
    arriving = [{"type": "http.request", "body": b"Tell me a story."}]

    async def receive() -> dict[str, Any]:
        return arriving.pop() if arriving else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        print(message.get("body", b"").decode(), end="")

    async with llm:
        await app({"type": "http"}, receive, send)


if __name__ == "__main__":
    asyncio.run(ask_itself())
