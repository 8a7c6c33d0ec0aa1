"""Inputs that are kept: one file for each target, a line for each input, as Python writes bytes."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def kept(target: str) -> list[bytes]:
    """The inputs of *target*: each reaches a place of the code that no other does, or has once failed."""
    path = FOLDER / f"{target}.txt"
    return [ast.literal_eval(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Keep *inputs* in place of those that were."""
    FOLDER.mkdir(exist_ok=True)
    lines = (f"{data!r}\n" for data in sorted({*inputs}, key=lambda data: (len(data), data)))
    (FOLDER / f"{target}.txt").write_text("".join(lines), "ascii")
