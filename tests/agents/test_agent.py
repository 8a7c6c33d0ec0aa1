"""F1, F2, F6: agents, on both surfaces. Each run has a history of its own."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest
from pydantic import BaseModel

import abstractcore
from abstractcore import AgentEvent, ConfigurationError, RequestTimeoutError, aio, tool
from tests.agents.conftest import House, texts
from tests.fakes.any_wire import call, calls, error, text
from tests.fakes.faults import hangs
from tests.fakes.server import FakeServer
from tests.fakes.wires import Wire, check_is_valid, sent


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def subtract(a: int, b: int) -> int:
    """Subtract two numbers."""
    return a - b


@tool
async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class City(BaseModel):
    name: str


def test_f1_an_agent_works_until_it_has_an_answer(house: House, server: FakeServer, wire: Wire):
    server.replies(call("add", a=1, b=2), text("It is 3."))
    agent = house.Agent(house.client(wire.llm(server)), "Use the tools.", tools=[add])

    assert house.run(agent, "1 + 2?") == "It is 3."
    last = wire.sent(server.requests[1])
    assert last.turns[0] == ("system", "Use the tools.")
    assert last.kinds == ["user", "call", "result"]
    check_is_valid(last.items)


def test_f1_an_agent_has_a_history_of_its_own_for_each_run(house: House, server: FakeServer):
    server.replies(text("Hi."))
    client = house.client(server.llm(), system="Client.")
    house.surface.call(client, "chat", "Before")
    kept = list(client.messages)
    one, other = house.Agent(client, "One."), house.Agent(client)
    for runs in (one, other, one):
        house.run(runs, "Again")

    assert [sent(r).turns for r in server.requests[1:]] == [
        [("system", "One."), ("user", "Again")],
        [("system", "Client."), ("user", "Again")],
        [("system", "One."), ("user", "Again")],
    ]
    assert client.messages == kept
    assert [m["role"] for m in one.messages] == ["user", "assistant"]
    assert json.loads(json.dumps(one.messages)) == one.messages


def test_f1_its_tools_are_its_own_the_client_s_and_those_of_its_mcp_client(house: House, server: FakeServer):
    class Mcp:
        def as_tools(self) -> Any:
            return [abstractcore.Tool(lambda: "x", name="served", description="", parameters={})]

    class AsyncMcp(Mcp):
        async def as_tools(self) -> Any:
            return super().as_tools()

    server.replies(text("Hi."))
    client = house.client(server.llm(), tools=[add])
    client.mcp_client = Mcp() if house.is_sync else AsyncMcp()
    agent = house.Agent(client, tools=[subtract, add])
    house.run(agent)
    house.run(agent, tools=[])

    assert set(sent(server.requests[0]).tools) == {"add", "subtract", "served"}
    assert set(sent(server.requests[1]).tools) == {"served"}
    assert client.tools == [add]


def test_f1_a_schema_gives_the_object(house: House, server: FakeServer):
    server.replies(call("add", a=1, b=2), text('{"name": "Oslo"}'))
    agent = house.Agent(house.client(server.llm()), tools=[add])
    assert house.run(agent, schema=City) == City(name="Oslo")


def test_f1_a_run_goes_on_from_saved_messages(house: House, server: FakeServer):
    server.replies(text("Hello, Alice."), text("Alice."))
    client = house.client(server.llm())
    first = house.Agent(client)
    house.run(first, "I am Alice.")
    saved = json.loads(json.dumps(first.messages))

    second = house.Agent(client)
    second.restore(saved)
    house.run(second, "Who am I?")

    assert [t for _, t in sent(server.requests[1]).turns] == ["I am Alice.", "Hello, Alice.", "Who am I?"]
    assert len(second.messages) == 4
    assert len(saved) == 2
    second.restore([])
    house.run(second, "Who?")
    assert sent(server.requests[2]).kinds == ["user"]


def test_f1_after_an_error_the_messages_are_as_they_were(house: House, server: FakeServer):
    server.replies(text("Hi."), call("add", a=1, b=2), error(400))
    agent = house.Agent(house.client(server.llm()), tools=[add])
    house.run(agent)
    before = agent.messages
    with pytest.raises(abstractcore.BadRequestError):
        house.run(agent)
    assert agent.messages == before


def test_f1_a_timeout_bounds_the_whole_run(house: House, server: FakeServer):
    server.replies(call("add", a=1, b=2), hangs())
    agent = house.Agent(house.client(server.llm()), tools=[add])
    with pytest.raises(RequestTimeoutError):
        house.run(agent, timeout=0.3)
    assert agent.messages == []
    server.wait_for(lambda s: s.in_flight == 0)


def test_f2_at_the_bound_one_last_call_without_tools_asks_for_the_answer(house: House, server: FakeServer):
    server.route = lambda request: (
        text("Enough.") if sent(request).tool_choice == "none" else call("add", a=1, b=2)
    )
    agent = house.Agent(house.client(server.llm()), tools=[add], max_iterations=2)

    assert house.run(agent) == "Enough."
    assert len(server.requests) == 3
    assert "Not run" in sent(server.requests[2]).all("result")[1].text
    check_is_valid(sent(server.requests[2]).items)


def test_e6_approve_may_refuse(house: House, server: FakeServer):
    server.replies(call("add", a=1, b=2), text("ok"))
    house.run(house.Agent(house.client(server.llm()), tools=[add], approve=lambda call: "too dear"))
    assert "too dear" in sent(server.requests[1]).all("result")[0].text


def test_e6_an_async_approve_is_awaited(server: FakeServer):
    async def approve(call: Any) -> bool:
        return False

    server.replies(call("add", a=1, b=2), text("ok"))
    agent = aio.Agent(aio.client(server.llm()), tools=[add], approve=approve)
    assert asyncio.run(agent.run("1 + 2?")) == "ok"
    assert "refused" in sent(server.requests[1]).all("result")[0].text


def test_d3_chunks_carry_agent_and_iteration_and_every_phase(house: House, server: FakeServer):
    server.replies(call("add", a=1, b=2), text("3", reasoning="Hm."))
    agent = house.Agent(house.client(server.llm()), tools=[add], name="adder")

    chunks = house.stream(agent)

    assert {c.agent for c in chunks} == {"adder"}
    assert {(c.phase, c.iteration) for c in chunks} == {
        ("tool_calling", 0),
        ("thinking", 1),
        ("generating", 1),
        ("done", 1),
    }
    assert chunks[1].content == "3"
    assert [m["role"] for m in agent.messages] == ["user", "assistant", "tool", "assistant"]


def test_d4_include_drops_the_others_and_the_messages_are_kept(house: House, server: FakeServer):
    server.replies(call("add", a=1, b=2), text("3", reasoning="Hm."))
    agent = house.Agent(house.client(server.llm()), tools=[add])
    assert {c.phase for c in house.stream(agent, include="generating")} == {"generating"}
    assert len(agent.messages) == 4
    for stream in (True, False):
        with pytest.raises(ValueError, match="unknown phase"):
            agent.run("?", include=["speaking"], stream=stream)


def test_events_see_each_model_call_tool_call_and_result(house: House, server: FakeServer):
    seen: list[AgentEvent] = []
    server.replies(calls([("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})]), text("3 and 7"))
    client = house.client(server.llm())
    house.run(house.Agent(client, tools=[add], name="adder", events=seen.append, concurrent_tool_calls=True))

    assert [(e.kind, e.iteration, e.content) for e in seen] == [
        ("model_call", 0, ""),
        ("model_answer", 0, ""),
        ("tool_call", 0, ""),
        ("tool_call", 0, ""),
        ("tool_result", 0, "3"),
        ("tool_result", 0, "7"),
        ("model_call", 1, ""),
        ("model_answer", 1, "3 and 7"),
    ]
    assert {e.agent for e in seen} == {"adder"}
    assert seen[1].usage is not None


def test_what_events_raises_ends_the_run(house: House, server: FakeServer):
    def stop(event: AgentEvent) -> None:
        if event.kind == "tool_call":
            raise RuntimeError("stop")

    server.replies(call("add", a=1, b=2), text("3"))
    agent = house.Agent(house.client(server.llm()), tools=[add], events=stop)
    with pytest.raises(RuntimeError, match="stop"):
        house.run(agent)
    assert (len(server.requests), agent.messages) == (1, [])


@pytest.mark.parametrize("options", [{"max_iterations": 0}, {"tool_timeout": -1}, {"tools": [{"name": "x"}]}])
def test_what_cannot_work_is_refused_when_the_agent_is_made(house: House, server: FakeServer, options: Any):
    with pytest.raises(ConfigurationError):
        house.Agent(house.client(server.llm()), **options)


@pytest.mark.parametrize("task", ["", None, 7])
def test_a_task_is_a_text(house: House, server: FakeServer, task: Any):
    with pytest.raises(ConfigurationError, match="task"):
        house.Agent(house.client(server.llm())).run(task)


def test_fifty_agents_at_once_on_one_client(house: House, server: FakeServer):
    def reply(request: Any) -> Any:
        asked = sent(request)
        number = int(asked.items[0].text)
        return text(f"got {asked.last}") if asked.kinds[-1] == "result" else call("add", a=number, b=1000)

    server.route = reply
    client = house.client(server.llm(), system="Shared.")
    agents = [house.Agent(client, f"Agent {n}.", tools=[add]) for n in range(50)]

    answers = house.surface.gather(
        *(lambda n=n, agent=agent: agent.run(str(n)) for n, agent in enumerate(agents)), timeout=20
    )

    assert answers == [f"got {n + 1000}" for n in range(50)]
    for request in server.requests:
        asked = sent(request)
        assert asked.system == f"Agent {asked.items[0].text}."
        check_is_valid(asked.items)
    assert client.messages == []
    assert [agent.messages[0]["content"] for agent in agents] == [str(n) for n in range(50)]


def test_one_agent_may_run_several_times_at_once(house: House, server: FakeServer):
    server.route = lambda request: text(sent(request).last)
    agent = house.Agent(house.client(server.llm()))
    answers = house.surface.gather(*(lambda n=n: agent.run(str(n)) for n in range(8)), timeout=10)
    assert answers == [str(n) for n in range(8)]
    assert len(agent.messages) == 2


def test_a_stream_that_is_left_closes_its_request(house: House, server: FakeServer):
    server.replies(_endless())
    agent = house.Agent(house.client(server.llm()))
    assert house.take_one(agent).content
    server.wait_for(lambda s: s.disconnects == 1)
    assert agent.messages == []


def _endless() -> Any:
    from tests.fakes.replies import Pause

    return text("word " * 2000, piece=5, between=[Pause(0.01)])


def test_d6_asyncio_timeout_round_a_run_is_a_timeout_error(server: FakeServer):
    server.replies(call("add", a=1, b=2), hangs())

    async def main() -> None:
        agent = aio.Agent(aio.client(server.llm()), tools=[add])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await agent.run("Long task")
        assert agent.messages == []
        await server.until(lambda s: s.disconnects == 1)

    asyncio.run(main())


def test_f5_an_agent_becomes_a_tool(house: House, server: FakeServer):
    server.replies(call("helper", task="Add."), text("3 says the helper"), text("It is 3."))
    client = house.client(server.llm())
    helper = house.Agent(client, "You help.", name="helper")
    boss = house.Agent(client, "You ask.", tools=[helper.as_tool()])

    assert house.run(boss) == "It is 3."
    assert sent(server.requests[1]).turns == [("system", "You help."), ("user", "Add.")]
    assert sent(server.requests[2]).all("result")[0].text == "3 says the helper"
    made = helper.as_tool("other", "Does it.")
    assert (made.name, made.description, made.is_async) == ("other", "Does it.", not house.is_sync)


def test_pretty_print_shows_a_run_and_gives_its_text(
    house: House, server: FakeServer, capsys: pytest.CaptureFixture[str]
):
    server.replies(call("add", a=1, b=2), text("It is 3.", piece=3))
    agent = house.Agent(house.client(server.llm()), tools=[add], name="adder")

    given = house.surface.run(lambda: house.pretty_print(agent.run("1 + 2?", stream=True)))

    assert given == "It is 3."
    assert capsys.readouterr().out.splitlines() == [
        '[adder] add({"a": 1, "b": 2})',
        "[adder] add -> 3",
        "[adder] It is 3.",
    ]


def test_d5_a_run_is_iterated_with_await_and_without(server: FakeServer):
    server.replies(text("Hi."))

    async def main() -> None:
        client = aio.client(server.llm())
        for runs in (
            aio.Agent(client),
            aio.Chain.from_client(client, ["a"]),
            aio.Parallel.from_client(client, ["a"]),
        ):
            one = [chunk async for chunk in runs.run("?", stream=True)]
            other = [chunk async for chunk in await runs.run("?", stream=True)]
            assert texts(one) == texts(other) == "Hi."

    asyncio.run(main())


AWAITED = {
    "client", "chat", "Client", "Agent", "Chain", "Parallel", "Router", "EvaluatorOptimizer", "MCPClient",
}  # fmt: skip


def test_d1_every_public_name_stands_in_aio():
    """What is done is awaited there; the types, the errors and the modules are the same objects."""
    assert {*aio.__all__} == {*abstractcore.__all__} - {"aio"}
    assert {*aio.__all__} <= {*dir(aio)}
    others = {name for name in aio.__all__ if getattr(aio, name) is not getattr(abstractcore, name)}
    assert others == AWAITED


def test_d1_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'clinet'"):
        _ = aio.clinet


@pytest.mark.parametrize(
    "name", ["Agent", "Chain", "Parallel", "Router", "EvaluatorOptimizer", "Client", "MCPClient", "chat"]
)
def test_d1_both_surfaces_take_the_same_arguments(name: str):
    methods = [
        "__init__",
        "run",
        "as_tool",
        "from_client",
        "chat",
        "fork",
        "reset",
        "call_tool",
        "list_tools",
    ]
    both = [getattr(module, name) for module in (abstractcore, aio)]
    for method in methods if inspect.isclass(both[0]) else ("__call__",):
        if (name, method) == ("MCPClient", "__init__") or not hasattr(both[0], method):
            continue  # G1: the async one is connected by its own classmethod
        ours, theirs = (
            inspect.signature(each if method == "__call__" else getattr(each, method)) for each in both
        )
        assert list(ours.parameters) == list(theirs.parameters), method


def test_d1_client_takes_a_sync_client_too():
    ours, theirs = (list(inspect.signature(m.client).parameters) for m in (abstractcore, aio))
    assert ours == theirs


@pytest.mark.parametrize(
    ("phase", "is_text", "is_tool_call", "is_done"),
    [
        ("thinking", True, False, False),
        ("generating", True, False, False),
        ("tool_calling", False, True, False),
        ("done", False, False, True),
    ],
)
def test_d3_a_chunk_says_what_it_is(phase: Any, is_text: bool, is_tool_call: bool, is_done: bool):
    chunk = abstractcore.StreamChunk(phase, "")
    assert (chunk.is_text(), chunk.is_tool_call(), chunk.is_done()) == (is_text, is_tool_call, is_done)
    assert (chunk.agent, chunk.iteration, chunk.tool_call, chunk.usage) == (None, 0, None, None)


def test_d3_an_llm_gives_the_answer_s_text_alone_and_a_client_every_phase(house: House, server: FakeServer):
    server.replies(text("Hi.", reasoning="Hm."))
    llm = server.llm()

    given = house.surface.stream(llm, "Hi")
    assert "".join(c.content for c in given) == "Hi."
    assert {c.phase for c in house.surface.stream(llm, "Hi", include="thinking")} == {"thinking"}
    client = house.client(llm)
    iterator = house.surface.iterate(house.surface.run(lambda: client.chat("Hi", stream=True)))
    chunks = list(iter(lambda: house.surface.step(iterator), None))
    assert {c.phase for c in chunks} == {"thinking", "generating", "done"}
    assert {type(c) for c in (*given, *chunks)} == {abstractcore.StreamChunk}
