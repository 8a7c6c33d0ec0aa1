import asyncio
from abstractcore import create_llm

async def main():
    llm = create_llm("openai", model="gpt-5-mini")
    response = await llm.agenerate("Explain Python in one paragraph.")
    print(response.content)

asyncio.run(main())
