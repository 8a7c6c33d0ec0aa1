"""The libraries that an installation brings, as their installed metadata tells: names, licences, homes.

`python -m tests.packaging.licences` writes the page `docs/licences.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[2] / "docs" / "licences.md"
_HEAD = """\
# Licences

`abstractcore` is under the [MIT licence](../LICENSE). An installation without extras brings these libraries
and no others, each under the licence that its own metadata tells. All of them allow use in closed products;
certifi's asks that changes to certifi's own files be published.

The page is written by `make licences`; a test compares it with what is installed.

| library | licence | asked for by |
|---|---|---|
"""
# What metadata said before it had SPDX expressions: https://peps.python.org/pep-0639/.
_SPDX = {"MIT License": "MIT", "BSD License": "BSD-3-Clause", "Apache Software License": "Apache-2.0"}


@dataclass(frozen=True)
class Library:
    """One library of the tree. *asked_by* are those whose metadata names it."""

    name: str
    licence: str
    home: str
    asked_by: tuple[str, ...]


def tree(root: str = "abstractcore") -> list[Library]:
    """The libraries that *root* needs, and those that they need, without extras, by name."""
    asked_by: dict[str, list[str]] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        for needed in needs(distribution(name)):
            if needed not in asked_by:
                waiting.append(needed)
            asked_by.setdefault(needed, []).append(name)
    return [_library(name, tuple(sorted(by))) for name, by in sorted(asked_by.items())]


def needs(installed: Distribution) -> Iterator[str]:
    """What *installed* needs in this environment when no extra is asked for."""
    for line in installed.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _library(name: str, asked_by: tuple[str, ...]) -> Library:
    metadata = distribution(name).metadata
    return Library(name, _licence(metadata), _home(metadata), asked_by)


def _licence(metadata: Message) -> str:
    told = metadata.get("License-Expression") or metadata.get("License") or ""
    if told and "\n" not in told:
        return _SPDX.get(told, told)
    classifiers = (
        line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if "License ::" in line
    )
    found = next(classifiers, "")
    return _SPDX.get(found, found)


def _home(metadata: Message) -> str:
    links = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL", []))
    by_kind = {re.sub("[^a-z]", "", kind.lower()): link for kind, link in links.items()}
    kinds = ("source", "sourcecode", "repository", "homepage", "github")
    return next((by_kind[kind] for kind in kinds if kind in by_kind), metadata.get("Home-page") or "")


def page() -> str:
    """The page, whole."""
    rows = (f"| [{one.name}]({one.home}) | {one.licence} | {', '.join(one.asked_by)} |\n" for one in tree())
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
