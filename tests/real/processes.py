"""Servers that we did not write, run on loopback for the tests: started, awaited, killed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.fakes.network import refused_port

SECONDS_TO_START = 60
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_url() -> str:
    """An address on loopback that nobody listens on."""
    return f"http://127.0.0.1:{refused_port()}"


def fetch(url: str, body: Any = None) -> bytes:
    """GET, or POST *body* as JSON, through no proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with _DIRECT.open(request, timeout=10) as answer:
        read: bytes = answer.read()
    return read


@contextlib.contextmanager
def running(
    command: Sequence[str],
    ready: str,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cannot_run: Sequence[str] = (),
    seconds: float = SECONDS_TO_START,
) -> Iterator[None]:
    """Run *command* for as long as the block, once *ready* answers.

    A server that ends at once skips the test when its *log* holds one of the words *cannot_run*, and
    fails it otherwise.
    """
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_answers(ready, server, log, cannot_run, seconds)
        yield
    finally:
        server.kill()
        server.wait(10)


def _wait_until_it_answers(
    ready: str, server: subprocess.Popen[bytes], log: Path, cannot_run: Sequence[str], seconds: float
) -> None:
    """Poll: a process that starts has no event for us."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            _give_up(log, cannot_run)
        try:
            fetch(ready)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{ready} does not answer within {seconds} s:\n{_end_of(log)}")


def _give_up(log: Path, cannot_run: Sequence[str]) -> None:
    words = _end_of(log)
    if any(word in words for word in cannot_run):
        pytest.skip(f"the server cannot run here: {words.strip().splitlines()[-1]}")
    raise AssertionError(f"the server ended:\n{words}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


def absent(reason: str) -> NoReturn:
    """Skip for what is not installed; in CI, where it must run, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI runs this for real)")
    pytest.skip(reason)
