"""A real model on this machine's own CPU: no key, no server. Run it with `make demo`, or

python examples/quickstart.py
"""

from __future__ import annotations

import asyncio

from abstractcore import BasicSession, create_llm


async def main() -> None:
    async with create_llm("local", max_output_tokens=60, temperature=0) as llm:
        answer = await llm.agenerate("Explain Python in one sentence.")
        print(answer.content)

        async for chunk in llm.agenerate("Name three fruits.", stream=True):
            print(chunk.content, end="", flush=True)
        print()

        prompts = ["What is Python?", "What is JavaScript?", "What is Rust?"]
        for reply in await asyncio.gather(*(llm.agenerate(prompt) for prompt in prompts)):
            print("-", reply.content)

        session = BasicSession(llm, system_prompt="You are a helpful assistant.")
        await session.agenerate("My name is Alice.")
        print((await session.agenerate("What is my name?")).content)


if __name__ == "__main__":
    asyncio.run(main())
