"""Serve 8 prompts on a model in this process, 1, 2, 4 and 8 at a time, and plot tokens per second.

    python examples/tokens_per_second.py [model] [plot.png]

Without a model it takes what `create_llm("local")` finds. The plot needs `pip install "abstractcore[plot]"`;
without matplotlib there is the table alone.
"""

from __future__ import annotations

import asyncio
import sys
import time

from abstractcore import LLM, create_llm

SUBJECTS = ("Python", "Rust", "bread", "rain", "the moon", "chess", "glass", "sleep")
AT_ONCE = (1, 2, 4, 8)


async def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else None
    file = sys.argv[2] if len(sys.argv) > 2 else "tokens_per_second.png"
    async with create_llm("local", model, max_output_tokens=32, temperature=0) as llm:
        await llm.aload()
        await serve(llm, 8)  # the first calls are slower
        paces = [await serve(llm, count) for count in AT_ONCE]
    print("at once  tokens/s")
    for count, pace in zip(AT_ONCE, paces, strict=True):
        print(f"{count:7}  {pace:8.0f}  {'#' * round(40 * pace / max(paces))}")
    plot(paces, file)


async def serve(llm: LLM, count: int) -> float:
    """Answer all prompts, *count* at a time, and give the tokens per second."""
    turns = asyncio.Semaphore(count)

    async def answer(subject: str) -> int:
        async with turns:
            response = await llm.agenerate(f"Tell me about {subject}.")
            return response.usage.output_tokens or 0

    began = time.perf_counter()
    tokens = sum(await asyncio.gather(*map(answer, SUBJECTS)))
    return tokens / (time.perf_counter() - began)


def plot(paces: list[float], file: str) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no plot: pip install "abstractcore[plot]"')
        return
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(AT_ONCE, paces, marker="o")
    axes.set(xlabel="prompts at once", ylabel="tokens per second", ylim=(0, None), xticks=AT_ONCE)
    figure.savefig(file)
    print(f"the plot is in {file}")


if __name__ == "__main__":
    asyncio.run(main())
