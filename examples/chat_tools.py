"""Tools for the command line: the model may look at the files of the folder that it is started in.

    abstractcore chat -m openai:gpt-5-mini --tools examples/chat_tools.py
    python examples/chat_tools.py ask -m openai:gpt-5-mini "What is in this folder?"

The second line is the same program with these tools. It needs `pip install "abstractcore[cli]"`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from abstractcore import tool
from abstractcore.cli import main

HERE = Path.cwd().resolve()


@tool
def list_files() -> list[str]:
    """List the files of the folder, with their sizes in bytes."""
    return [f"{path.name} ({path.stat().st_size})" for path in sorted(HERE.iterdir()) if path.is_file()]


@tool
def read_text(name: str) -> str:
    """Read the beginning of a text file of the folder."""
    path = (HERE / name).resolve()
    if path.parent != HERE:
        raise ValueError("only files of this folder can be read")
    return path.read_text(encoding="utf-8", errors="replace")[:4_000]


if __name__ == "__main__":
    command, *options = sys.argv[1:] or ["chat"]
    sys.argv[1:] = [command, "--tools", __file__, *options]
    main()
