"""httpx and its fork alike: what a program does with either."""

import json
from contextlib import asynccontextmanager, contextmanager

BODY = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}


def adapter(library):
    """Give `blocking` and `awaited` over *library*."""

    @contextmanager
    def blocking(url):
        with library.Client(timeout=120) as client:

            def call():
                answer = client.post(f"{url}/v1/chat/completions", json=BODY)
                answer.raise_for_status()
                return answer.json()["choices"][0]["message"]["content"]

            yield call

    @asynccontextmanager
    async def awaited(url):
        async with library.AsyncClient(timeout=120) as client:

            async def call():
                answer = await client.post(f"{url}/v1/chat/completions", json=BODY)
                answer.raise_for_status()
                return answer.json()["choices"][0]["message"]["content"]

            async def stream():
                body = {**BODY, "stream": True}
                async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
                    async for line in answer.aiter_lines():
                        if line.startswith("data: ") and line != "data: [DONE]":
                            yield json.loads(line[6:])["choices"][0]["delta"].get("content")

            yield call, stream

    return blocking, awaited
