"""Every Python sample of README and docs runs, from the top of its page to the end, as one program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.conftest import Run, no_engine
from tests.docs.pages import PAGES, blocks, name_of, script

_LOCAL = re.compile(r"""create_llm\(\s*["'](local|openvino)["':]""")
_BEGINS_LOCAL = re.compile(r"\A((?!create_llm\().)*" + _LOCAL.pattern, re.DOTALL)


# Each recipe of the cookbook runs by itself: test_cookbook.py.
PROGRAMS = [page for page in PAGES if script(page).strip() and page.parent.name != "cookbook"]


@pytest.mark.parametrize("page", PROGRAMS, ids=name_of)
def test_the_samples_of_a_page_run(page: Path, run_python: Run, tmp_path: Path) -> None:
    whole = script(page)
    is_of_engine = page.parent.name == "engines"
    reason = no_engine(page.stem) if is_of_engine else no_engine()
    if reason and (is_of_engine or _BEGINS_LOCAL.search(whole)):
        pytest.skip(reason)
    program = script(page, without=_LOCAL) if reason else whole
    path = tmp_path / f"{page.stem}_page.py"  # a script called mcp.py would be in the place of that package
    path.write_text(program, encoding="utf-8")

    run_python(path)

    if program != whole:
        pytest.skip(f"all but the samples on a local model: {reason}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_sample_that_is_not_run_says_why(page: Path) -> None:
    reasons = [block.skipped for block in blocks(page) if block.skipped is not None]

    assert all(len(reason.split()) >= 3 for reason in reasons), reasons


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {"python", "sh", "text", "toml", "json"}


def test_a_block_keeps_its_lines(tmp_path: Path) -> None:
    """An error in a sample names the line of the page."""
    page = tmp_path / "page.md"
    text = [
        "# A",
        "",
        "```python",
        "a = 1",
        "```",
        "",
        "<!-- not run: it only shows a shape -->",
        "```python",
        "b",
        "```",
    ]
    page.write_text("\n".join([*text, "```python", "c = 3", "```"]), encoding="utf-8")

    assert script(page).split("\n") == [*[""] * 3, "a = 1", *[""] * 7, "c = 3", ""]
