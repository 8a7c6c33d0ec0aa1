"""The plugin, in runs of pytest of their own: by its module and by its entry point."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer

ROOT = Path(__file__).parents[2]
MODULE = "abstractcore.testing.pytest_plugin"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def entry_point(tmp_path: Path) -> Path:
    """A folder in which a distribution has the entry points that an installation of ours would have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    folder = tmp_path / "installed"
    described = folder / "as_installed-1.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: as-installed\nVersion: 1\n")
    (described / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder of a user's tests."""
    folder = tmp_path / "program"
    folder.mkdir()
    settings = (
        "asyncio_mode = auto",
        "asyncio_default_fixture_loop_scope = function",
        "filterwarnings = error",
    )
    (folder / "pytest.ini").write_text("\n".join(["[pytest]", *settings, ""]))
    return folder


@pytest.fixture
def run(program: Path) -> Run:
    """Run pytest in the folder; the plugin is named by its module unless *path* leads to an entry point."""

    def run(*arguments: str, path: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        paths = [str(ROOT), *([] if path is None else [str(path)])]
        environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(paths)}
        if path is None:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            arguments = ("-p", MODULE, "-p", "pytest_asyncio.plugin", *arguments)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
        return subprocess.run(
            command, cwd=program, env=environment, capture_output=True, text=True, timeout=50, check=False
        )

    return run


def counts(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.strip().split("\n")[-1].rpartition(" in ")[0] or done.stdout + done.stderr


SCRIPTED = """
def test_it_answers(scripted_llm):
    llm, other = scripted_llm(["Hello."]), scripted_llm(["Bye."], model="other")
    assert llm.generate("Hi").content == "Hello."
    assert other.generate("Hi").content == "Bye."

def test_an_answer_is_left(scripted_llm):
    assert scripted_llm(["Hello.", "Bye."]).generate("Hi").content == "Hello."

def test_an_answer_may_be_left(scripted_llm):
    scripted_llm(["Hello.", "Bye."], all_used=False)
"""

RECORDED = """
import os
import threading

import pytest
from abstractcore import create_llm

@pytest.fixture
def llm():
    with create_llm("openai-compatible", "m", base_url=os.environ["SERVER"], max_retries=0) as llm:
        yield llm

def test_it_answers(llm, cassette):
    assert llm.generate("Hi").content == "Hello."

async def test_it_answers_awaited(llm, cassette):
    assert (await llm.agenerate("Hi")).content == "Hello."

async def test_it_streams(cassette, llm):
    assert [c.content async for c in llm.agenerate("Hi", stream=True) if c.is_text()] == ["Hel", "lo."]

class TestGroup:
    @pytest.mark.parametrize("prompt", ["a/b", "a_b", "é" * 300])
    def test_it_answers(self, cassette, llm, prompt):
        assert llm.generate(prompt).content == "Hello."

def test_without_a_cassette():
    pass
"""


def test_scripted_llm_is_closed_and_used_up(run: Run, program: Path) -> None:
    (program / "test_scripted.py").write_text(SCRIPTED)

    done = run()

    assert counts(done) == "3 passed, 1 error"
    assert "1 of the answers of scripted_llm were not asked for" in done.stdout
    assert "ERROR test_scripted.py::test_an_answer_is_left" in done.stdout


def test_a_test_is_recorded_once_and_replayed_ever_after(run: Run, program: Path, server: FakeServer) -> None:
    server.replies(text("Hello.", piece=3))
    (program / "test_talk.py").write_text(RECORDED, encoding="utf-8")

    fresh = run(SERVER=server.url + "/v1")
    recorded = run("--record", SERVER=server.url + "/v1")
    asked = len(server.requests)
    replayed = run(SERVER="http://127.0.0.1:9/v1")

    assert counts(fresh) == "6 failed, 1 passed"
    assert "Record it again" in fresh.stdout
    assert (counts(recorded), counts(replayed)) == ("7 passed", "7 passed"), recorded.stdout + replayed.stdout
    assert (asked, len(server.requests)) == (6, 6)
    files = sorted(path.name for path in (program / "cassettes" / "test_talk").iterdir())
    assert files[-3:] == ["test_it_answers.jsonl", "test_it_answers_awaited.jsonl", "test_it_streams.jsonl"]
    assert len(files) == 6
    assert "TestGroup.test_it_answers[a_b].jsonl" in files
    assert not (program / "cassettes" / "program").exists()


def test_pytest_finds_it_by_the_entry_point(run: Run, program: Path, entry_point: Path) -> None:
    (program / "test_scripted.py").write_text(SCRIPTED)

    done = run(path=entry_point)

    assert counts(done) == "3 passed, 1 error", done.stdout + done.stderr


def test_the_entry_point_leads_to_the_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"abstractcore": MODULE}


def test_our_own_tests_are_collected_with_it(run: Run, entry_point: Path) -> None:
    """Whether this clone was installed before the plugin came, or after."""
    done = run("--collect-only", str(ROOT / "tests" / "testing"), "--rootdir", str(ROOT), path=entry_point)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("action", ["store_true", "store"])
def test_a_conftest_keeps_its_own_switch(
    run: Run, program: Path, entry_point: Path, server: FakeServer, action: str
) -> None:
    """A program that happens to have this package installed must not notice; the long name is left to it."""
    server.replies(text("Hello."))
    (program / "conftest.py").write_text(
        f"def pytest_addoption(parser):\n    parser.addoption('--record', action={action!r})\n"
    )
    (program / "test_talk.py").write_text(
        RECORDED + "\ndef test_own(request):\n    assert request.config.getoption('--record')\n",
        encoding="utf-8",
    )
    own = ["--record"] if action == "store_true" else ["--record", "x"]
    only = ["-k", "test_own or (test_it_answers and not awaited and not Group)"]

    alone = run(*own, *only, path=entry_point, SERVER=server.url + "/v1")
    recorded = run(*own, "--abstractcore-record", *only, path=entry_point, SERVER=server.url + "/v1")

    assert counts(alone) == "1 failed, 1 passed, 6 deselected", alone.stdout + alone.stderr
    assert counts(recorded) == "2 passed, 6 deselected", recorded.stdout + recorded.stderr


def test_it_loads_nothing_before_a_fixture_is_asked_for() -> None:
    code = (
        "import sys, pytest, re, hashlib; before = set(sys.modules);"
        "import abstractcore.testing.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50, check=True
    )

    assert done.stdout.split() == ["abstractcore", "abstractcore.testing", MODULE]


def test_the_switch_is_explained(run: Run) -> None:
    assert "--record" in run("--help").stdout
