"""Raw aiohttp, its limit of 100 connections lifted. It has no sync form."""

import json
from contextlib import asynccontextmanager

import aiohttp

BODY = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def awaited(url):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as client:

        async def call():
            async with client.post(f"{url}/v1/chat/completions", json=BODY) as answer:
                return (await answer.json())["choices"][0]["message"]["content"]

        async def stream():
            body = {**BODY, "stream": True}
            async with client.post(f"{url}/v1/chat/completions", json=body) as answer:
                async for line in answer.content:
                    if line.startswith(b"data: ") and line != b"data: [DONE]\n":
                        yield json.loads(line[6:])["choices"][0]["delta"].get("content")

        yield call, stream
