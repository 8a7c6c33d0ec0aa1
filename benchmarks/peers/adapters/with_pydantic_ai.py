"""pydantic-ai's direct model requests, without an agent's loop; one model kept for all calls.

Its sync form runs an event loop of the thread, and a client belongs to one loop: each thread has its own.
"""

import threading
from contextlib import asynccontextmanager, contextmanager

from openai import AsyncOpenAI
from pydantic_ai.direct import model_request, model_request_stream, model_request_sync
from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def client_of(url):
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="none")


def model(client):
    return OpenAIChatModel("test-model", provider=OpenAIProvider(openai_client=client))


def asked():
    return [ModelRequest.user_text_prompt("Hi")]


@contextmanager
def blocking(url):
    own = threading.local()

    def call():
        if not hasattr(own, "model"):
            own.model = model(client_of(url))
        return model_request_sync(own.model, asked()).parts[0].content

    yield call


@asynccontextmanager
async def awaited(url):
    async with client_of(url) as client:
        shared = model(client)

        async def call():
            return (await model_request(shared, asked())).parts[0].content

        async def stream():
            async with model_request_stream(shared, asked()) as events:
                async for event in events:
                    if isinstance(event, PartDeltaEvent):
                        yield event.delta.content_delta
                    elif isinstance(event, PartStartEvent):
                        yield event.part.content

        yield call, stream
