"""OpenAI's client as it comes."""

from contextlib import asynccontextmanager, contextmanager

from openai import AsyncOpenAI, OpenAI

ASKED = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def blocking(url):
    with OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        yield lambda: client.chat.completions.create(**ASKED).choices[0].message.content


@asynccontextmanager
async def awaited(url):
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

        async def call():
            return (await client.chat.completions.create(**ASKED)).choices[0].message.content

        async def stream():
            async for chunk in await client.chat.completions.create(**ASKED, stream=True):
                yield chunk.choices[0].delta.content

        yield call, stream
