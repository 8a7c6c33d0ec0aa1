"""README, docs and examples as data: the pages, their code blocks, links, headings and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

_FENCE = re.compile(r"^```")
_MARK = re.compile(r"^<!--\s*not run:\s*(.*?)\s*-->$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: *first_line* (from 1) is where its text begins; *skipped* says why it is not run."""

    language: str
    text: str
    first_line: int
    skipped: str | None


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").split("\n")
    start: int | None = None
    for number, line in enumerate(lines):
        if not _FENCE.match(line):
            continue
        if start is None:
            start = number
            continue
        mark = _MARK.match(_line_before(lines, start))
        yield Block(
            lines[start][3:].strip(),
            "\n".join(lines[start + 1 : number]),
            start + 2,
            mark[1] if mark else None,
        )
        start = None
    assert start is None, f"{name_of(page)}:{start}: this block has no end"


def _line_before(lines: list[str], number: int) -> str:
    return next((line.strip() for line in reversed(lines[:number]) if line.strip()), "")


def script(page: Path, *, without: re.Pattern[str] | None = None) -> str:
    """The Python of a page as one program, each line where it stands on the page.

    A block in which *without* is found is left out.
    """
    lines: list[str] = []
    for block in blocks(page):
        if without is not None and without.search(block.text):
            continue
        if block.language == "python" and block.skipped is None:
            lines += [""] * (block.first_line - 1 - len(lines)) + block.text.split("\n")
    return "\n".join(lines) + "\n"


def prose(page: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Where the links of a page lead."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page)))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: Path, under: str | None = None) -> list[list[str]]:
    """The cells of every table's rows; with *under*, of the table with this first head, without its heads."""
    return rows_of(prose(page), under)


def rows_of(text: str, under: str | None = None) -> list[list[str]]:
    """The same of a text without blocks."""
    tables = re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.MULTILINE)
    read = [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in tables
    ]
    return [
        row
        for table in read
        for row in (table if under is None else table[2:] if table[0][0] == under else ())
    ]
