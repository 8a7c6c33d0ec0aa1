"""Look at a question from three sides at once, and make one answer of the three.

python examples/research_parallel.py openai:gpt-5-mini "Should a small team write its own job scheduler?"

The first researcher that fails ends the others, and their requests.
"""

from __future__ import annotations

import asyncio
import sys

from abstractcore import AbstractCoreError, AgentEvent, aio

MODEL, QUESTION = (
    sys.argv[1:3] if len(sys.argv) > 2 else ("ollama:qwen3:4b-instruct", "Is a wooden house a good idea?")
)
SIDES = {
    "reasons for": "Give the three strongest reasons for it. One sentence each.",
    "reasons against": "Give the three strongest reasons against it. One sentence each.",
    "open questions": "List what one would have to find out before deciding. At most three points.",
}
ANSWER = "Weigh the answers of three researchers, and give an honest recommendation in one paragraph."


def tell(event: AgentEvent) -> None:
    """Say who is done: the three run side by side, so their texts would come mixed."""
    if event.kind == "model_answer" and event.usage is not None:
        print(f"({event.agent}: {event.usage.output_tokens} tokens)")


async def main() -> None:
    async with aio.client(MODEL) as client:
        research = aio.Parallel(
            [aio.Agent(client, prompt, name=side, events=tell) for side, prompt in SIDES.items()],
            aggregator=aio.Agent(client, ANSWER, name="answer"),
        )
        try:
            async with research.run(QUESTION, stream=True, include="generating", timeout=180) as stream:
                async for chunk in stream:
                    if chunk.agent == "answer":
                        print(chunk.content, end="", flush=True)
            print(f"\n({stream.response.usage.total_tokens} tokens in all)")
        except* AbstractCoreError as failures:
            for failure in failures.exceptions:
                print(type(failure).__name__, failure, *getattr(failure, "__notes__", ()))


if __name__ == "__main__":
    asyncio.run(main())
