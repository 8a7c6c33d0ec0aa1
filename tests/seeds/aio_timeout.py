import asyncio

async with asyncio.timeout(30):
    result = await agent.run("Long task") # raises TimeoutError if exceeded
