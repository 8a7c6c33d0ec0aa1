"""This package, on the wire of Chat Completions."""

from contextlib import asynccontextmanager, contextmanager

from abstractcore import create_llm

PROVIDER = "openai-compatible"


@contextmanager
def blocking(url):
    with create_llm(PROVIDER, "test-model", base_url=f"{url}/v1", api_key="none") as llm:
        yield lambda: llm.generate("Hi").content


@asynccontextmanager
async def awaited(url):
    async with create_llm(PROVIDER, "test-model", base_url=f"{url}/v1", api_key="none") as llm:

        async def call():
            return (await llm.agenerate("Hi")).content

        async def stream():
            async for chunk in llm.agenerate("Hi", stream=True):
                yield chunk.content

        yield call, stream
