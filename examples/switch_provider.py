"""Carry a conversation from one provider to another.

python examples/switch_provider.py openai gpt-5-mini ollama qwen3:4b-instruct
"""

from __future__ import annotations

import sys

from abstractcore import BasicSession, create_llm


def main(provider: str, model: str, other_provider: str, other_model: str) -> None:
    with create_llm(provider, model) as first, create_llm(other_provider, other_model) as second:
        session = BasicSession(first)
        print(f"{first.provider}: {session.generate('My name is Alice.').content}")
        session.provider = second
        print(f"{second.provider}: {session.generate('What is my name?').content}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
