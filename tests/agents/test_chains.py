"""F3: chains, on both surfaces: the text of each step is the task of the next."""

from __future__ import annotations

import pytest

from abstractcore import BadRequestError, RequestTimeoutError, ResponseError, Usage
from tests.agents.conftest import House, echo, look_up
from tests.fakes.any_wire import call, error, text
from tests.fakes.faults import hangs
from tests.fakes.server import FakeServer
from tests.fakes.wires import Wire


def test_f3_each_step_gets_the_last_one_s_text(house: House, server: FakeServer, wire: Wire):
    server.route = echo
    client = house.client(wire.llm(server), system="S")
    chain = house.Chain.from_client(client, ["a", "b", "c"])

    assert house.run(chain, "t") == "c(b(a(t)))"
    assert [step.name for step in chain.steps] == ["step_1", "step_2", "step_3"]
    assert client.messages == []


def test_f3_streamed_chunks_carry_agent_and_iteration_and_end_once(house: House, server: FakeServer):
    server.replies(call("look_up", word="x"), text("One."), text("Two."))
    client = house.client(server.llm(), tools=[look_up])
    chunks = house.stream(house.Chain([house.Agent(client, name="first"), house.Agent(client)]))

    assert [(c.phase, c.agent, c.iteration) for c in chunks] == [
        ("tool_calling", "first", 0),
        ("tool_calling", "first", 0),
        ("generating", "first", 1),
        ("generating", "step_2", 0),
        ("done", "step_2", 0),
    ]
    assert chunks[-1].usage == Usage(15, 21, 36)
    assert {c.phase for c in house.stream(house.Chain.from_client(client, ["a"]), include="done")} == {"done"}


def test_f3_the_stream_s_response_is_the_last_step_s(house: House, server: FakeServer):
    server.replies(text("One."), text("Two."))
    chain = house.Chain.from_client(house.client(server.llm()), ["a", "b"])
    stream = house.surface.run(lambda: chain.run("t", stream=True))
    iterator = house.surface.iterate(stream)
    while house.surface.step(iterator) is not None:
        pass
    assert stream.response.content == "Two."
    assert stream.response.usage.input_tokens == 10


def test_f3_a_failing_step_ends_the_chain(house: House, server: FakeServer):
    server.replies(text("One."), error(400))
    with pytest.raises(BadRequestError):
        house.run(house.Chain.from_client(house.client(server.llm()), ["a", "b", "c"]))
    assert len(server.requests) == 2


@pytest.mark.parametrize("said", ["", " \n"])
def test_f3_a_step_that_says_nothing_gives_the_next_no_task(house: House, server: FakeServer, said: str):
    """No model is asked with an empty message, which providers refuse, each in its own words."""
    server.replies(text("Begun."), text(said))
    client = house.client(server.llm())

    with pytest.raises(ResponseError, match="step_2 answered with no text"):
        house.run(house.Chain.from_client(client, ["a", "b", "c"]))
    assert len(server.requests) == 2

    server.replies(text("Begun."), text(said))
    assert house.run(house.Chain.from_client(client, ["a", "b"])) == said


def test_a_chain_s_timeout_bounds_all_its_steps(house: House, server: FakeServer):
    server.replies(text("One."), hangs())
    with pytest.raises(RequestTimeoutError):
        house.run(house.Chain.from_client(house.client(server.llm()), ["a", "b"]), timeout=0.3)
