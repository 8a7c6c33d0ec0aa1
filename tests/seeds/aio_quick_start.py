import asyncio
from abstractcore import aio

async def main():
    client = aio.client("anthropic:claude-sonnet-4-6")
    reply = await client.chat("Hi there")
    print(reply)

asyncio.run(main())
