"""any-llm, one client kept for all calls."""

from contextlib import asynccontextmanager, contextmanager

from any_llm import AnyLLM

ASKED = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def blocking(url):
    client = AnyLLM.create("openai", api_key="none", api_base=f"{url}/v1")
    yield lambda: client.completion(**ASKED).choices[0].message.content


@asynccontextmanager
async def awaited(url):
    client = AnyLLM.create("openai", api_key="none", api_base=f"{url}/v1")
    async with client.client:

        async def call():
            return (await client.acompletion(**ASKED)).choices[0].message.content

        async def stream():
            async for chunk in await client.acompletion(**ASKED, stream=True):
                yield chunk.choices[0].delta.content

        yield call, stream
