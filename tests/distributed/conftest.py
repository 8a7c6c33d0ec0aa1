"""A program in a process of its own, before a fake server; what it found comes back."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.docs.conftest import TINY_MODEL
from tests.docs.pages import ROOT
from tests.fakes.any_wire import error, text
from tests.fakes.replies import Pause, Reply, WaitFor
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.real.processes import absent

Run = Callable[[str], dict[str, Any]]


class Together:
    """Holds an answer back until all three of them have been asked."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._all = threading.Event()

    def __call__(self, request: Recorded) -> Reply:
        said = request.messages[-1].content
        if said == "refuse me":
            return error(400, "not that one")
        if said == "answer me late":
            return text("late").after(Pause(0.5))
        if said.startswith("together"):
            self._asked.add(said)
            if len(self._asked) == 3:
                self._all.set()
            return text(f"echo {said}").after(WaitFor(self._all))
        return text(f"echo {said}")


@pytest.fixture
def run_program(server: FakeServer) -> Run:
    """Run one of tests/distributed/programs.py."""
    server.route = Together()

    def run(name: str) -> dict[str, Any]:
        needed = "ray" if name.startswith("ray") else "distributed"
        if importlib.util.find_spec(needed) is None:
            absent(f"{needed} is not installed: `make test` does that")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
        done = subprocess.run(
            [sys.executable, "-m", "tests.distributed.programs", name, server.url, str(TINY_MODEL)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=170,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
        line = next(line for line in done.stdout.splitlines() if line.startswith("found "))
        found: dict[str, Any] = json.loads(line.removeprefix("found "))
        return found

    return run
