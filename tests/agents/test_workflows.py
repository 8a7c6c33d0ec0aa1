"""F4, F5: runs made of runs, on both surfaces."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import abstractcore
from abstractcore import (
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    StructuredOutputError,
    Usage,
    aio,
    tool,
)
from tests.agents.conftest import House, echo, look_up, texts
from tests.fakes.any_wire import call, error, held_after, text
from tests.fakes.faults import hangs, resets
from tests.fakes.replies import Pause
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import Wire, check_is_valid, sent

JOINT = "\n\n---\n\n"


def by_system(**replies: Any) -> Any:
    """Answer each agent, known by its system prompt, in its own way."""
    return lambda request: replies.get(sent(request).system or "") or echo(request)


# ---- parallels -------------------------------------------------------------------------------------


def test_f4_the_texts_are_joined_in_the_workers_order(house: House, server: FakeServer):
    server.route = by_system(a=text("late").after(Pause(0.1)), b=text("soon"))
    client = house.client(server.llm())
    assert house.run(house.Parallel.from_client(client, ["a", "b"])) == f"late{JOINT}soon"
    agents = [house.Agent(client, "a"), house.Agent(client, "b")]
    assert house.run(house.Parallel(agents, separator=" + ")) == "late + soon"


def test_f4_the_aggregator_s_text_is_the_result(house: House, server: FakeServer):
    server.route = by_system(a=text("A"), b=text("B"), sum=text("All."))
    parallel = house.Parallel.from_client(house.client(server.llm()), ["a", "b"], aggregator_prompt="sum")

    assert house.run(parallel, "The task") == "All."
    assert f"A{JOINT}B" in sent(server.requests[-1]).last
    assert "The task" in sent(server.requests[-1]).last


def test_f4_workers_run_at_the_same_time(house: House, server: FakeServer):
    together = threading.Barrier(3, timeout=5)

    @tool
    def meet() -> str:
        """Meet."""
        together.wait()
        return "met"

    server.route = lambda r: text("done") if sent(r).kinds[-1] == "result" else call("meet")
    client = house.client(server.llm(), tools=[meet])
    assert house.run(house.Parallel.from_client(client, ["a", "b", "c"])) == JOINT.join(["done"] * 3)


def test_f4_each_request_holds_its_own_system_prompt_and_messages_only(
    house: House, server: FakeServer, wire: Wire
):
    def reply(request: Recorded) -> Any:
        asked = sent(request)
        rounds = asked.kinds.count("result")
        return (
            text(f"{asked.system} is done")
            if rounds == 3
            else call("look_up", word=f"{asked.system}{rounds}")
        )

    server.route = reply
    client = house.client(wire.llm(server), system="client", tools=[look_up])
    names = ["a", "b", "c", "d"]
    answer = house.run(house.Parallel.from_client(client, names), "The task")

    assert answer == JOINT.join(f"{name} is done" for name in names)
    assert len(server.requests) == 16
    for request in server.requests:
        asked = wire.sent(request)
        assert asked.system in names
        assert asked.kinds == ["user", *["call", "result"] * asked.kinds.count("result")]
        assert [i.arguments["word"][0] for i in asked.all("call")] == [asked.system] * len(asked.all("call"))
        assert [i.text[0] for i in asked.all("result")] == [asked.system] * len(asked.all("result"))
        check_is_valid(asked.items)
    assert client.messages == []


@pytest.mark.parametrize("stream", [False, True])
def test_f4_async_the_first_failure_cancels_the_siblings_and_their_requests(server: FakeServer, stream: bool):
    server.route = by_system(a=hangs(), b=error(400).after(Pause(0.1)), c=hangs())
    client = aio.client(server.llm())
    parallel = aio.Parallel.from_client(client, ["a", "b", "c"])

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            await do(parallel, stream=stream)
        (failure,) = raised.value.exceptions
        assert isinstance(failure, BadRequestError)
        assert failure.worker == "worker_2"  # type: ignore[attr-defined]
        assert "worker: worker_2" in failure.__notes__
        await server.until(lambda s: s.disconnects == 2)
        await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
def test_f4_sync_all_run_to_the_end_and_the_group_names_each(server: FakeServer, stream: bool):
    server.route = by_system(a=error(400), b=text("B").after(Pause(0.1)), c=error(404))
    parallel: Any = abstractcore.Parallel.from_client(abstractcore.client(server.llm()), ["a", "b", "c"])

    with pytest.raises(ExceptionGroup) as raised:
        list(parallel.run("t", stream=stream))
    assert [failure.worker for failure in raised.value.exceptions] == ["worker_1", "worker_3"]  # type: ignore[attr-defined]
    assert [len(w.messages) for w in parallel.workers] == [0, 2, 0]
    assert server.disconnects == 0


def test_f4_a_single_worker_s_failure_is_a_group_too(house: House, server: FakeServer):
    server.replies(error(400))
    for stream in (False, True):
        with pytest.raises(ExceptionGroup):
            house.surface.run(
                lambda stream=stream: house.Parallel.from_client(house.client(server.llm()), ["a"]).run(
                    "t", stream=stream
                )
            )


def test_f4_the_chunks_of_the_workers_come_as_they_come(house: House, server: FakeServer):
    gate = threading.Event()
    server.route = by_system(a=held_after(text("one two"), "one", gate), b=text("B"))
    parallel = house.Parallel.from_client(house.client(server.llm()), ["a", "b"])
    iterator = house.surface.iterate(house.surface.run(lambda: parallel.run("t", stream=True)))
    chunks = []
    while True:
        chunk = house.surface.step(iterator)
        if chunk is None:
            break
        chunks.append(chunk)
        if chunk.agent == "worker_2":
            gate.set()

    assert texts(chunks, "worker_1") == "one two"
    assert texts(chunks, "worker_2") == "B"
    assert [c.phase for c in chunks].count("done") == 1
    assert chunks[-1].phase == "done"


def test_f4_break_cancels_the_workers_and_closes_their_requests(house: House, server: FakeServer):
    server.route = by_system(a=text("word " * 2000, piece=5, between=[Pause(0.01)]), b=hangs(), c=hangs())
    parallel = house.Parallel.from_client(house.client(server.llm()), ["a", "b", "c"])

    assert house.take_one(parallel).agent == "worker_1"
    server.wait_for(lambda s: s.disconnects == 3, 2.0)
    assert len(server.requests) == 3
    assert [worker.messages for worker in parallel.workers] == [[], [], []]


def test_d6_a_cancel_ends_the_workers_of_a_parallel(server: FakeServer):
    server.route = by_system(a=hangs(), b=hangs())

    async def main() -> None:
        client = aio.client(server.llm())
        parallel = aio.Parallel.from_client(client, ["a", "b"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await parallel.run("t")
        await server.until(lambda s: s.disconnects == 2)
        assert len(asyncio.all_tasks()) == 1
        await client.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["Chain", "Router", "EvaluatorOptimizer"])
def test_d6_asyncio_timeout_round_any_workflow_is_the_standard_error(
    server: FakeServer, kind: str, stream: bool
):
    server.route = lambda _: hangs()

    async def main() -> None:
        client = aio.client(server.llm())
        agent = aio.Agent(client)
        runs = {
            "Chain": lambda: aio.Chain([agent]),
            "Router": lambda: aio.Router(client, {"a": agent}),
            "EvaluatorOptimizer": lambda: aio.EvaluatorOptimizer(agent, client),
        }[kind]()
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.2):
                await do(runs, stream=stream)
        assert type(raised.value) is TimeoutError
        await server.until(lambda s: s.in_flight == 0)
        assert (agent.messages, client.messages) == ([], [])
        server.route = echo
        assert await agent.run("t")
        await client.aclose()

    asyncio.run(main())


async def do(runs: Any, *, stream: bool) -> None:
    """Do a run to its end."""
    if stream:
        async for _ in runs.run("t", stream=True):
            pass
    else:
        await runs.run("t")


def test_f4_workers_share_the_connection_pool(house: House, server: FakeServer):
    together = threading.Barrier(3, timeout=5)

    @tool
    def meet() -> str:
        """Meet."""
        together.wait()
        return "met"

    server.route = lambda r: text("done") if sent(r).kinds[-1] == "result" else call("meet")
    parallel = house.Parallel.from_client(house.client(server.llm(), tools=[meet]), ["a", "b", "c"])
    for _ in range(3):
        house.run(parallel)
    assert len(server.requests) == 18
    assert server.connections <= 3


@pytest.mark.parametrize("kind", ["Agent", "Chain", "Parallel", "Router", "EvaluatorOptimizer"])
def test_d4_d3_include_works_on_all_that_runs(house: House, server: FakeServer, kind: str):
    server.route = lambda r: (
        text('{"route": "a", "passed": true, "feedback": ""}')
        if sent(r).schema
        else text("Hi.", reasoning="Hm.")
    )
    client = house.client(server.llm())
    agent = house.Agent(client)
    runs = {
        "Agent": agent,
        "Chain": house.Chain([agent]),
        "Parallel": house.Parallel([agent]),
        "Router": house.Router(client, {"a": agent}),
        "EvaluatorOptimizer": house.EvaluatorOptimizer(agent, client),
    }[kind]

    assert {c.phase for c in house.stream(runs)} == {"thinking", "generating", "done"}
    for include, wanted in (
        ("thinking", {"thinking"}),
        (["thinking", "done"], {"thinking", "done"}),
        (iter(["thinking"]), {"thinking"}),
        ([], set[str]()),
    ):
        chunks = house.stream(runs, include=include)
        assert {c.phase for c in chunks} == wanted
        assert all(type(c.content) is str for c in chunks)
    assert len(agent.messages) == 2
    for stream in (False, True):
        with pytest.raises(ValueError, match="unknown phase"):
            runs.run("t", include=["speaking"], stream=stream)


# ---- routers ---------------------------------------------------------------------------------------


def test_f5_a_router_s_model_chooses_the_route(house: House, server: FakeServer):
    server.route = lambda r: text('{"route": "poet"}') if sent(r).schema else echo(r)
    client = house.client(server.llm())
    routes = {"poet": house.Agent(client, "Write poems."), "coder": house.Agent(client, "Code.")}
    router = house.Router(client, routes, descriptions={"coder": "for programs"})

    assert house.run(router, "A haiku") == "Write poems.(A haiku)"
    asked = sent(server.requests[0])
    assert asked.schema["properties"]["route"]["enum"] == ["poet", "coder"]
    assert "for programs" in (asked.system or "")
    assert "Write poems." in (asked.system or "")
    chunks = house.stream(router, "A haiku")
    assert texts(chunks) == "Write poems.(A haiku)"
    assert [c.phase for c in chunks].count("done") == 1
    assert chunks[-1].usage == Usage(10, 14, 24)


def test_f5_a_route_that_is_not_there_goes_to_the_default(house: House, server: FakeServer):
    server.route = lambda r: text("nonsense") if sent(r).schema else echo(r)
    client = house.client(server.llm())
    routes = {"poet": house.Agent(client, "P")}
    assert house.run(house.Router(client, routes, default="poet"), "t") == "P(t)"
    with pytest.raises(StructuredOutputError):
        house.run(house.Router(client, routes), "t")
    with pytest.raises(ConfigurationError, match="no route 'x'"):
        house.Router(client, routes, default="x")


@pytest.mark.parametrize("wrong", ['{"agent": "poet"}', '{"route": null}', '{"route": "nobody"}'])
def test_f5_a_choice_of_another_shape_is_sent_back(house: House, server: FakeServer, wrong: str):
    """B9: no KeyError; the classifier is asked again, and the default is for when that does not help."""
    said = iter([wrong, '{"route": "poet"}', wrong, wrong, wrong])
    server.route = lambda r: text(next(said)) if sent(r).schema else echo(r)
    client = house.client(server.llm())
    routes = {"poet": house.Agent(client, "P"), "coder": house.Agent(client, "C")}

    assert house.run(house.Router(client, routes), "t") == "P(t)"
    assert house.run(house.Router(client, routes, default="coder"), "t") == "C(t)"


# ---- evaluator-optimizers ----------------------------------------------------------------------------


def test_f5_an_answer_is_made_better_until_it_passes(house: House, server: FakeServer):
    verdicts = iter(['{"passed": false, "feedback": "shorter"}', '{"passed": true, "feedback": ""}'])
    answers = iter(["long", "short", "never"])
    server.route = lambda r: text(next(verdicts)) if sent(r).schema else text(next(answers))
    client = house.client(server.llm())

    assert house.run(house.EvaluatorOptimizer(house.Agent(client, "G"), client), "t") == "short"
    assert len(server.requests) == 4
    again = sent(server.requests[2]).last
    assert all(word in again for word in ("t", "long", "shorter"))


def test_f5_a_verdict_is_read_as_what_it_says(house: House, server: FakeServer):
    """A text "false" does not pass, and a verdict without one is asked for again."""
    verdicts = iter(['{"passed": "false", "feedback": "shorter"}', "{}", '{"passed": true, "feedback": ""}'])
    answers = iter(["long", "short", "never"])
    server.route = lambda r: text(next(verdicts)) if sent(r).schema else text(next(answers))
    client = house.client(server.llm())

    assert house.run(house.EvaluatorOptimizer(house.Agent(client, "G"), client), "t") == "short"


@pytest.mark.parametrize(
    ("said", "asked"), [("PASS", 2), (" pass: it is good", 2), ("Passing None crashes it.", 3), ("", 3)]
)
def test_f5_an_evaluator_of_words_passes_with_the_word(
    house: House, server: FakeServer, said: str, asked: int
):
    server.route = lambda r: text(said or " ") if sent(r).system == "Judge." else text("answer")
    client = house.client(server.llm())
    judge = house.Chain.from_client(client, ["Judge."])

    assert house.run(house.EvaluatorOptimizer(house.Agent(client, "G"), judge, max_rounds=2), "t") == "answer"
    assert len(server.requests) == asked


def test_f5_the_last_round_s_answer_stands(house: House, server: FakeServer):
    server.route = lambda r: text('{"passed": false, "feedback": "no"}') if sent(r).schema else text("answer")
    client = house.client(server.llm())
    both = house.EvaluatorOptimizer(house.Agent(client), client, max_rounds=2)
    assert house.run(both) == "answer"
    assert len(server.requests) == 3
    chunks = house.stream(both)
    assert texts(chunks) == "answeranswer"
    assert [c.phase for c in chunks].count("done") == 1


# ---- nesting and colours -----------------------------------------------------------------------------


def test_f5_anything_with_run_nests_in_anything_else(house: House, server: FakeServer):
    server.route = echo
    client = house.client(server.llm())
    inner = house.Parallel(
        [house.Chain.from_client(client, ["a", "b"]), house.Agent(client, "c")], separator="|"
    )
    outer = house.Chain([inner, house.Agent(client, "d", name="last")])

    assert house.run(outer, "t") == "d(b(a(t))|c(t))"
    chunks = house.stream(outer, "t")
    assert texts(chunks, "last") == "d(b(a(t))|c(t))"
    assert [c.phase for c in chunks].count("done") == 1


def test_f5_a_failure_in_nested_parallels_names_both_workers(house: House, server: FakeServer):
    server.replies(error(400))
    inner = house.Parallel.from_client(house.client(server.llm()), ["a"], name="inner")
    with pytest.raises(ExceptionGroup) as raised:
        house.run(house.Parallel([inner]))
    (group,) = raised.value.exceptions
    assert isinstance(group, ExceptionGroup)
    assert group.worker == "inner"  # type: ignore[attr-defined]
    assert group.exceptions[0].worker == "worker_1"  # type: ignore[attr-defined]


def test_f5_a_workflow_becomes_a_tool(house: House, server: FakeServer):
    server.route = lambda r: (
        echo(r)
        if sent(r).system != "boss"
        else text(sent(r).last)
        if sent(r).kinds[-1] == "result"
        else call("chain", task="t")
    )
    client = house.client(server.llm())
    made = house.Chain.from_client(client, ["a", "b"]).as_tool()
    assert house.run(house.Agent(client, "boss", tools=[made])) == "b(a(t))"


def test_f4_a_connection_of_a_parallel_that_has_ended_tells_its_next_failure_as_it_is(
    house: House, server: FakeServer
):
    server.replies(text("Hi."))
    client = house.client(server.llm(max_retries=0))
    house.run(house.Parallel.from_client(client, ["a"]))
    server.replies(resets())
    with pytest.raises(ConnectionFailedError):
        house.run(house.Agent(client))
