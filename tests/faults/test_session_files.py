"""FAULTS 1.9: a session's file is old or new, whole, its owner's alone, and data."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, SessionError
from tests.fakes import openai_chat
from tests.fakes.server import FakeServer

KEY = "sk-planted-0123456789abcdef"
ODD = "\x00 \ud800 \udfff 🌍 \u2028 \x1b[31m \x7f \ufeff"


def session_of(*texts: str) -> BasicSession:
    session = BasicSession(system_prompt="Be brief.", temperature=0.5, seed=7)
    for text in texts:
        session.messages.append({"role": "user", "content": text})
    return session


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Path]:
    """A file that a session was saved to; at the end nothing but files of that kind lies beside it."""
    path = tmp_path / "session.json"
    session_of("old").save(path)
    yield path
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".tmp")] == []


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    before = path.read_bytes(), path.stat().st_ino
    yield
    assert (path.read_bytes(), path.stat().st_ino) == before


def child(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


# ---- whole or not at all ----------------------------------------------------------------------


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_a_disk_that_refuses_leaves_the_old_file(
    code: int, call: str, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.9: disk full: SessionError; old file byte-identical; temp file removed."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    with unchanged(saved), monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(SessionError, match=os.strerror(code)) as caught:
            session_of("new").save(saved)
    assert str(saved) in str(caught.value)


def test_a_file_over_the_limit_leaves_the_old_file(saved: Path) -> None:
    """1.9: EFBIG, from the system itself."""
    pytest.importorskip("resource")
    with unchanged(saved):
        said = child(
            """
            import resource, sys
            from abstractcore import BasicSession, SessionError

            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            session = BasicSession()
            session.add_message("user", "x" * 100_000)
            try:
                session.save(sys.argv[1])
            except SessionError as failure:
                print("refused")
            """,
            str(saved),
        )
    assert said == "refused\n"


def circle() -> Any:
    inside: dict[str, Any] = {}
    inside["again"] = inside
    return inside


def deep(levels: int = 100_000) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


UNSERIALISABLE: dict[str, Any] = {
    "object": object(),
    "bytes": b"x",
    "set": {1},
    "NaN": float("nan"),
    "infinity": float("inf"),
    "circle": circle(),
    "deep": deep(),
    "a long integer": 10**6000,
    "function": child,
}


@pytest.mark.parametrize("name", UNSERIALISABLE)
def test_what_json_cannot_hold_leaves_the_old_file(name: str, saved: Path) -> None:
    """1.9: unserialisable metadata: SessionError, which does not show the value."""
    session = session_of("new")
    session.messages[0]["metadata"] = {"value": UNSERIALISABLE[name]}

    with unchanged(saved), pytest.raises(SessionError) as caught:
        session.save(saved)
    assert len(str(caught.value)) < 300


BROKEN_MESSAGES: dict[str, Any] = {
    "no content": {"role": "user"},
    "no role": {"content": "x"},
    "unknown role": {"role": "wizard", "content": "x"},
    "not an object": "hello",
    "unknown part": {"role": "user", "content": [{"type": "spell"}]},
}


@pytest.mark.parametrize("name", BROKEN_MESSAGES)
def test_what_could_not_be_loaded_is_not_saved(name: str, saved: Path) -> None:
    """1.9: a file that `load` refuses would be a lost session."""
    session = session_of("new")
    session.messages.append(BROKEN_MESSAGES[name])

    with unchanged(saved), pytest.raises(SessionError, match=r"messages\[1\]"):
        session.save(saved)


def test_messages_in_the_words_of_chat_completions_can_be_saved(saved: Path) -> None:
    """1.9, C2: what a turn would send, a file holds."""
    session = session_of("new")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    session.messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "developer", "content": "x"},
    ]
    session.save(saved)

    assert BasicSession.load(saved).messages == session.messages


def test_writers_at_the_same_time_leave_a_whole_file(saved: Path) -> None:
    """1.9: last writer wins, every read is whole."""
    texts = [str(number) * 50_000 for number in range(6)]
    session_of(texts[0]).save(saved)
    writing = [
        threading.Thread(target=lambda text=text: [session_of(text).save(saved) for _ in range(8)])
        for text in texts
    ]
    for thread in writing:
        thread.start()
    reads = 0
    while any(thread.is_alive() for thread in writing) or not reads:
        (message,) = BasicSession.load(saved).messages
        assert message["content"] in texts
        reads += 1
    for thread in writing:
        thread.join()
    session_of("last").save(saved)
    assert BasicSession.load(saved).messages[0]["content"] == "last"


# ---- where it is written ----------------------------------------------------------------------


def test_only_the_owner_may_read_it(saved: Path) -> None:
    """1.9: mode 0600, whatever the umask and the old file say."""
    os.chmod(saved, 0o644)
    before = os.umask(0)
    try:
        session_of("new").save(saved)
    finally:
        os.umask(before)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path, saved: Path) -> None:
    """1.9: save and load take the caller's path as it is."""
    link = tmp_path / "link.json"
    link.symlink_to(saved)

    session_of("new").save(link)

    assert link.is_symlink()
    assert BasicSession.load(saved).messages[0]["content"] == "new"


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    """1.9."""
    path = tmp_path / ("n" * 255)
    session_of("new").save(path)
    assert len(BasicSession.load(str(path)).messages) == 1


@pytest.mark.parametrize("name", ["folder", "missing/session.json", "fifo", "\x00", "loop"])
def test_a_place_that_is_no_file_is_a_session_error(name: str, tmp_path: Path) -> None:
    """1.9: what is not a file is not replaced."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    path = tmp_path / name

    with pytest.raises(SessionError):
        session_of("new").save(path)
    if name != "fifo":
        with pytest.raises(SessionError):
            BasicSession.load(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["fifo", "folder", "loop"]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


# ---- what it holds ----------------------------------------------------------------------------


def test_odd_characters_come_back_as_they_were(saved: Path) -> None:
    """1.9: lone surrogate / NUL in history: saved losslessly."""
    session = session_of(ODD)
    session.system_prompt = ODD
    session.messages[0]["metadata"] = {ODD: [ODD]}
    session.save(saved)

    loaded = BasicSession.load(saved)

    assert loaded.messages == session.messages
    assert loaded.system_prompt == ODD
    assert (loaded.temperature, loaded.seed) == (0.5, 7)


def test_no_key_and_no_address_is_in_it(server: FakeServer, tmp_path: Path) -> None:
    """1.9: no key, no headers, no base_url."""
    server.replies(openai_chat.text("fine"))
    llm = server.llm(api_key=KEY, headers={"X-Planted": "planted-header"})
    session = BasicSession(llm)
    session.generate("hi")
    session.save(tmp_path / "session.json")

    held = (tmp_path / "session.json").read_text()

    assert "fine" in held
    for planted in (KEY, "planted-header", "127.0.0.1", str(server.port), "base_url", "headers"):
        assert planted not in held


def wrapped(**changed: Any) -> bytes:
    body = {"format": "abstractcore.session", "version": 1, "messages": [], **changed}
    return json.dumps(body).encode()


def one(message: Any) -> bytes:
    return wrapped(messages=[message])


CORRUPT: dict[str, bytes] = {
    "empty": b"",
    "spaces": b"  \n",
    "NULs": b"\0" * 512,
    "not JSON": b"hello",
    "cut off": one({"role": "user", "content": "hello"})[:-5],
    "two documents": wrapped() + wrapped(),
    "not UTF-8": b'{"format": "\xff\xfe"}',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"abstractcore.session"',
    "a number": b"1",
    "another object": b"{}",
    "another format": wrapped(format="other"),
    "100 000 deep": b"[" * 100_000,
    "100 000 deep inside": one({"role": "user", "content": "x"}).replace(
        b'"x"', b"[" * 100_000 + b"]" * 100_000
    ),
    "a 6 000-digit integer": wrapped(seed=0).replace(b'"seed": 0', b'"seed": ' + b"9" * 6000),
    "NaN": wrapped(temperature=0).replace(b'"temperature": 0', b'"temperature": NaN'),
    "1e999": wrapped(temperature=0).replace(b'"temperature": 0', b'"temperature": 1e999'),
    "a negative temperature": wrapped(temperature=-1),
    "a text for a temperature": wrapped(temperature="hot"),
    "a seed of 100 bits": wrapped(seed=2**100),
    "a list for a system prompt": wrapped(system_prompt=[]),
    "no messages": json.dumps({"format": "abstractcore.session", "version": 1}).encode(),
    "messages in an object": wrapped(messages={}),
    "null messages": wrapped(messages=None),
    "a text for a message": one("hello"),
    "null for a message": one(None),
    "an unknown role": one({"role": "wizard", "content": "x"}),
    "a list for a role": one({"role": ["user"], "content": "x"}),
    "no content": one({"role": "user"}),
    "a number for content": one({"role": "user", "content": 1}),
    "an unknown part": one({"role": "user", "content": [{"type": "spell"}]}),
    "a number for a part": one({"role": "user", "content": [1]}),
    "a number for tool calls": one({"role": "assistant", "content": "", "tool_calls": 1}),
    "a number for a tool call": one({"role": "assistant", "content": "", "tool_calls": [1]}),
    "a tool call without a name": one({"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}),
    "a list for metadata": one({"role": "user", "content": "x", "metadata": []}),
    "a number for reasoning": one({"role": "assistant", "content": "x", "reasoning": 1}),
    "a local path for an image": one(
        {"role": "user", "content": [{"type": "image", "url": "file:///etc/passwd"}]}
    ),
    "pickle": pickle.dumps({"format": "abstractcore.session"}),
    "YAML": b"!!python/object/apply:os.system ['true']\n",
    "gzip": b"\x1f\x8b\x08\x00\x00",
}


@pytest.mark.parametrize("name", CORRUPT)
def test_a_damaged_file_is_a_session_error(name: str, tmp_path: Path) -> None:
    """1.9: SessionError (a ValueError) that names the path and a reason; never a silently empty session."""
    path = tmp_path / "session.json"
    path.write_bytes(CORRUPT[name])

    with pytest.raises(SessionError) as caught:
        BasicSession.load(path)

    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    assert len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize("version", [0, 2, 999, -1, "1", 1.0, True, None, [1]])
def test_another_version_is_refused(version: Any, tmp_path: Path) -> None:
    """1.9: unknown future version refused; its words say so when it is one."""
    path = tmp_path / "session.json"
    path.write_bytes(wrapped(version=version))

    with pytest.raises(SessionError, match="version") as caught:
        BasicSession.load(path)
    assert ("newer" in str(caught.value)) is (version in (2, 999))


HOSTILE: list[Any] = [
    {"lc": 1, "type": "constructor", "id": ["langchain", "llms", "OpenAI"], "kwargs": {"x": "y"}},
    {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]},
    {"py/object": "os.system", "py/reduce": [{"py/function": "os.system"}, ["true"]]},
    {"__class__": "subprocess.Popen", "__module__": "subprocess", "__reduce__": ["os.system", ["true"]]},
    {"$ref": "file:///etc/passwd", "$include": "/etc/passwd"},
    "!!python/object/apply:os.system ['true']",
    "{{ config.__class__.__init__.__globals__ }} ${OPENAI_API_KEY} %(key)s {0.__class__}",
    "http://127.0.0.1:1/fetch-me",
]


def test_nothing_in_a_file_is_executed_imported_or_fetched(tmp_path: Path) -> None:
    """1.9: hostile file: data only, as the interpreter's own audit hook sees it."""
    path = tmp_path / "session.json"
    names = {
        "lc": 1,
        "py/object": "os.system",
        "__class__": "x",
        "tools": ["os.system"],
        "provider": "openai",
    }
    messages = [
        {"role": "user", "content": json.dumps(value), "metadata": {"value": value}, **names}
        for value in HOSTILE
    ]
    path.write_bytes(wrapped(messages=messages, auto_compact=True, **names))
    said = child(
        """
        import json, os, sys
        from pathlib import Path
        from abstractcore import BasicSession
        from abstractcore.generation import history

        BasicSession.load(sys.argv[2])  # what loading itself imports is imported now
        seen, looked_up = [], []
        class Environment(dict):
            def __getitem__(self, name): looked_up.append(name); return super().__getitem__(name)
            def get(self, name, default=None): looked_up.append(name); return super().get(name, default)
        os.environ = Environment(os.environ)
        sys.addaudithook(lambda event, args: seen.append((event, str(args[:1]))))
        session = BasicSession.load(sys.argv[1])
        events = list(seen)
        assert session.tools == [] and session.provider is None and session.auto_compact is False
        assert session.messages == json.loads(Path(sys.argv[1]).read_text())["messages"]
        print(json.dumps([sorted({event for event, _ in events}), looked_up]))
        """,
        str(path),
        str(_harmless(tmp_path)),
    )
    events, looked_up = json.loads(said)
    assert looked_up == []
    assert set(events) <= {"open", "object.__getattr__", "sys._getframe", "os.stat"}


def _harmless(tmp_path: Path) -> Path:
    path = tmp_path / "harmless.json"
    session_of("harmless").save(path)
    return path
