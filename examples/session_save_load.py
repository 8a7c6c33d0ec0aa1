"""Keep a conversation in a file: each run goes on where the last one stopped.

python examples/session_save_load.py openai gpt-5-mini conversation.json "My name is Alice."
python examples/session_save_load.py openai gpt-5-mini conversation.json "What is my name?"
"""

from __future__ import annotations

import sys
from pathlib import Path

from abstractcore import BasicSession, create_llm


def main(provider: str, model: str, file: str, prompt: str) -> None:
    with create_llm(provider, model) as llm:
        if Path(file).exists():
            session = BasicSession.load(file, provider=llm)
        else:
            session = BasicSession(llm, system_prompt="You are a helpful assistant.")
        print(session.generate(prompt).content)
        session.save(file)
    print(f"({len(session.messages)} messages in {file})")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
