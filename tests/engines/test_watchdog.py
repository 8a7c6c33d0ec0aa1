"""The watchdog of a worker: what hangs is ended, and what works is left alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from abstractcore.engines import watchdog
from abstractcore.engines.watchdog import Watchdog, cpu_time

from .waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look into")
WORKS = "while True: pass"
SLEEPS = "import signal; signal.pause()"
Start = Callable[[str, float], tuple["subprocess.Popen[bytes]", Watchdog]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a program that is watched, with half a second for one that does nothing."""
    monkeypatch.setattr(watchdog, "_IDLE_SECONDS", 0.5)
    started: list[tuple[subprocess.Popen[bytes], Watchdog]] = []

    def start(code: str, seconds: float) -> tuple[subprocess.Popen[bytes], Watchdog]:
        program = [sys.executable, "-c", f"print(flush=True)\n{code}"]
        worker = subprocess.Popen(program, stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        started.append((worker, Watchdog(worker, seconds)))
        return started[-1]

    yield start
    for worker, watching in started:
        watching.stop()
        worker.kill()
        worker.communicate()


def used(worker: subprocess.Popen[bytes]) -> float:
    """Give the seconds of the CPU that a process has used."""
    return sum(map(int, (cpu_time(worker.pid) or "").split())) / os.sysconf("SC_CLK_TCK")


def test_one_that_waits_for_a_question_is_left_alone(start: Start) -> None:
    quiet, answered = start(SLEEPS, 0.5), start(SLEEPS, 0.5)
    answered[1].ask()
    answered[1].hear()
    asked = start(SLEEPS, 0.5)
    asked[1].ask()

    assert asked[0].wait(10) == -signal.SIGKILL
    assert asked[1].silence >= 0.5
    assert (quiet[0].poll(), answered[0].poll()) == (None, None)
    assert (quiet[1].silence, answered[1].silence) == (0, 0)


def test_a_long_step_is_no_hang(start: Start) -> None:
    """It uses the CPU, and goes on until it has had all the time that its caller gives it."""
    worker, watching = start(WORKS, 10**6)
    watching.ask()
    before = used(worker)
    wait_until(lambda: used(worker) - before > 1.5, 20)
    assert worker.poll() is None
    worker.send_signal(signal.SIGSTOP)

    assert worker.wait(10) == -signal.SIGKILL
    assert watching.silence > 0.5


def test_a_step_without_end_is_ended(start: Start) -> None:
    worker, watching = start(WORKS, 1.0)
    watching.ask()

    assert worker.wait(10) == -signal.SIGKILL
    assert watching.silence >= 1


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps")
def test_a_system_without_proc_asks_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(watchdog, "Path", lambda _: tmp_path / "missing")

    assert ":" in (cpu_time(os.getpid()) or "")


def test_where_nothing_tells_the_cpu_only_the_callers_time_counts(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "cpu_time", lambda _: None)
    worker, watching = start(SLEEPS, 1.5)
    watching.ask()

    assert worker.wait(10) == -signal.SIGKILL
    assert watching.silence >= 1.5
