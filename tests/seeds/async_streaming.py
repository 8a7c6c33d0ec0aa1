import asyncio
from abstractcore import create_llm

async def main():
    llm = create_llm("anthropic", model="claude-haiku-4-5")
    stream = await llm.agenerate("Write a haiku about coding.", stream=True)
    async for chunk in stream:
        if chunk.content:
            print(chunk.content, end="", flush=True)
    print()

asyncio.run(main())
