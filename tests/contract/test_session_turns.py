"""CONTRACT C4: turns of one session run one after the other, in the order they were started."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from abstractcore import (
    BasicSession,
    RequestTimeoutError,
    SessionError,
)
from tests.fakes.any_wire import text, unfinished
from tests.fakes.replies import Reply, WaitFor
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire, sent


def spoken(session: BasicSession) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in session.messages]


def said(chunks: list[Any]) -> str:
    return "".join(chunk.content for chunk in chunks)


def hangs_after(words: str) -> Reply:
    return unfinished(words, ending="hang")


def test_c4_turns_started_together_run_in_their_order(surface: Surface, server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.route = lambda request: text(f"re: {sent(request).last}").after(WaitFor(gate))
    session = BasicSession(wire.llm(server))
    running = []
    for number in range(5):
        running.append(surface.start(surface.later(session, f"turn {number}")))
        _wait_until(lambda count=number: len(session._turns._waiting) == count and server.requests)
    assert len(server.requests) == 1
    gate.set()

    assert [started.result(5).content for started in running] == [f"re: turn {n}" for n in range(5)]
    assert [content for role, content in spoken(session) if role == "user"] == [f"turn {n}" for n in range(5)]
    assert [len(wire.sent(request).turns) for request in server.requests] == [1, 3, 5, 7, 9]


def _wait_until(holds: Any) -> None:
    """Wait for what has no event of its own: that a turn stands in the queue."""
    pause = threading.Event()
    for _ in range(2000):
        if holds():
            return
        pause.wait(0.001)
    raise AssertionError("never")


async def test_c4_gather_on_one_session_keeps_the_order(server: FakeServer, wire: Wire):
    server.route = lambda request: text(f"re: {sent(request).last}")
    session = BasicSession(wire.llm(server))

    answers = await asyncio.gather(*(session.agenerate(f"turn {number}") for number in range(6)))

    assert [answer.content for answer in answers] == [f"re: turn {number}" for number in range(6)]
    assert [role for role, _ in spoken(session)] == ["user", "assistant"] * 6
    assert server.max_concurrent == 1
    await server.llms[0].aclose()


async def test_c4_threads_and_coroutines_share_one_order(server: FakeServer, wire: Wire):
    server.route = lambda request: text(f"re: {sent(request).last}")
    session = BasicSession(wire.llm(server))

    await asyncio.gather(
        *(session.agenerate(f"task {number}") for number in range(4)),
        *(asyncio.to_thread(session.generate, f"thread {number}") for number in range(4)),
    )

    assert server.max_concurrent == 1
    turns = spoken(session)
    assert len(turns) == 16
    for (_, question), (_, answer) in zip(turns[::2], turns[1::2], strict=True):
        assert answer == f"re: {question}"
    await server.llms[0].aclose()


def test_c4_different_sessions_never_wait_for_each_other(surface: Surface, server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.replies(text("Hi.").after(WaitFor(gate)))
    llm = wire.llm(server)

    running = [surface.start(surface.later(BasicSession(llm), "hello")) for _ in range(5)]
    server.wait_for(lambda server: server.in_flight == 5)
    gate.set()

    assert [started.result(5).content for started in running] == ["Hi."] * 5


def test_c4_a_turn_beside_one_s_own_open_stream_is_an_error_and_no_deadlock(server: FakeServer, wire: Wire):
    server.replies(hangs_after("one two"), text("Hi."))
    session = BasicSession(wire.llm(server))

    with session.generate("count", stream=True) as stream:
        next(stream)
        with pytest.raises(SessionError, match="in the middle of a turn"):
            session.generate("hello")
        with pytest.raises(SessionError):
            session.generate("hello", stream=True)
    assert session.generate("hello").content == "Hi."


async def test_c4_a_turn_beside_one_s_own_open_async_stream_is_an_error(server: FakeServer, wire: Wire):
    server.replies(hangs_after("one two"), text("Hi."))
    session = BasicSession(wire.llm(server))

    async with session.agenerate("count", stream=True) as stream:
        await anext(stream)
        with pytest.raises(SessionError, match="in the middle of a turn"):
            await session.agenerate("hello")
        with pytest.raises(SessionError):
            session.generate("hello")
    assert (await session.agenerate("hello")).content == "Hi."
    await server.llms[0].aclose()


async def test_c4_a_cancelled_waiter_leaves_the_queue(server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.replies(text("one").after(WaitFor(gate)), text("two"))
    session = BasicSession(wire.llm(server))
    first = asyncio.create_task(session.agenerate("first"))
    await server.until(lambda server: server.requests)
    second, third = (asyncio.create_task(session.agenerate(word)) for word in ("second", "third"))
    await asyncio.sleep(0)

    second.cancel()
    gate.set()

    assert (await first).content == "one"
    assert (await third).content == "two"
    assert [content for role, content in spoken(session) if role == "user"] == ["first", "third"]
    await server.llms[0].aclose()


def test_c4_a_waiter_s_timeout_counts_while_it_waits(surface: Surface, server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.replies(text("one").after(WaitFor(gate)))
    session = BasicSession(wire.llm(server))
    first = surface.start(surface.later(session, "first"))
    server.wait_for(lambda server: server.requests)

    with pytest.raises(RequestTimeoutError):
        surface.start(surface.later(session, "second", timeout=0.1)).result(5)
    gate.set()

    assert first.result(5).content == "one"
    assert len(server.requests) == 1


def test_c4_an_async_turn_inside_one_s_own_open_sync_stream_is_an_error(server: FakeServer, wire: Wire):
    """The thread that would have to read the stream waits in asyncio.run."""
    server.replies(hangs_after("one two"))
    session = BasicSession(wire.llm(server))

    with session.generate("count", stream=True) as stream:
        next(stream)
        with pytest.raises(SessionError):
            asyncio.run(session.agenerate("hello", timeout=1))


async def test_c4_a_stream_that_a_task_opened_is_the_reader_s(server: FakeServer, wire: Wire):
    """Its task is over, so nobody could end the stream but who asks for the next turn."""
    server.replies(hangs_after("one two"), text("Hi."))
    session = BasicSession(wire.llm(server))
    stream = await asyncio.create_task(session.agenerate("count", stream=True))

    with pytest.raises(SessionError):
        await session.agenerate("hello", timeout=1)
    assert said([await anext(stream), await anext(stream)]) == "one two"
    with pytest.raises(SessionError):
        await session.agenerate("hello", timeout=1)

    waiting = asyncio.create_task(session.agenerate("hello"))
    await asyncio.sleep(0)
    await stream.aclose()
    assert (await waiting).content == "Hi."
    await server.llms[0].aclose()


async def test_c4_two_streams_opened_at_once_on_one_session_are_no_deadlock(server: FakeServer, wire: Wire):
    """gather would wait for the second to open, and the second for someone to read the first."""
    server.replies(hangs_after("one two"))
    session = BasicSession(wire.llm(server))

    first, second = await asyncio.gather(
        session.agenerate("one", stream=True),
        session.agenerate("two", stream=True, timeout=0.2),
        return_exceptions=True,
    )

    assert isinstance(second, SessionError | RequestTimeoutError)
    await first.aclose()
    await server.llms[0].aclose()


async def test_c4_a_queued_turn_goes_to_the_provider_it_was_started_with(server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.route = lambda request: text(request.json.model).after(WaitFor(gate))
    session = BasicSession(wire.llm(server, model="old"))
    running = [asyncio.create_task(session.agenerate(word)) for word in ("first", "second")]
    await server.until(lambda server: server.requests)

    session.provider = server.llm("vllm", model="new")
    gate.set()

    answers = [await task for task in running]
    later = session.agenerate("third")
    session.provider = server.llms[0]
    answers.append(await later)
    assert [(answer.content, answer.provider) for answer in answers] == [
        ("old", wire.provider),
        ("old", wire.provider),
        ("new", "vllm"),
    ]
    for llm in server.llms:
        await llm.aclose()
