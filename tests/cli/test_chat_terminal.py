"""`abstractcore chat` in a real pseudo-terminal, against a server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import any_wire
from tests.fakes.replies import Reply
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals here")

if sys.platform != "win32":
    from tests.cli.screen import CTRL_C, CTRL_D, Screen

Chat = Callable[..., "Screen"]


@pytest.fixture
def chat(server: FakeServer, at_server: list[str], tmp_path: Path) -> Iterator[Chat]:
    """Start `abstractcore chat` with these options more."""
    started: list[Screen] = []
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}

    def start(*options: str) -> Screen:
        started.append(Screen(["chat", *at_server, *options], environment))
        return started[-1]

    yield start
    for screen in started:
        screen.__exit__()


def asked(server: FakeServer, number: int = -1) -> list[tuple[str, object]]:
    return [(message["role"], message["content"]) for message in server.requests[number].json["messages"]]


def held(first: str, rest: str, gate: threading.Event) -> Reply:
    """An answer whose *rest* waits for the *gate*."""
    return any_wire.held_after(any_wire.text(first + rest, piece=len(first)), first, gate)


def test_an_answer_is_drawn_while_it_comes(chat: Chat, server: FakeServer) -> None:
    """The first words stand there while the server holds the rest; markdown becomes what it means."""
    gate = threading.Event()
    server.replies(held("Some **bold** words", "\n\nand the end.", gate))
    screen = chat()

    screen.enter("Hello")
    screen.wait_for("Some bold words")
    assert not any("the end" in line for line in screen.lines)
    gate.set()

    screen.wait_for("and the end.")
    screen.wait_for(lambda screen: screen.lines[-1] == ">")
    assert screen.lines[-5:] == ["> Hello", "Some bold words", "", "and the end.", ">"]
    assert b"\x1b[1mbold\x1b[0m" in screen.written


def test_ctrl_c_stops_the_answer_and_not_the_program(chat: Chat, server: FakeServer) -> None:
    """The request ends at the server, and the next one tells nothing of it."""
    server.replies(any_wire.unfinished("Once upon a", ending="hang"), any_wire.text("Fine."))
    screen = chat()
    screen.enter("A story")
    screen.wait_for("Once upon a")

    screen.press(CTRL_C)

    server.wait_for(lambda s: s.disconnects == 1, 20)
    screen.wait_for("stopped")
    assert any("Once upon a" in line for line in screen.lines)
    screen.enter("How are you?")
    screen.wait_for("Fine.")
    assert asked(server) == [("user", "How are you?")]
    screen.enter("")
    screen.wait_for(lambda screen: screen.lines[-2:] == [">", ">"])
    screen.press(CTRL_D)
    assert screen.ended() == 0


def test_ctrl_c_before_the_first_word_stops_the_request(chat: Chat, server: FakeServer) -> None:
    server.replies(any_wire.text("never").cut(0, ending="hang"), any_wire.text("Fine."))
    screen = chat()
    screen.enter("Hello")
    server.wait_for(lambda s: s.hanging == 1, 20)

    screen.press(CTRL_C)

    server.wait_for(lambda s: s.disconnects == 1, 20)
    screen.wait_for("stopped")
    screen.enter("Again")
    screen.wait_for("Fine.")


@pytest.mark.parametrize("times", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_ctrl_c_pressed_again_and_again_leaves_the_program_whole(
    times: int, chat: Chat, server: FakeServer
) -> None:
    """At any moment of an answer, and in what is put in order after it."""
    words = any_wire.unfinished("Some **bold** words.\n\n- one\n- two\n\n" * 40, piece=20, ending="hang")
    endless = words.in_pieces(200, pause=0.002)
    last = any_wire.text("Fine.")
    server.route = lambda request: last if "end" in sent_prompt(request) else endless
    screen = chat("--no-history")
    draw = random.Random(times)
    for number in range(times):
        screen.wait_for(lambda screen: screen.lines[-1].endswith(">"))
        screen.press(f"prompt {number}\n")
        screen.read_for(draw.uniform(0, 0.3))
        for _ in range(draw.choice((1, 2, 5))):
            screen.press(CTRL_C)
            screen.read_for(draw.choice((0, 0.001, 0.01)))
        while not screen.lines[-1].endswith(">"):  # a Ctrl-C before the answer has begun is passed over
            screen.press(CTRL_C)
            screen.read_for(0.2)

    while "Fine." not in screen.lines:
        screen.press("the end\n")  # the first one may meet a Ctrl-C that readline has not seen yet
        with contextlib.suppress(AssertionError):
            screen.wait_for("Fine.", 5)

    server.wait_for(lambda s: s.in_flight == 0, 20)
    assert not any("Traceback" in line for line in screen.lines)
    assert screen.written.rfind(b"\x1b[?25h") > screen.written.rfind(b"\x1b[?25l")  # the cursor is shown
    screen.enter("/quit")  # and what is typed is
    assert screen.ended() == 0


def sent_prompt(request: Recorded) -> str:
    """What the user said last."""
    said: str = request.json["messages"][-1]["content"]
    return said


def test_ctrl_c_at_the_prompt_says_how_to_leave(chat: Chat) -> None:
    screen = chat()
    screen.wait_for(lambda screen: screen.lines[-1] == ">")
    screen.press("half a li")
    screen.wait_for("> half a li")

    screen.press(CTRL_C)

    screen.wait_for("Ctrl-D or /quit leaves.")
    screen.enter("/quit")
    assert screen.ended() == 0


def test_slash_commands_change_the_conversation(chat: Chat, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "a talk.json"
    server.replies(any_wire.text("I am well."), any_wire.text("As I said."), any_wire.text("Bonjour."))
    screen = chat("--system", "Be kind.")
    screen.enter("/help")
    screen.wait_for("/model")
    screen.enter("How are you?")
    screen.wait_for("I am well.")
    screen.enter(f'/save "{file}"')
    screen.wait_for("saved 2 messages")
    screen.enter("/clear")
    screen.wait_for("cleared")
    screen.enter(f"/load {file}")
    screen.wait_for("loaded 2 messages")
    screen.enter("/system Be brief.")
    screen.wait_for("Be brief.")
    screen.enter("What?")
    screen.wait_for("As I said.")
    assert asked(server) == [
        ("system", "Be brief."), ("user", "How are you?"), ("assistant", "I am well."), ("user", "What?")
    ]  # fmt: skip
    screen.enter("/usage")
    screen.wait_for("tokens in: 5, out: 7")
    screen.enter("/mdel x")
    screen.wait_for("error: there is no /mdel. Did you mean /model?")
    screen.enter("/exit")
    assert screen.ended() == 0
    assert json.loads(file.read_text())["messages"][1]["content"] == "I am well."


def test_another_model_goes_on_with_the_conversation(
    chat: Chat, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", f"{server.url}/v1")
    server.replies(any_wire.text("One."), any_wire.text("Two."))
    environment = {**os.environ, "XDG_STATE_HOME": os.devnull}
    with Screen(["chat", "-m", "openai-compatible:first"], environment) as screen:
        screen.enter("Begin")
        screen.wait_for("One.")
        screen.enter("/model openai-compatible/second")
        screen.wait_for("openai-compatible:second")
        screen.enter("/model nobody:x")
        screen.wait_for("error: unknown provider 'nobody'")
        screen.enter("Go on")
        screen.wait_for("Two.")

    assert [request.json["model"] for request in server.requests] == ["first", "second"]
    assert asked(server) == [("user", "Begin"), ("assistant", "One."), ("user", "Go on")]


def test_a_picture_goes_with_the_next_message_alone(chat: Chat, server: FakeServer, picture: str) -> None:
    server.replies(any_wire.text("A pixel."), any_wire.text("Nothing."))
    screen = chat()
    screen.enter("/image /no/such/picture.png")
    screen.wait_for("error: /image: cannot read")
    screen.enter(f"/image '{picture}'")
    screen.wait_for("1 with the next message")
    screen.enter("What is it?")
    screen.wait_for("A pixel.")
    screen.enter("And now?")
    screen.wait_for("Nothing.")

    assert [part["type"] for part in server.requests[0].json["messages"][-1]["content"]] == [
        "image_url",
        "text",
    ]
    assert server.requests[1].json["messages"][-1]["content"] == "And now?"


def test_tools_are_run_and_shown(chat: Chat, server: FakeServer, tools_file: str) -> None:
    server.replies(any_wire.call("add", a=2, b=3), any_wire.text("It is 5."))
    screen = chat("--tools", tools_file)
    screen.enter("/tools")
    screen.wait_for("add: Add two numbers.")

    screen.enter("2 + 3?")

    screen.wait_for("It is 5.")
    assert 'add({"a": 2, "b": 3})' in screen.lines
    assert "add -> 5" in screen.lines


@pytest.mark.parametrize(("key", "told"), [("y", "5"), ("n", "refused")])
def test_a_tool_waits_for_a_yes(key: str, told: str, chat: Chat, server: FakeServer, tools_file: str) -> None:
    server.replies(any_wire.call("add", a=2, b=3), any_wire.text("I see."))
    screen = chat("--tools", tools_file, "--approve")
    screen.enter("2 + 3?")
    screen.wait_for("run add? [y/N]")

    screen.press(f"{key}\n")

    screen.wait_for("I see.")
    assert told in server.requests[1].json["messages"][-1]["content"]


def test_a_failure_is_a_line_and_the_chat_goes_on(chat: Chat, server: FakeServer) -> None:
    server.replies(any_wire.error(400, "no such thing"), any_wire.text("Fine."))
    screen = chat()
    screen.enter("Hello")
    screen.wait_for("no such thing")
    screen.enter("Again")
    screen.wait_for("Fine.")

    assert asked(server) == [("user", "Again")]


def test_what_was_typed_is_there_the_next_time(chat: Chat, server: FakeServer, tmp_path: Path) -> None:
    """And is for its owner's eyes alone."""
    pytest.importorskip("readline", reason="this Python has no readline")
    server.replies(any_wire.text("Fine."))
    first = chat()
    first.enter("a thing to remember")
    first.wait_for("Fine.")
    first.enter("/quit")
    assert first.ended() == 0
    kept = tmp_path / "state" / "abstractcore" / "chat_history"
    assert kept.read_text() == "a thing to remember\n/quit\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    second = chat()
    second.wait_for(lambda screen: screen.lines[-1] == ">")
    second.press("\x1b[A\x1b[A")
    second.wait_for("> a thing to remember")


def test_the_tab_key_completes_a_command(chat: Chat) -> None:
    pytest.importorskip("readline", reason="this Python has no readline")
    screen = chat()
    screen.wait_for(lambda screen: screen.lines[-1] == ">")

    screen.press("/qu\t")
    screen.wait_for("> /quit")
    screen.press("\n")

    assert screen.ended() == 0


def test_what_is_typed_during_an_answer_waits_for_its_end(chat: Chat, server: FakeServer) -> None:
    gate = threading.Event()
    server.replies(held("One moment", ".", gate), any_wire.text("Second."))
    screen = chat()
    screen.enter("First")
    screen.wait_for("One moment")
    screen.press("typed ahead\n")
    gate.set()

    screen.wait_for("Second.")
    assert asked(server)[-1] == ("user", "typed ahead")
    assert screen.written.count(b"typed ahead") == 1


def test_ask_streams_on_a_terminal(server: FakeServer, at_server: list[str]) -> None:
    """Text, as it comes; an escape of the model's does nothing to the terminal."""
    gate = threading.Event()
    server.replies(held("Some **words**", "\x1b[2J and the end.", gate))
    with Screen(["ask", *at_server, "Hi"], os.environ) as screen:
        screen.wait_for("Some **words")
        gate.set()
        assert screen.ended() == 0

    assert "Some **words**[2J and the end." in screen.lines


def test_json_on_a_terminal_obeys_no_escape_either(server: FakeServer, at_server: list[str]) -> None:
    """JSON escapes \\x1b, but not \\x9b, which means the same to a terminal."""
    server.replies(any_wire.text("red: \x9b31m"))
    with Screen(["ask", *at_server, "Hi", "--json"], os.environ) as screen:
        assert screen.ended() == 0

    assert "red: 31m" in "".join(screen.lines)
    assert "\x9b".encode() not in screen.written


def test_ctrl_c_in_ask_ends_it_with_130(server: FakeServer, at_server: list[str]) -> None:
    server.replies(any_wire.unfinished("Once upon", ending="hang"))
    with Screen(["ask", *at_server, "Hi"], os.environ) as screen:
        screen.wait_for("Once upon")

        screen.press(CTRL_C)

        assert screen.ended() == 130
        server.wait_for(lambda s: s.disconnects == 1, 20)
        assert not any("Traceback" in line for line in screen.lines)
