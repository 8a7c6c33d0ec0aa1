"""LiteLLM as it comes; it keeps its clients itself."""

from contextlib import asynccontextmanager, contextmanager

import litellm

ASKED = {"model": "openai/test-model", "messages": [{"role": "user", "content": "Hi"}], "api_key": "none"}


@contextmanager
def blocking(url):
    yield lambda: litellm.completion(**ASKED, api_base=f"{url}/v1").choices[0].message.content


@asynccontextmanager
async def awaited(url):
    async def call():
        return (await litellm.acompletion(**ASKED, api_base=f"{url}/v1")).choices[0].message.content

    async def stream():
        async for chunk in await litellm.acompletion(**ASKED, api_base=f"{url}/v1", stream=True):
            yield chunk.choices[0].delta.content

    yield call, stream
