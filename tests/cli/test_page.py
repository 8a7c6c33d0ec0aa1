"""docs/command-line.md says what the program does."""

from __future__ import annotations

import re

from abstractcore.cli.exits import CODES, INTERRUPTED
from abstractcore.cli.slash import COMMANDS
from tests.cli.conftest import Run
from tests.docs.pages import ROOT, rows

PAGE = ROOT / "docs" / "command-line.md"


def first_cells(under: str) -> list[str]:
    return [row[0].strip("`") for row in rows(PAGE, under)]


def test_the_page_has_a_line_for_every_exit_code() -> None:
    assert sorted(map(int, first_cells("code"))) == sorted({0, INTERRUPTED, *CODES.values()})


def test_the_page_has_a_line_for_every_slash_command() -> None:
    named = {cell.split()[0] for cell in first_cells("in the chat")}

    assert {*COMMANDS} == {*named, "/exit"}


def test_the_page_has_a_line_for_every_command() -> None:
    from abstractcore.cli.app import app

    commands = {(one.name or getattr(one.callback, "__name__", "")) for one in app.registered_commands}

    assert commands == {*first_cells("command")}


def test_every_option_that_the_page_names_exists(run: Run) -> None:
    from abstractcore.cli.app import app

    commands = [getattr(one.callback, "__name__", "") for one in app.registered_commands]
    helps = "".join(run(name, "--help", COLUMNS="200", TERMINAL_WIDTH="200").stdout for name in commands)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE.read_text(encoding="utf-8")))

    assert [option for option in sorted(named) if option not in helps] == []
