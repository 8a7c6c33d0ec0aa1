"""F4: a reader who takes their time holds the workers of a streamed Parallel back; leaving lets them go."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import tool
from tests.agents.conftest import House
from tests.fakes.any_wire import call, text
from tests.fakes.server import FakeServer
from tests.fakes.wires import sent

PIECES = 200
MOST_AHEAD = 20  # two batches, what is on its way, and the call itself


class Source:
    """A tool that gives many pieces, and counts those that it gave."""

    def __init__(self) -> None:
        self.given = 0
        self.ended = threading.Event()
        self.tool: Any = tool(name="pour")(self._pour)

    def _pour(self) -> Iterator[str]:
        """Pour."""
        try:
            for number in range(PIECES):
                self.given += 1
                yield f"{number};"
        finally:
            self.ended.set()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def parallel(house: House, server: FakeServer, source: Source) -> Any:
    """A worker that pours, and one that answers."""

    def reply(request: Any) -> Any:
        asked = sent(request)
        return text("done") if asked.system == "b" or asked.kinds[-1] == "result" else call("pour")

    server.route = reply
    client = house.client(server.llm())
    return house.Parallel([house.Agent(client, "a", tools=[source.tool]), house.Agent(client, "b")])


def test_f4_a_slow_reader_holds_the_workers_back(house: House, parallel: Any, source: Source):
    iterator = house.surface.iterate(house.surface.run(lambda: parallel.run("t", stream=True)))
    chunks = [house.surface.step(iterator)]

    assert not source.ended.wait(0.5)  # it would have poured all by now
    assert 1 < source.given <= MOST_AHEAD

    while (chunk := house.surface.step(iterator)) is not None:
        chunks.append(chunk)
        assert source.given <= len(chunks) + MOST_AHEAD
    poured = [c.content for c in chunks if c.agent == "worker_1" and c.content.endswith(";")]
    assert poured[:PIECES] == [f"{number};" for number in range(PIECES)]
    assert chunks[-1].phase == "done"


def test_f4_leaving_lets_go_of_workers_that_are_held_back(house: House, parallel: Any, source: Source):
    before = threading.active_count()
    stream = house.surface.run(lambda: parallel.run("t", stream=True))
    iterator = house.surface.iterate(stream)
    house.surface.step(iterator)
    assert not source.ended.wait(0.3)

    house.surface.close(stream)

    assert source.ended.wait(1.0)
    assert source.given <= MOST_AHEAD
    assert threading.active_count() <= before + 1
    assert [worker.messages for worker in parallel.workers if worker.tools] == [[]]


def test_f4_who_is_not_streamed_is_held_back_by_nobody(house: House, parallel: Any, source: Source):
    assert house.run(parallel, "t").startswith("done")
    assert source.given == PIECES


LEFT_OPEN = """
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
import abstractcore
server = FakeServer()
server.replies(text("word " * 5000, piece=5))
parallel = abstractcore.Parallel.from_client(abstractcore.client(server.llm()), ["a", "b"])
stream = parallel.run("t", stream=True)
print(next(stream).content)
"""


def test_a_program_that_leaves_a_stream_of_workers_open_ends_at_once():
    """FAULTS 1.8: no hang and no noise; the workers are held back, and nobody reads any more."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LEFT_OPEN],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "word \n", "")
