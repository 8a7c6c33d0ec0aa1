"""FAULTS 1.9: what kills processes, fills disks and damages bytes; the rest: faults/test_session_files.py."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from abstractcore import BasicSession, SessionError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are the faults of a POSIX system")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def session_of(*texts: str) -> BasicSession:
    session = BasicSession(system_prompt="Be brief.", temperature=0.5, seed=7)
    for text in texts:
        session.add_message("user", text, source="a test")
        session.add_message("assistant", f"{text}?")
    return session


def child(code: str, *arguments: str, timeout: float = 50) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@needs_fork
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [25, pytest.param(200, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(kills: int, tmp_path: Path) -> None:
    """1.9: kill -9 at random moments of a loop of saves; the next process saves over what it finds."""
    said = child(
        """
        import os, random, signal, sys, time
        from abstractcore import BasicSession

        path, kills = sys.argv[1], int(sys.argv[2])
        session = BasicSession()
        seen = set()
        for number in range(kills):
            reading, writing = os.pipe()
            if (pid := os.fork()) == 0:
                for turn in range(10_000):
                    session.messages[:] = [{"role": "user", "content": str(turn % 2) * 300_000}]
                    session.save(path)
                    os.write(writing, b".")
            os.read(reading, 1)
            time.sleep(random.random() * 0.02)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reading), os.close(writing)
            (message,) = BasicSession.load(path).messages
            assert len(message["content"]) == 300_000 and len(set(message["content"])) == 1
            seen.add(message["content"][0])
        print(sorted(seen))
        """,
        str(tmp_path / "session.json"),
        str(kills),
        timeout=280,
    )
    assert said == "['0', '1']\n"
    left = [each.name for each in tmp_path.iterdir() if each.name != "session.json"]
    assert all(name.startswith(".") and name.endswith(".tmp") for name in left)


@needs_fork
@pytest.mark.parametrize("interrupts", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_ctrl_c_at_any_moment_leaves_a_whole_file_and_no_draft(interrupts: int, tmp_path: Path) -> None:
    """1.8, 1.9: a save that is interrupted has its draft removed, and its file closed."""
    said = child(
        """
        import os, random, signal, sys, threading, time
        from abstractcore import BasicSession

        path, interrupts = sys.argv[1], int(sys.argv[2])
        session, caught = BasicSession(), 0
        session.add_message("user", "x" * 100_000)
        session.save(path)
        files = len(os.listdir("/dev/fd"))
        while caught < interrupts:
            try:
                threading.Timer(random.random() * 0.004, os.kill, (os.getpid(), signal.SIGINT)).start()
                while True:
                    session.save(path)
            except KeyboardInterrupt:
                caught += 1
            assert len(BasicSession.load(path).messages) == 1
            assert os.listdir(os.path.dirname(path)) == ["session.json"], os.listdir(os.path.dirname(path))
        print(len(os.listdir("/dev/fd")) - files)
        """,
        str(tmp_path / "session.json"),
        str(interrupts),
    )
    assert int(said) == 0


@contextlib.contextmanager
def tiny_disk(folder: Path) -> Iterator[Path]:
    """A disk of 64 KB; only root may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    if not is_mounted:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """1.9: ENOSPC of a real file system: SessionError, the old file byte-identical, no draft left."""
    with tiny_disk(tmp_path / "disk") as disk:
        path = disk / "session.json"
        session_of("old").save(path)
        before = path.read_bytes()

        for size in (40_000, 70_000, 1_000_000):  # the first fits into the disk, but not beside the second
            with contextlib.suppress(SessionError):
                session_of("new", "x" * size).save(path)
                before = path.read_bytes()
            assert path.read_bytes() == before
        with pytest.raises(SessionError, match="No space left"):
            session_of("x" * 100_000).save(path)

        assert [each.name for each in disk.iterdir()] == ["session.json"]
        assert BasicSession.load(path).messages[0]["content"] in ("old", "new")


@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_a_device_is_not_replaced(device: str) -> None:
    """1.9: root may write there, and does not."""
    if not os.path.exists(device):
        pytest.skip(f"this system has no {device}")

    with pytest.raises(SessionError, match="not a regular file"):
        session_of("new").save(device)


def test_two_processes_that_save_leave_a_whole_file(tmp_path: Path) -> None:
    """1.9: the last writer wins, and every read in between is whole."""
    path = tmp_path / "session.json"
    session_of("0" * 100_000).save(path)
    code = """
        import sys
        from abstractcore import BasicSession

        session = BasicSession()
        session.add_message("user", sys.argv[2] * 100_000)
        for _ in range(60):
            session.save(sys.argv[1])
        """
    writing = [threading.Thread(target=child, args=(code, str(path), digit)) for digit in "12"]
    for thread in writing:
        thread.start()
    seen: set[str] = set()
    while any(thread.is_alive() for thread in writing):
        content = BasicSession.load(path).messages[0]["content"]
        assert len(content) == 100_000
        assert len(set(content)) == 1
        seen.add(content[0])
    for thread in writing:
        thread.join()

    assert seen - {"0"}
    assert BasicSession.load(path).messages[0]["content"][0] in "12"
    assert [each.name for each in tmp_path.iterdir()] == ["session.json"]


def test_a_file_that_was_cut_anywhere_is_a_session_error(tmp_path: Path) -> None:
    """1.9: damaged files of every kind: at each byte."""
    path = tmp_path / "session.json"
    session_of("one", "two \u2028 🌍").save(path)
    whole = path.read_bytes()

    for size in range(len(whole.rstrip())):
        path.write_bytes(whole[:size])
        with pytest.raises(SessionError):
            BasicSession.load(path)


def test_a_damaged_byte_is_a_session_error_or_another_text(tmp_path: Path) -> None:
    """1.9: damaged files of every kind: each byte in turn, by bits, to NUL, to what is no UTF-8."""
    path = tmp_path / "session.json"
    session = session_of("one", "two \u2028 🌍")
    session.save(path)
    whole = path.read_bytes()
    drawn = random.Random(1)
    refused = 0

    for place in range(len(whole)):
        for byte in (whole[place] ^ 1 << drawn.randrange(8), 0, 0xFF):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                loaded = BasicSession.load(path)
            except SessionError:
                refused += 1
            else:
                assert len(loaded.messages) == len(session.messages)
                assert {message["role"] for message in loaded.messages} <= {"user", "assistant", "system"}
    assert refused > 2 * len(whole)
