"""Give up on a call in three ways; the LLM goes on working after each.

python examples/timeout_and_cancel.py openai gpt-5-mini
"""

from __future__ import annotations

import asyncio
import sys

from abstractcore import LLM, RequestTimeoutError, create_llm

PROVIDER, MODEL = sys.argv[1:3] if len(sys.argv) > 2 else ("ollama", "qwen3:4b-instruct")
LONG = "Write a very long story."


async def main() -> None:
    async with create_llm(PROVIDER, MODEL) as llm:
        await with_timeout(llm)
        await with_asyncio_timeout(llm)
        await with_cancel(llm)
        print("Still there:", (await llm.agenerate("Say hello.")).content)


async def with_timeout(llm: LLM) -> None:
    """The argument knows how far the call had come."""
    try:
        await llm.agenerate(LONG, timeout=0.5)
    except RequestTimeoutError as error:
        print(f"timeout=: {error} (phase {error.phase}, {error.attempts} attempt)")


async def with_asyncio_timeout(llm: LLM) -> None:
    """One bound around several calls."""
    try:
        async with asyncio.timeout(0.5):
            await llm.agenerate(LONG)
            await llm.agenerate(LONG)
    except TimeoutError:
        print("asyncio.timeout: not both of them in half a second")


async def with_cancel(llm: LLM) -> None:
    """What had arrived of a cancelled stream stays in `partial`."""
    stream = llm.agenerate(LONG, stream=True)

    async def read() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.wait([task])
    print(
        "cancel:", "it was over already" if not task.cancelled() else f"had {stream.partial.content[:40]!r}"
    )


if __name__ == "__main__":
    asyncio.run(main())
