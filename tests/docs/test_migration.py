"""What the migration pages say of other libraries is what those libraries take.

The samples "after" run as any page's do. Those "before" are parsed, and run against the same fake server
where their library is installed: in this environment, or in that of the benchmarks' peers.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.answers import TEXT, answer
from tests.docs.pages import ROOT, Block, blocks, rows
from tests.fakes.any_wire import models, text
from tests.fakes.replies import Reply
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.real.processes import absent

FOLDER = ROOT / "docs" / "migrate"
PEERS = ROOT / ".venv" / "peers"
#: Each page's library: the word in its marks, and the environment of `make bench` that has it.
LIBRARIES = {"openai": "openai", "litellm": "litellm", "abstractcore-2": "abstractcore-pypi", "aimu": "aimu"}
#: What stands before a page's samples: AIMU names OpenAI's own address, whatever the environment says.
PRELUDES = {
    "aimu": """\
import os, openai
for name in ("OpenAI", "AsyncOpenAI"):
    original = getattr(openai, name)
    def led_here(*, base_url, _original=original, **options):
        return _original(base_url=os.environ["OPENAI_BASE_URL"], **options)
    setattr(openai, name, led_here)
""",
}
_BEFORE = re.compile(r"before, with ([\w-]+)")


def before(page: str) -> list[Block]:
    """The samples for the other library."""
    found = [(block, _BEFORE.fullmatch(block.skipped or "")) for block in blocks(FOLDER / f"{page}.md")]
    assert {match[1] for _, match in found if match} == {page}
    return [block for block, match in found if match]


def python_with(page: str) -> Path | None:
    """The interpreter that has the library of this page."""
    if page == "openai" and importlib.util.find_spec("openai"):
        return Path(sys.executable)
    found = PEERS / LIBRARIES[page] / "bin" / "python"
    return found if found.exists() else None


def test_every_page_is_tested_here() -> None:
    assert {page.stem for page in FOLDER.glob("*.md")} == set(LIBRARIES)


@pytest.mark.parametrize("page", LIBRARIES)
def test_each_sample_has_its_pair(page: str) -> None:
    """What was, and then what it is now."""
    kinds = [
        "before" if block.skipped else "after"
        for block in blocks(FOLDER / f"{page}.md")
        if block.language == "python"
    ]
    for block in before(page):
        ast.parse(block.text)

    assert kinds == ["before", "after"] * (len(kinds) // 2)
    assert len(kinds) >= 8
    assert len(rows(FOLDER / f"{page}.md")) > 10, "a table of names"


#: The others take many seconds to import, in environments that `make bench` makes.
_RUN = ["openai", *(pytest.param(page, marks=pytest.mark.slow) for page in LIBRARIES if page != "openai")]


@pytest.mark.parametrize("page", _RUN)
def test_the_samples_of_the_other_library_run(
    page: str, environment: dict[str, str], docs_server: FakeServer, tmp_path: Path
) -> None:
    python = python_with(page)
    if python is None and page == "openai":
        absent("openai is missing: pip install --group dev")
    if python is None:
        pytest.skip(f"{page} is not installed: `make bench` makes its environment")
    docs_server.route = _answer
    docs_server.always["GET /v1/models"] = models("gpt-5-mini", "no-such-model")  # one asks before it begins
    program = tmp_path / "before.py"
    samples = "\n".join(block.text for block in before(page))
    program.write_text(PRELUDES.get(page, "") + samples, encoding="utf-8")
    variables = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    url = environment["OPENAI_BASE_URL"]
    variables |= {"OPENAI_API_BASE": url, "ANTHROPIC_API_BASE": environment["ANTHROPIC_BASE_URL"]}
    variables["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import

    done = subprocess.run(
        [str(python), str(program)],
        cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=55, check=False,
    )  # fmt: skip

    if missing := re.search(r"ModuleNotFoundError: (No module named .*)", done.stderr):
        pytest.skip(f"the environment of {page}: {missing[1]}")
    assert done.returncode == 0, done.stdout + done.stderr


def _answer(request: Recorded) -> Reply:
    """As the other pages are answered, but for what these libraries send and we never do.

    An `input` that is a text, and an assistant's message that leaves its empty `content` out.
    """
    body = request.json if request.method == "POST" else {}
    is_after_a_tool = any(message["role"] == "tool" for message in body.get("messages", ()))
    return text(TEXT) if is_after_a_tool or isinstance(body.get("input"), str) else answer(request)
