"""Ask thousands of prompts with a bound on how many are under way at once; a failed one stops nobody.

python examples/gather_many.py openai gpt-5-mini 10000
"""

from __future__ import annotations

import asyncio
import sys
import time

from abstractcore import AbstractCoreError, GenerateResponse, create_llm

PROVIDER, MODEL, COUNT = sys.argv[1:4] if len(sys.argv) > 3 else ("ollama", "qwen3:4b-instruct", "20")
AT_ONCE = 100


async def main() -> None:
    prompts = [f"Tell me one fact about the number {number}." for number in range(int(COUNT))]
    gate = asyncio.Semaphore(AT_ONCE)

    async with create_llm(PROVIDER, MODEL, max_output_tokens=60) as llm:

        async def ask(prompt: str) -> GenerateResponse | AbstractCoreError:
            async with gate:
                try:
                    return await llm.agenerate(prompt)
                except AbstractCoreError as error:
                    return error

        began = time.perf_counter()
        answers = await asyncio.gather(*(ask(prompt) for prompt in prompts))
        seconds = time.perf_counter() - began

    failed = [answer for answer in answers if isinstance(answer, AbstractCoreError)]
    print(f"{len(answers) - len(failed)} answers in {seconds:.1f} s, {len(failed)} failures")
    for error in failed[:3]:
        print(" ", type(error).__name__, error)


if __name__ == "__main__":
    asyncio.run(main())
