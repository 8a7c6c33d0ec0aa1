"""Eight prompts on a model in this process: one after the other, then in one batch.

    python examples/local_batch.py [model.gguf]

Without a path it takes the model that `create_llm("local")` finds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Sequence

from abstractcore import GenerateResponse, create_llm

SUBJECTS = ("Python", "Rust", "bread", "rain", "the moon", "chess", "glass", "sleep")
PROMPTS = [f"Tell me about {subject}." for subject in SUBJECTS]


async def main() -> None:
    where = ("openvino", sys.argv[1]) if len(sys.argv) > 1 else ("local",)
    async with create_llm(*where, max_output_tokens=40) as llm:
        await llm.aload()

        async def one_by_one() -> list[GenerateResponse]:
            return [await llm.agenerate(prompt) for prompt in PROMPTS]

        async def together() -> Sequence[GenerateResponse]:
            return await asyncio.gather(*(llm.agenerate(prompt) for prompt in PROMPTS))

        await timed("one by one", one_by_one())
        await timed("together", together())


async def timed(name: str, work: Awaitable[Sequence[GenerateResponse]]) -> None:
    began = time.perf_counter()
    responses = await work
    seconds = time.perf_counter() - began
    tokens = sum(response.usage.output_tokens or 0 for response in responses)
    print(f"{name:<10}  {tokens} tokens in {seconds:.1f} s: {tokens / seconds:.0f} tokens/s")


if __name__ == "__main__":
    asyncio.run(main())
