"""The gateway as a program of its own: started, asked, and ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import any_wire
from tests.fakes.server import FakeServer
from tests.real.processes import free_url

from .asking import RIGHT, get, post

SECONDS = 30.0
PROGRAMS = {"abstractcore serve": ("abstractcore", "serve"), "the module alone": ("abstractcore.serve",)}


def _run(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _wait_for(url: str, program: subprocess.Popen[bytes]) -> None:
    """Poll: a program that starts has no event for us."""
    deadline = time.monotonic() + SECONDS
    while program.poll() is None and time.monotonic() < deadline:
        try:
            get(url + "/health")
        except OSError:
            time.sleep(0.05)
        else:
            return
    program.kill()
    raise AssertionError(program.communicate()[0])


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_it_serves_until_ctrl_c(program: tuple[str, ...], server: FakeServer) -> None:
    server.replies(any_wire.text("Hello."))
    url = free_url()
    running = _run(
        *program, "fast=openai-compatible/m", "--port", url.rpartition(":")[2],
        OPENAI_COMPATIBLE_BASE_URL=server.url + "/v1", ABSTRACTCORE_SERVE_KEYS="one-good-key, other-good-key",
    )  # fmt: skip
    try:
        _wait_for(url, running)
        body: Any = {"model": "fast", **RIGHT["messages"]}
        answers = [
            post(f"{url}/v1/messages", body, x_api_key=key)
            for key in ("other-good-key", "one-good-key", "a-bad-key")
        ]
        running.send_signal(signal.SIGINT)
        output = running.communicate(timeout=SECONDS)[0].decode()
    finally:
        running.kill()
        running.wait()

    assert [status for status, _ in answers] == [200, 200, 401]
    assert answers[0][1]["content"] == [{"type": "text", "text": "Hello."}]
    assert running.returncode == 0, output
    assert "good-key" not in output
    assert "Traceback" not in output


def test_the_keys_of_a_file_are_those_that_open(tmp_path: Path, server: FakeServer) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# whose they are\nkey-of-alice\n\nkey-of-bob\n")
    url = free_url()
    running = _run(
        "abstractcore", "serve", "openai-compatible/m", "--port", url.rpartition(":")[2],
        "--keys-file", str(keys), OPENAI_COMPATIBLE_BASE_URL=server.url + "/v1",
    )  # fmt: skip
    try:
        _wait_for(url, running)
        statuses = [
            get(f"{url}/v1/models", x_api_key=key)[0]
            for key in ("key-of-alice", "key-of-bob", "# whose they are", "other-key")
        ]
        listed = json.loads(get(f"{url}/v1/models", x_api_key="key-of-bob")[1])
    finally:
        running.kill()
        running.communicate()

    assert statuses == [200, 200, 401, 401]
    assert [model["id"] for model in listed["data"]] == ["openai-compatible/m"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("openai/gpt-5-mini",), "OPENAI_API_KEY"),
        (("fast=ollama:a", "fast=ollama:b"), "two models are called fast"),
        (("ollama:a", "--host", "0.0.0.0"), "there are no keys"),
        (("ollama:a", "--keys-file", "no-such-file"), "no-such-file cannot be read"),
        (("ollama:a", "--keys-file", os.devnull), "holds no key"),
        (("openvino:/no/such/model",), "there is no model at /no/such/model"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(arguments: tuple[str, ...], told: str) -> None:
    from typer.testing import CliRunner

    from abstractcore.cli.app import app

    done = CliRunner().invoke(app, ["serve", *arguments])

    assert done.exit_code != 0
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_the_commands_own_failure() -> None:
    """Its code is that of the configuration, and no key's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        running = _run("abstractcore", "serve", "ollama:a", "--port", port)
        output = running.communicate(timeout=SECONDS)[0].decode()

    assert running.returncode == 2, output
    assert f"error: 127.0.0.1:{port} cannot be listened at" in output
    assert "Traceback" not in output
