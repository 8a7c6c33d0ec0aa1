"""FAULTS 1.8 for a thousand calls at once; for a hundred: faults/test_lifecycle.py."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import Iterator

import pytest

from tests.fakes import any_wire
from tests.fakes.replies import Reply, WaitFor
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import WIRES, sent

CALLS = 1_000
OTHERS = [name for name in WIRES if name != "openai_chat"]
#: Both ends of each connection are in this process.
FILES = 2 * CALLS + 500


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many open files as the calls take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"this user may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def echo(request: Recorded) -> Reply:
    return any_wire.text(sent(request).last)


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "name", ["openai_chat", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
async def test_half_of_a_thousand_are_cancelled_and_harm_no_other(
    name: str, streams: bool, server: FakeServer
) -> None:
    """1.8: the others are answered, no socket is left of those that were cancelled, and it goes on."""
    gate = threading.Event()
    server.route = lambda request: echo(request) if gate.is_set() else echo(request).after(WaitFor(gate))
    llm = WIRES[name].llm(server)

    async def ask(number: int) -> str:
        if not streams:
            return str((await llm.agenerate(f"prompt {number}")).content)
        async with contextlib.aclosing(llm.agenerate(f"prompt {number}", stream=True)) as stream:
            return "".join([chunk.content async for chunk in stream])

    tasks = [asyncio.create_task(ask(number)) for number in range(CALLS)]
    await server.until(lambda s: s.hanging == CALLS, 30.0)
    for task in tasks[::2]:
        task.cancel()
    ended = await asyncio.gather(*tasks[::2], return_exceptions=True)
    assert {type(each) for each in ended} == {asyncio.CancelledError}
    await server.until(lambda s: s.disconnects == CALLS // 2 and s.open_sockets == CALLS // 2, 10.0)

    gate.set()
    answers = await asyncio.gather(*tasks[1::2])
    assert answers == [f"prompt {number}" for number in range(1, CALLS, 2)]
    assert await asyncio.gather(*(ask(number) for number in range(40))) == [
        f"prompt {number}" for number in range(40)
    ]
    assert server.connections == CALLS
    await llm.aclose()
    await server.until(lambda s: s.open_sockets == 0, 10.0)
