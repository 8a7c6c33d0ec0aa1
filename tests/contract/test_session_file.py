"""CONTRACT C5: a session on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, SessionError
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire


def filled(llm: Any = None) -> BasicSession:
    session = BasicSession(llm, "You are kind. 日本語", temperature=0.5, seed=7)
    session.add_message("user", "Weather? \x00 🙂", source="phone")
    session.messages.append(
        {
            "role": "assistant",
            "content": "",
            "reasoning": "Look it up.",
            "tool_calls": [{"id": "call_0", "name": "get_weather", "arguments": {"city": "Zürich"}}],
            "provider_data": {"openai_chat": {"reasoning_details": [{"type": "x", "data": "s1"}]}},
        }
    )
    session.messages.append({"role": "tool", "content": "sunny", "tool_call_id": "call_0"})
    session.add_message("assistant", "Sunny.")
    return session


# ---- C5 --------------------------------------------------------------------------------------


def test_c5_a_session_comes_back_as_it_was(surface: Surface, server: FakeServer, wire: Wire, tmp_path: Path):
    server.replies(text("Hi."))
    saved = filled(wire.llm(server, api_key="sk-secret"))

    saved.save(tmp_path / "chat.json")
    loaded = BasicSession.load(tmp_path / "chat.json", provider=wire.llm(server))

    assert loaded.messages == saved.messages
    assert (loaded.system_prompt, loaded.temperature, loaded.seed) == ("You are kind. 日本語", 0.5, 7)
    surface.generate(loaded, "again")
    asked = wire.sent(server.requests[0])
    assert [kind for kind in asked.kinds if kind != "reasoning"] == [
        "user", "call", "result", "assistant", "user",
    ]  # fmt: skip
    assert asked.system == "You are kind. 日本語"


def test_c5_the_file_is_versioned_utf8_json_for_its_owner_alone(server: FakeServer, tmp_path: Path):
    path = tmp_path / "chat.json"
    filled(server.llm(api_key="sk-secret")).save(str(path))

    data = path.read_bytes()
    assert json.loads(data.decode("utf-8"))["version"] == 1
    assert b"sk-secret" not in data
    assert server.url.encode() not in data
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat.json"]


def test_c5_a_lone_surrogate_is_kept(tmp_path: Path):
    session = BasicSession()
    session.messages.append({"role": "user", "content": "cut \ud83d"})

    session.save(tmp_path / "chat.json")

    assert BasicSession.load(tmp_path / "chat.json").messages == session.messages


_SAVES_FOR_EVER = """
import sys
from abstractcore import BasicSession
session = BasicSession()
session.add_message("user", "x" * 200_000)
print("ready", flush=True)
while True:
    session.save(sys.argv[1])
"""


def test_c5_a_kill_leaves_the_old_or_the_new_file(tmp_path: Path):
    path = tmp_path / "chat.json"
    filled().save(path)
    for delay in (0.0, 0.003, 0.007):
        child = subprocess.Popen(
            [sys.executable, "-c", _SAVES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            threading.Event().wait(delay)
            child.kill()
        assert len(BasicSession.load(path).messages) in (1, 4)


def test_c5_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "chat.json"
    session = filled()
    session.save(path)
    before = path.read_bytes()
    session.messages[0]["metadata"] = {"when": object()}

    with pytest.raises(SessionError, match="the file is unchanged"):
        session.save(path)

    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat.json"]


def test_c5_a_directory_that_cannot_be_written_is_a_session_error(tmp_path: Path):
    with pytest.raises(SessionError, match=r"missing/chat\.json cannot be saved: No such file"):
        filled().save(tmp_path / "missing" / "chat.json")


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "cut": b'{"format": "abstractcore.session", "version": 1, "messages": [{"role": "us',
    "another format": b'{"format": "other", "version": 1, "messages": []}',
    "a future version": b'{"format": "abstractcore.session", "version": 99, "messages": []}',
    "no messages": b'{"format": "abstractcore.session", "version": 1}',
    "messages of another kind": b'{"format": "abstractcore.session", "version": 1, "messages": {}}',
    "a message of text": b'{"format": "abstractcore.session", "version": 1, "messages": ["hi"]}',
    "an unknown role": b'{"format": "abstractcore.session", "version": 1, "messages": '
    b'[{"role": "x", "content": ""}]}',
    "no content": b'{"format": "abstractcore.session", "version": 1, "messages": [{"role": "user"}]}',
    "tool calls of text": b'{"format": "abstractcore.session", "version": 1, "messages": '
    b'[{"role": "assistant", "content": "", "tool_calls": "x"}]}',
    "deep": b"[" * 100_000,
    "a huge number": b'{"version": ' + b"9" * 6000 + b"}",
}


@pytest.mark.parametrize("name", list(DAMAGED))
def test_c5_a_damaged_file_names_path_and_reason(name: str, tmp_path: Path):
    path = tmp_path / "chat.json"
    path.write_bytes(DAMAGED[name])

    with pytest.raises(SessionError, match=r"chat\.json cannot be loaded: \w+") as raised:
        BasicSession.load(path)

    assert isinstance(raised.value, ValueError)
    assert path.read_bytes() == DAMAGED[name]


def test_c5_a_missing_file_names_path_and_reason(tmp_path: Path):
    with pytest.raises(SessionError, match=r"none\.json cannot be loaded: No such file"):
        BasicSession.load(tmp_path / "none.json")


def test_c5_nothing_in_a_file_is_ever_executed(tmp_path: Path):
    """Marks of other formats are words like any others."""
    path, mark = tmp_path / "chat.json", tmp_path / "executed"
    hostile = {
        "py/object": "os.system",
        "__class__": "subprocess.Popen",
        "lc": 1,
        "type": "constructor",
        "args": [f"touch {mark}"],
        "!!python/object/apply:os.system": [f"touch {mark}"],
    }
    message = {"role": "user", "content": f"$(touch {mark})", "metadata": hostile}
    path.write_text(
        json.dumps(
            {"format": "abstractcore.session", "version": 1, "messages": [message], "tools": ["os.system"]}
        )
    )
    modules = set(sys.modules)

    loaded = BasicSession.load(path)

    assert loaded.messages[0].get("metadata") == hostile
    assert loaded.tools == []
    assert not mark.exists()
    assert set(sys.modules) == modules


def test_c5_saves_at_the_same_time_leave_a_whole_file(tmp_path: Path):
    path = tmp_path / "chat.json"
    sessions = [BasicSession(system_prompt=str(number) * 5000) for number in range(4)]

    threads = [threading.Thread(target=lambda s=s: [s.save(path) for _ in range(20)]) for s in sessions]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert len(BasicSession.load(path).system_prompt or "") == 5000
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["chat.json"]
