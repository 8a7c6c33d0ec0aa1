"""The program itself: its help, its version, a command that does not exist, and the extra that is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import abstractcore
from tests.cli.conftest import Run, one_line_of


def test_the_help_lists_the_commands(run: Run) -> None:
    done = run("--help")

    assert done.exit_code == 0
    assert all(name in done.stdout for name in ("chat", "ask", "models", "doctor", "bench"))


def test_without_a_command_it_shows_the_help(run: Run) -> None:
    done = run()

    assert done.exit_code == 2
    assert "doctor" in done.output
    assert "error" not in done.output


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").stdout == f"abstractcore {abstractcore.__version__}\n"


def test_a_command_that_does_not_exist_is_one_line(run: Run) -> None:
    done = run("chta")

    assert done.exit_code == 2
    assert one_line_of(done) == "error: No such command 'chta'. Did you mean 'chat'?"


def test_an_option_that_does_not_exist_is_one_line(run: Run) -> None:
    done = run("ask", "--modle", "x")

    assert done.exit_code == 2
    assert "--model" in one_line_of(done)


def test_the_help_loads_no_http_and_no_model() -> None:
    code = """
import sys
sys.argv = ["abstractcore", "--help"]
from abstractcore.cli import main
try:
    main()
finally:
    unwanted = {"httpx", "pydantic", "asyncio", "tenacity", "matplotlib", "mcp", "abstractcore.llm"}
    assert not unwanted & {*sys.modules}, unwanted & {*sys.modules}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)

    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_extra_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from abstractcore.cli import main; main()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)

    assert done.returncode == 2
    assert 'pip install "abstractcore[cli]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "abstractcore", "--version"], capture_output=True, text=True, timeout=50
    )

    assert done.stdout == f"abstractcore {abstractcore.__version__}\n"


def test_a_warning_is_one_line() -> None:
    """Here: of a key that would cross the network in the open."""
    code = "from abstractcore.cli import main; main()"
    command = [sys.executable, "-c", code, "ask", "-m", "openai:m", "--timeout", "0.01", "Hi"]
    environment = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://203.0.113.1/v1"}

    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50
    )

    warning, error, end = done.stderr.split("\n")
    assert warning == "warning: openai: the API key is sent unencrypted to 203.0.113.1"
    assert error.startswith("error: ")
    assert end == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to write to")
@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        (">/dev/full", 1, "error: No space left on device\n"),
        (">&- <&-", 0, ""),
        ("2>&- >&-", 0, ""),
    ],
)
def test_streams_that_cannot_be_used_end_it_without_a_traceback(streams: str, code: int, told: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m abstractcore models local {streams}",
        shell=True, capture_output=True, text=True, timeout=50,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (code, told)
