"""Weights in several files: which names belong together."""

from __future__ import annotations

import re

_PART = re.compile(r"(.*-)(\d{5})-of-(\d{5})(\.\w+)", re.DOTALL)


def parts_of(name: str) -> list[str]:
    """Give the names of all files that weights were split into, *name* among them; else *name* alone."""
    found = _PART.fullmatch(name)
    if found is None:
        return [name]
    head, _, count, ending = found.groups()
    return [f"{head}{number:05}-of-{count}{ending}" for number in range(1, int(count) + 1)]
