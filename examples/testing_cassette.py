"""Record the calls of an agent once, and play them back ever after: no key, no network, no model.

python examples/testing_cassette.py openai:gpt-5-mini
"""

from __future__ import annotations

import sys
from pathlib import Path

from abstractcore import Agent, client
from abstractcore.testing import CassetteMissError, cassette


def population(city: str) -> int:
    """Tell how many people live in a city."""
    return {"Paris": 2_100_000, "Rome": 2_750_000}[city]


def ask(model: str, question: str) -> str:
    with client(model) as asked:
        return Agent(asked, "Use the tool.", tools=[population]).run(question)


if __name__ == "__main__":
    model, *rest = sys.argv[1:]
    path = Path(*rest or ["population.jsonl"])

    with cassette(path) as recorded:
        print(ask(model, "How many people live in Paris?"))
        print(f"[{'replayed from' if recorded.is_replaying else 'recorded in'} {path}]")

    with cassette(path) as played:
        print(ask(model, "How many people live in Paris?"))
        print(f"[replayed {len(played.recordings)} calls, {played.unused} left]")
        try:
            ask(model, "How many people live in Rome?")
        except CassetteMissError as miss:
            print(miss)
