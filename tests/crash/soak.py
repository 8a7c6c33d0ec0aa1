"""A soak: mixed calls for a while, a tenth of them met by a fault; memory, files and sockets stay flat.

`python -m tests.crash.soak SECONDS` tells how it went; `make soak` lets it go on for ten minutes.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from tests.fakes import any_wire, faults
from tests.fakes.replies import Reply
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import sent

FAULTY = 0.1
FAULTS: tuple[Reply, ...] = (
    any_wire.error(503),
    any_wire.error(429, headers={"Retry-After": "0"}),
    any_wire.error(400),
    faults.closes(),
    faults.resets(),
    faults.html(),
    faults.deep_json(2_000),
    faults.gzipped(any_wire.text("x"), fault="garbage"),
    any_wire.text("a broken answer").cut(0.6),
    any_wire.text("a broken answer").cut(0.6, ending="reset"),
    any_wire.text("a silent answer").cut(0.3, ending="hang"),
    any_wire.failing("Half of it", type="overloaded_error"),
    any_wire.garbled("Half of it", "{not json}"),
)
ANSWER = any_wire.text("The answer, in a few pieces, some of them later.", piece=8)
#: What may be left in memory that is no leak: caches that fill late, and pieces that the allocator keeps.
BYTES_A_CALL = 20
BYTES_AT_ALL = 100_000
RESIDENT_BYTES = 12_000_000


@dataclass(frozen=True)
class Soaked:
    """What was left after each round, and at the end."""

    rounds: list[dict[str, Any]]
    said: str
    code: int
    open_sockets: int

    @property
    def settled(self) -> list[dict[str, Any]]:
        """The rounds after the first third, in which caches fill."""
        return self.rounds[len(self.rounds) // 3 :]

    def grown(self, name: str) -> int:
        """How much higher the last rounds stand than the first of those that have settled."""
        values = [each[name] for each in self.settled]
        third = max(1, len(values) // 3)
        return int(statistics.median(values[-third:]) - statistics.median(values[:third]))


def check(soaked: Soaked) -> None:
    """AssertionError that says what was not flat."""
    assert (soaked.code, soaked.said) == (0, ""), soaked.said
    assert len(soaked.settled) >= 4, "too few rounds to judge"
    allowed = max(BYTES_AT_ALL, BYTES_A_CALL * soaked.grown("calls"))
    assert soaked.grown("traced") < allowed, f"{soaked.grown('traced'):,} bytes more are held"
    assert soaked.grown("resident") < RESIDENT_BYTES, f"{soaked.grown('resident'):,} bytes more in memory"
    assert soaked.grown("files") <= 4, f"{soaked.grown('files')} files more are open"
    assert soaked.grown("threads") == 0, f"{soaked.grown('threads')} threads more run"
    assert soaked.open_sockets == 0, f"{soaked.open_sockets} sockets are open at the server"
    last = soaked.rounds[-1]
    good = ("whole", "stream", "left", "session", "tools")
    share = sum(last["ended"].get(name, 0) for name in good) / last["calls"]
    assert 0.5 < share < 0.95, f"{share:.0%} of the calls went well: {last['ended']}"


class Misbehaving:
    """Answers well nine times of ten."""

    def __init__(self, seed: int) -> None:
        self.drawn = random.Random(seed)

    def __call__(self, request: Recorded) -> Reply:
        if self.drawn.random() < FAULTY:
            return self.drawn.choice(FAULTS)
        asked = sent(request)
        if asked.tools and asked.items[-1].kind != "result":
            return any_wire.call("look_up", word="word")
        return ANSWER


def soak(server: FakeServer, seconds: float, seed: int) -> Soaked:
    """Let a process of its own ask *server* for so long."""
    server.route = Misbehaving(seed)
    command = [sys.executable, "-W", "error", "-m", "tests.crash.soaking"]
    command += [server.url, str(seconds), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said: list[str] = []
        assert process.stdout
        assert process.stderr
        listening = threading.Thread(target=lambda stderr: said.append(stderr.read()), args=(process.stderr,))
        listening.start()
        rounds: list[dict[str, Any]] = []
        for line in process.stdout:
            rounds.append(json.loads(line))
            server.requests.clear()  # the fake remembers them all; nothing of it is the client's
        listening.join()
    server.wait_for(lambda s: s.open_sockets == 0, 5.0)
    return Soaked(rounds, "".join(said), process.returncode, server.open_sockets)


def main(seconds: float, seed: int) -> None:
    with FakeServer() as server:
        soaked = soak(server, seconds, seed)
    for each in soaked.rounds[:: max(1, len(soaked.rounds) // 20)]:
        print(
            f"{each['calls']:8,} calls  {each['traced'] / 1e6:7.2f} MB traced  "
            f"{each['resident'] / 1e6:7.1f} MB resident  {each['files']:3} files"
        )
    print(soaked.said)
    print(f"ended: {soaked.rounds[-1]['ended']}")
    print(f"{soaked.grown('traced'):,} bytes more are held after {soaked.grown('calls'):,} calls more")
    check(soaked)


if __name__ == "__main__":
    main(float(sys.argv[1]), random.SystemRandom().randrange(1 << 30))
