"""The AbstractCore of PyPI, another package that shares our import name."""

from contextlib import asynccontextmanager, contextmanager

from abstractcore import create_llm


@contextmanager
def blocking(url):
    llm = create_llm("openai-compatible", model="test-model", base_url=f"{url}/v1", api_key="none")
    yield lambda: llm.generate("Hi").content


@asynccontextmanager
async def awaited(url):
    llm = create_llm("openai-compatible", model="test-model", base_url=f"{url}/v1", api_key="none")

    async def call():
        return (await llm.agenerate("Hi")).content

    async def stream():
        async for chunk in await llm.agenerate("Hi", stream=True):
            yield chunk.content

    yield call, stream
    if llm._async_client is not None:
        await llm._async_client.aclose()  # it has no public way to close
