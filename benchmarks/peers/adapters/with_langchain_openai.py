"""langchain-openai, one model kept for all calls."""

from contextlib import asynccontextmanager, contextmanager

from langchain_openai import ChatOpenAI


@contextmanager
def blocking(url):
    model = ChatOpenAI(model="test-model", base_url=f"{url}/v1", api_key="none")
    yield lambda: model.invoke("Hi").content


@asynccontextmanager
async def awaited(url):
    model = ChatOpenAI(model="test-model", base_url=f"{url}/v1", api_key="none")

    async def call():
        return (await model.ainvoke("Hi")).content

    async def stream():
        async for chunk in model.astream("Hi"):
            yield chunk.content

    yield call, stream
