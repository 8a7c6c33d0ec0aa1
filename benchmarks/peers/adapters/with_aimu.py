"""AIMU's client of a llama.cpp server, which speaks Chat Completions; one client kept for all calls."""

from contextlib import asynccontextmanager, contextmanager

from aimu.aio.providers.openai_compat import AsyncLlamaServerOpenAIClient
from aimu.models.providers.openai_compat import LlamaServerOpenAIClient, LlamaServerOpenAIModel

MODEL = LlamaServerOpenAIModel.LLAMA_3_1_8B


@contextmanager
def blocking(url):
    client = LlamaServerOpenAIClient(MODEL, base_url=f"{url}/v1")
    yield lambda: client.generate("Hi")


@asynccontextmanager
async def awaited(url):
    client = AsyncLlamaServerOpenAIClient(MODEL, base_url=f"{url}/v1")
    async with client._client:

        async def call():
            return await client.generate("Hi")

        async def stream():
            async for chunk in await client.generate("Hi", stream=True):
                yield chunk.content if chunk.phase == "generating" else ""

        yield call, stream
