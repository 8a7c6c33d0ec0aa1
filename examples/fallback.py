"""Ask the first provider that answers: a service, and then a server of your own.

python examples/fallback.py openai:gpt-5-mini ollama:qwen3:4b-instruct
"""

from __future__ import annotations

import sys

from abstractcore import AbstractCoreError, create_llm, fallback


def main(models: list[str]) -> None:
    members = [create_llm(model, max_retries=0, timeout=30) for model in models]
    with fallback(members, timeout=90) as llm:
        try:
            answer = llm.generate("Name a good first programming language, in one sentence.")
        except AbstractCoreError as error:
            raise SystemExit(f"nobody answered: {error}") from None
    print(f"{answer.provider}: {answer.content}")
    for warning in answer.warnings:
        print(f"  {warning}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
