"""Serve a model, and ask it with the clients of OpenAI and Anthropic.

    python examples/gateway.py openai gpt-5-mini
    python examples/gateway.py local              # a model in this process: the requests are one batch

It needs the extras serve, openai and anthropic. Here the server runs in a thread, to be asked at once;
`abstractcore serve openai/gpt-5-mini` is the same in a program of its own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import anthropic
import openai
import uvicorn

from abstractcore import create_llm
from abstractcore.serve import app

KEY = "a-key-of-yours"


@contextmanager
def serving(asgi: object) -> Iterator[str]:
    """Serve on a free port of this machine, and give the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(asgi, log_level="warning", ws="none"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


async def ask(url: str) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as of_openai,
        anthropic.AsyncAnthropic(base_url=url, api_key=KEY) as of_anthropic,
    ):
        print("models:", [model.id async for model in of_openai.models.list()])
        questions = [f"Say something about the number {number}." for number in range(4)]
        responses = await asyncio.gather(
            *[of_openai.responses.create(model="mine", input=q, max_output_tokens=60) for q in questions]
        )
        for response in responses:
            print("openai:", response.output_text)

        async with of_anthropic.messages.stream(
            model="mine", max_tokens=60, messages=[{"role": "user", "content": "And about the number 7?"}]
        ) as stream:
            print("anthropic: ", end="")
            async for text in stream.text_stream:
                print(text, end="", flush=True)
        print()


def main() -> None:
    with create_llm(*sys.argv[1:3]) as llm, serving(app({"mine": llm}, keys=[KEY])) as url:
        asyncio.run(ask(url))


if __name__ == "__main__":
    main()
