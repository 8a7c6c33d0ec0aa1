"""`abstractcore chat` where stdin is no terminal: its lines are the prompts."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run, one_line_of
from tests.fakes import any_wire
from tests.fakes.server import FakeServer


def test_each_line_is_a_prompt_and_only_answers_are_printed(
    run: Run, server: FakeServer, at_server: list[str], tmp_path: Path
) -> None:
    server.replies(any_wire.text("One."), any_wire.text("Two."))
    file = tmp_path / "talk.json"

    done = run("chat", *at_server, input=f"First\n\nSecond \\\nline\n/save {file}\n/quit\nThird\n")

    assert (done.exit_code, done.stdout, done.stderr) == (0, "One.\nTwo.\n", "")
    assert server.requests[1].json["messages"][-1]["content"] == "Second \nline"
    assert len(server.requests) == 2
    assert file.exists()


def test_a_saved_conversation_is_gone_on_with(
    run: Run, server: FakeServer, at_server: list[str], tmp_path: Path
) -> None:
    server.replies(any_wire.text("One."), any_wire.text("Two."))
    file = tmp_path / "talk.json"
    run("chat", *at_server, "--system", "Be kind.", input=f"First\n/save {file}\n")

    run("chat", *at_server, "--load", str(file), input="Second\n")

    contents = [message["content"] for message in server.requests[1].json["messages"]]
    assert contents == ["Be kind.", "First", "One.", "Second"]


def test_the_first_failure_ends_it_with_its_code(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.error(401, "who are you?"))

    done = run("chat", *at_server, input="First\nSecond\n")

    assert done.exit_code == 3
    assert "who are you?" in one_line_of(done)
    assert len(server.requests) == 1


def test_a_file_that_is_no_conversation_is_named(run: Run, at_server: list[str], tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text("{}")

    done = run("chat", *at_server, "--load", str(tmp_path / "talk.json"))

    assert done.exit_code == 12
    assert "talk.json" in one_line_of(done)


def test_where_nobody_can_say_yes_no_tool_is_run(
    run: Run, server: FakeServer, at_server: list[str], tools_file: str
) -> None:
    server.replies(any_wire.call("add", a=1, b=2), any_wire.text("I see."))

    done = run("chat", *at_server, "--tools", tools_file, "--approve", input="1 + 2?\n")

    assert done.stdout == "I see.\n"
    assert "refused" in server.requests[1].json["messages"][-1]["content"]


def test_ctrl_c_ends_it_with_130(server: FakeServer, at_server: list[str]) -> None:
    """There is nobody to go on with."""
    server.replies(any_wire.unfinished("Once upon", ending="hang"))
    command = [sys.executable, "-m", "abstractcore", "chat", *at_server]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(b"A story\n")
        chat.stdin.flush()
        written = chat.stdout.read(len(b"Once upon"))

        chat.send_signal(signal.SIGINT)
        rest, told = chat.communicate(timeout=30)

    assert (chat.returncode, written + rest, told) == (130, b"Once upon\n", b"")
    server.wait_for(lambda s: s.disconnects == 1, 20)


def test_an_answer_that_is_not_whole_is_told(run: Run, server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.text("Once upon", finish_reason="length"))

    done = run("chat", *at_server, input="A story\n")

    assert done.stdout == "Once upon\n"
    assert done.stderr == "warning: the answer is not whole: it ended by length\n"
