import asyncio
import abstractcore
from abstractcore import aio

# Sync conversation
client = abstractcore.client("anthropic:claude-sonnet-4-6")
reply = client.chat("Hello")

# Background async batch (separate client; fresh conversation)
async def batch():
    workers = aio.Parallel.from_client(
        aio.client("anthropic:claude-sonnet-4-6"),
        worker_prompts=["...", "...", "..."],
    )
    return await workers.run("topic")

result = asyncio.run(batch())
