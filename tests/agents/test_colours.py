"""F5, F6, E2: the colours of agents, workflows and what takes part in them; mixing them is an error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

import abstractcore
from abstractcore import AsyncToolError, ConfigurationError, RequestTimeoutError, aio, tool
from tests.agents.conftest import House, texts
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer


@tool
async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def test_f6_a_client_of_the_other_surface_is_refused_when_the_agent_is_made(server: FakeServer):
    llm = server.llm()
    with pytest.raises(ConfigurationError, match="async surface"):
        aio.Agent(abstractcore.client(llm))
    with pytest.raises(ConfigurationError, match="sync surface"):
        abstractcore.Agent(aio.client(llm))
    with pytest.raises(ConfigurationError):
        abstractcore.Agent(llm)
    for kind in ("Chain", "Parallel"):
        with pytest.raises(ConfigurationError):
            getattr(abstractcore, kind).from_client(aio.client(llm), ["p"])
        with pytest.raises(ConfigurationError):
            getattr(aio, kind).from_client(abstractcore.client(llm), ["p"])


def test_f6_e2_async_tools_and_approve_are_refused_by_the_sync_agent(server: FakeServer):
    async def approve(call: Any) -> bool:
        return True

    client = abstractcore.client(server.llm())
    with pytest.raises(AsyncToolError, match=r"multiply.*abstractcore\.aio"):
        abstractcore.Agent(client, tools=[multiply])
    with pytest.raises(AsyncToolError, match="approve"):
        abstractcore.Agent(client, approve=approve)
    assert aio.Agent(aio.client(server.llm()), tools=[multiply], approve=approve).tools == [multiply]


def test_f6_an_async_agent_as_a_tool_is_refused_by_the_sync_agent(server: FakeServer):
    made = aio.Agent(aio.client(server.llm())).as_tool()
    with pytest.raises(AsyncToolError):
        abstractcore.Agent(abstractcore.client(server.llm()), tools=[made])


def test_f6_a_worker_of_the_other_surface_is_refused_when_the_workflow_is_made(
    house: House, server: FakeServer
):
    other: Any = aio if house.is_sync else abstractcore
    wrong = other.Agent(other.client(server.llm()))
    for make in (
        lambda: house.Chain([wrong]),
        lambda: house.Parallel([wrong]),
        lambda: house.Parallel([house.Agent(house.client(server.llm()))], wrong),
        lambda: house.Router(wrong, {"a": house.Agent(house.client(server.llm()))}),
        lambda: house.Router(house.client(server.llm()), {"a": wrong}),
        lambda: house.EvaluatorOptimizer(wrong, house.client(server.llm())),
        lambda: house.Router(other.client(server.llm()), {"a": house.Agent(house.client(server.llm()))}),
        lambda: house.Chain([]),
        lambda: house.Chain(["a prompt"]),
    ):
        with pytest.raises(ConfigurationError):
            make()
    assert server.requests == []


def test_f5_an_object_of_the_caller_s_own_with_run_takes_part(house: House, server: FakeServer):
    class Shout:
        def run(self, task: str) -> str:
            return task.upper()

    class AsyncShout:
        async def run(self, task: str) -> str:
            return task.upper()

    server.replies(text("quiet"))
    client = house.client(server.llm())
    own = Shout() if house.is_sync else AsyncShout()
    assert house.run(house.Chain([house.Agent(client), own])) == "QUIET"
    assert texts(house.stream(house.Parallel([own, own]), "a")) == "AA"


def test_f5_the_time_of_a_run_bounds_an_object_of_the_caller_s_own(house: House, server: FakeServer):
    """Awaited it is cancelled; a blocking one is let come back, and what it gives is not gone on with."""

    class Slow:
        def run(self, task: str) -> str:
            threading.Event().wait(0.6)
            return task

    class AsyncSlow:
        async def run(self, task: str) -> str:
            return await asyncio.get_running_loop().create_future()

    own = Slow() if house.is_sync else AsyncSlow()
    chain = house.Chain([own, house.Agent(house.client(server.llm()))])
    for stream in (False, True):
        with pytest.raises(RequestTimeoutError):
            house.stream(chain, timeout=0.5) if stream else house.run(chain, timeout=0.5)
    assert server.requests == []


class Quiet:
    """An async run that is no `async def`."""

    async def _run(self, task: str) -> str:
        return task.lower()

    def run(self, task: str) -> Coroutine[Any, Any, str]:
        return self._run(task)


class Undeclared(Quiet):
    """One that does not say so."""

    def run(self, task: str) -> Any:
        return self._run(task)


def test_f6_a_plain_def_whose_type_says_that_it_is_to_be_awaited_is_async(house: House):
    if house.is_sync:
        with pytest.raises(ConfigurationError, match="step_1 is async"):
            house.Chain([Quiet()])
    else:
        assert house.run(house.Chain([Quiet(), Quiet()]), "A") == "a"


def test_f6_a_plain_def_that_says_nothing_counts_as_sync(house: House):
    """What it gives on the sync surface all the same is let go, and the caller is told."""
    if house.is_sync:
        chain = house.Chain([Undeclared()])
        with pytest.raises(AsyncToolError, match="step_1 is async"):
            house.run(chain, "A")
        with pytest.raises(ExceptionGroup) as raised:
            house.run(house.Parallel([Undeclared()]), "A")
        assert isinstance(raised.value.exceptions[0], AsyncToolError)
    else:
        with pytest.raises(ConfigurationError, match="declared"):
            house.Chain([Undeclared()])
