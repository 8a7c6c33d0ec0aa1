import asyncio
from abstractcore import create_llm, BasicSession

async def main():
    llm = create_llm("openai", model="gpt-5-mini")
    session = BasicSession(provider=llm, system_prompt="You are a helpful assistant.")
    r1 = await session.agenerate("My name is Alice.")
    r2 = await session.agenerate("What is my name?")
    print(r2.content)

asyncio.run(main())
