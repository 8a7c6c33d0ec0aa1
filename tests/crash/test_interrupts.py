"""FAULTS 1.8: Ctrl-C at any moment of a blocking program. At chosen ones: faults/test_lifecycle.py."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.fakes import any_wire
from tests.fakes.server import FakeServer
from tests.fakes.wires import WIRES, sent

PROGRAM = """
import os, random, signal, sys
from abstractcore import BasicSession, create_llm

provider, url, interrupts, api = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
options = {"base_url": url, "api_key": "k", "timeout": 20, "max_connections": 1}
if api:
    options["api"] = api[0]
llm = create_llm(provider, "test-model", **options)
session, caught, number = BasicSession(llm), 0, 0
signal.signal(signal.SIGALRM, signal.default_int_handler)  # does what Ctrl-C does

def whole_turns():
    roles = [message["role"] for message in session.messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2), roles

while caught < interrupts:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.012), 0.5)
        while True:
            number += 1
            if number % 3:
                answer = session.generate(f"prompt {number}").content
            else:
                answer = "".join(chunk.content for chunk in session.generate(f"prompt {number}", stream=True))
            assert answer == f"prompt {number}", (answer, number)
            if len(session.messages) > 8:
                session.messages[:] = []
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        caught += 1
    whole_turns()
    assert llm.generate(f"after {caught}").content == f"after {caught}"
files = len(os.listdir("/dev/fd"))
llm.close()
print(files)
"""

#: What Python says itself: of a coroutine that was interrupted before its first step, and of a Ctrl-C
#: that came in a `__del__`, which it then drops.
NOISE = re.compile(
    r"(?s)\S+:\d+: RuntimeWarning: coroutine '[\w.]+' was never awaited\n.*?allocation traceback\n"
    r"|Exception ignored in: .*?\nKeyboardInterrupt: ?\n"
)


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no timer that interrupts")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("interrupts", [60, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WIRES)
def test_ctrl_c_at_any_moment_crosses_no_answers(name: str, interrupts: int, server: FakeServer) -> None:
    """1.8: the turn is whole or not there, the next answer is its own, and no socket is left."""
    server.route = lambda request: any_wire.text(sent(request).last)
    wire = WIRES[name]
    command = [sys.executable, "-c", PROGRAM, wire.provider, server.url + "/v1", str(interrupts)]
    command += list(wire.options.values())

    ended = subprocess.run(command, capture_output=True, text=True, timeout=110)

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 12
    assert NOISE.sub("", ended.stderr) == ""
    server.wait_for(lambda s: s.open_sockets == 0)
