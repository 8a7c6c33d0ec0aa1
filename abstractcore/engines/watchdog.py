"""Ends a worker that has stopped: something was asked of it, and nothing comes.

From outside a long step looks like a hang, but for the time of the CPU that it uses: a worker that
uses none is given a minute, one that computes as long as its caller allows. A beat of the worker's own
would tell less: a step may hold Python's lock for its whole length, and a thread that beats outlives
others that wait for ever.
"""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

_IDLE_SECONDS = 60.0
_LOOKS = 6


class Watchdog:
    """Watches one worker. What is asked of it goes between `ask` and `hear`.

    It is killed after *seconds* without a word, or after a minute of them without any use of the CPU
    where the system tells that.
    """

    def __init__(self, worker: subprocess.Popen[bytes], seconds: float) -> None:
        self.silence = 0.0
        """How long the worker had been silent when it was killed; 0 while it was not."""
        self._worker = worker
        self._most = seconds
        self._most_idle = min(seconds, _IDLE_SECONDS)
        self._asked = 0
        self._heard = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="abstractcore watchdog", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Note that something is asked of the worker."""
        self._asked += 1

    def hear(self) -> None:
        """Note that it has answered."""
        self._heard = self._asked

    def stop(self) -> None:
        """Watch no longer."""
        self._is_over.set()

    def _watch(self) -> None:
        # Looks are counted, and no clock is read: while this process stands still too, nobody is silent.
        wait = self._most_idle / _LOOKS
        question, silence, idle, used = 0, 0.0, 0.0, None
        while not self._is_over.wait(wait):
            if self._asked != question or self._heard == question:
                question, silence, idle, used = self._asked, 0.0, 0.0, None
                continue
            before, used = used, cpu_time(self._worker.pid)
            silence += wait
            idle = idle + wait if before is not None and used == before else 0.0
            if silence >= self._most or idle >= self._most_idle:
                self.silence = silence
                return self._worker.kill()


def cpu_time(pid: int) -> str | None:
    """Give what a process has used of the CPU so far, in any words; None where the system does not tell."""
    try:
        return " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    except OSError:
        pass
    try:
        told = subprocess.run(
            ["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None
