"""Ask thousands of prompts within a limit; kill it, start it again, and it asks only for the rest.

python examples/map_many.py openai:gpt-5-mini 10000 answers.jsonl
"""

from __future__ import annotations

import sys

from abstractcore import create_llm


def main(model: str, count: int, path: str) -> None:
    prompts = (f"Tell me one fact about the number {number}." for number in range(count))
    answers = failures = 0
    with create_llm(model, max_output_tokens=60) as llm:
        for result in llm.map(prompts, concurrency=50, rate=30_000, checkpoint=path, progress=True):
            if result.error is None:
                answers += 1
            else:
                failures += 1
                print(f"prompt {result.index}: {type(result.error).__name__}: {result.error}")
    print(f"{answers} answers in {path}, {failures} failures")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
