"""Anthropic's client as it comes, on the wire of Messages."""

from contextlib import asynccontextmanager, contextmanager

from anthropic import Anthropic, AsyncAnthropic

ASKED = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000}


@contextmanager
def blocking(url):
    with Anthropic(base_url=url, api_key="none") as client:
        yield lambda: client.messages.create(**ASKED).content[0].text


@asynccontextmanager
async def awaited(url):
    async with AsyncAnthropic(base_url=url, api_key="none") as client:

        async def call():
            return (await client.messages.create(**ASKED)).content[0].text

        async def stream():
            async for event in await client.messages.create(**ASKED, stream=True):
                if event.type == "content_block_delta":
                    yield event.delta.text

        yield call, stream
