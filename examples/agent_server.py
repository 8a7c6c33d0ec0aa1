"""Stream an agent's run to a browser with FastAPI, as server-sent events: its tool calls, and its text.

    pip install "fastapi>=0.135" uvicorn
    uvicorn examples.agent_server:app        # then: curl -N 'localhost:8000/run?task=Is+it+warm+in+Paris?'

MODEL names provider and model, as in MODEL=openai:gpt-5-mini. When the browser leaves, the run ends, and the
model's server is asked for nothing more.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

from abstractcore import AbstractCoreError, StreamChunk, aio, tool


@tool
def get_weather(city: str) -> str:
    """Tell the weather of today.

    Args:
        city: The city, in English.
    """
    return f"It is sunny in {city}, 24 degrees."


client = aio.client(os.environ.get("MODEL", "ollama:qwen3:4b-instruct"))  # nothing is sent yet
agent = aio.Agent(client, "You tell the weather. Use the tool.", tools=[get_weather], name="weather")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/run", response_class=EventSourceResponse)
async def run(task: str) -> AsyncIterator[ServerSentEvent]:
    """Run the agent; many runs of it may go on at once, each with a history of its own."""
    try:
        async with agent.run(task, stream=True, timeout=120) as stream:
            async for chunk in stream:
                yield event(chunk)
    except AbstractCoreError as error:
        yield ServerSentEvent(event="error", data=type(error).__name__)


def event(chunk: StreamChunk) -> ServerSentEvent:
    """Name the event by its phase. A call comes as the model makes it, and again with its result."""
    if chunk.tool_call is None:
        return ServerSentEvent(event=chunk.phase, data=chunk.content)
    call = chunk.tool_call
    data = {"tool": call.name, "arguments": call.arguments, "result": chunk.content or None}
    return ServerSentEvent(event=chunk.phase, data=data)
