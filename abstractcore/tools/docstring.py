"""What a docstring tells a model: the first paragraph, and a text for each argument.

Reads the Google, numpy and Sphinx styles, simply: what it does not know is passed over.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from itertools import takewhile

_GOOGLE_HEADER = re.compile(r"(Args|Arguments|Parameters|Params):")
_NUMPY_HEADER = re.compile(r"(Other )?Parameters")
_UNDERLINE = re.compile(r"-{3,}")
_HEADER = re.compile(r"[A-Z]\w*( \w+)?:|:\w+.*|\.\. \w+::.*")
_GOOGLE_ENTRY = re.compile(r"(?P<name>\w+)\s*(\([^:]*\))?\s*:\s*(?P<text>.*)")
_NUMPY_ENTRY = re.compile(r"(?P<name>\w+)\s*(:.*)?(?P<text>)")
_SPHINX_ENTRY = re.compile(r":param\s+([^:]*\s)?(?P<name>\w+)\s*:\s*(?P<text>.*)")


def summary(doc: str | None) -> str:
    """Give the first paragraph on one line; "" when the docstring begins with a section."""
    lines = _lines(doc)
    paragraph = list(takewhile(str.strip, lines))
    if len(paragraph) > 1 and _UNDERLINE.fullmatch(paragraph[1].strip()):
        return ""
    prose = takewhile(lambda line: not _HEADER.fullmatch(line.strip()), paragraph)
    return " ".join(line.strip() for line in prose)


def argument_texts(doc: str | None) -> dict[str, str]:
    """Give the text of each argument that the docstring describes, on one line."""
    lines = _lines(doc)
    texts = _entries(lines, _SPHINX_ENTRY)
    for index, line in enumerate(lines[1:], start=1):
        header = lines[index - 1].strip()
        if _UNDERLINE.fullmatch(line.strip()) and _NUMPY_HEADER.fullmatch(header):
            texts |= _entries(_numpy_section(lines[index + 1 :]), _NUMPY_ENTRY)
        if _GOOGLE_HEADER.fullmatch(header):
            texts |= _entries(_indented(lines[index:]), _GOOGLE_ENTRY)
    return {name: text for name, text in texts.items() if text}


def _lines(doc: str | None) -> list[str]:
    return inspect.cleandoc(doc).split("\n") if doc else []


def _indented(lines: Sequence[str]) -> list[str]:
    return list(takewhile(lambda line: not line.strip() or line[:1].isspace(), lines))


def _numpy_section(lines: Sequence[str]) -> list[str]:
    """Give the lines above the next section, whose header is the line before its underline."""
    for index, line in enumerate(lines):
        if _UNDERLINE.fullmatch(line.strip()):
            return list(lines[: max(index - 1, 0)])
    return list(lines)


def _entries(lines: Sequence[str], entry: re.Pattern[str]) -> dict[str, str]:
    """Read one entry a line; deeper lines go on with the one above them."""
    filled = [line for line in lines if line.strip()]
    base = min(map(_indent, filled), default=0)
    texts: dict[str, list[str]] = {}
    name: str | None = None
    for line in filled:
        if _indent(line) == base:
            found = entry.fullmatch(line.strip())
            name = found["name"] if found else None
            if found:
                texts[found["name"]] = [found["text"]]
        elif name is not None:
            texts[name].append(line.strip())
    return {name: " ".join(filter(None, pieces)) for name, pieces in texts.items()}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
