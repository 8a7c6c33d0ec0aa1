import asyncio
from abstractcore import create_llm

async def main():
    llm = create_llm("ollama", model="qwen3:4b-instruct")
    tasks = [
        llm.agenerate("Summarize Python in 1 sentence."),
        llm.agenerate("Summarize JavaScript in 1 sentence."),
        llm.agenerate("Summarize Rust in 1 sentence."),
    ]
    responses = await asyncio.gather(*tasks)
    for r in responses:
        print("-", r.content.strip())

asyncio.run(main())
