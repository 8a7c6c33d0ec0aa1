"""FAULTS 1.8: cancelling, timing out, closing, and many at once."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from abstractcore import LLM, BasicSession, ClosedError, RateLimitError, create_llm
from abstractcore.drivers.blocking import BlockingDriver
from tests.fakes import any_wire, faults, network
from tests.fakes.replies import Hang, Reply, WaitFor, scripted
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire, sent

TEXT = "one two three four"
SOON = 1.0


def hanging() -> Reply:
    """A stream that gives TEXT and then nothing more, until the client leaves."""
    return any_wire.unfinished(TEXT, ending="hang")


def echo(request: Recorded) -> Reply:
    return any_wire.text(sent(request).last)


class CancelledAt(Coroutine[Any, Any, Any]):
    """Drives a coroutine, and cancels its task while it is suspended for the *count*-th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], count: int) -> None:
        self.work = work
        self.left = count

    def send(self, value: Any) -> Any:
        waited_for = self.work.send(value)
        self.left -= 1
        if self.left == 0:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
        return waited_for

    def throw(self, *failure: Any) -> Any:
        return self.work.throw(*failure)

    def close(self) -> None:
        self.work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError


# ---- cancelling -------------------------------------------------------------------------------

SLOW: dict[str, Any] = {
    "whole": any_wire.text(TEXT).in_pieces(40, pause=0.001, head=True),
    "stream": any_wire.text(TEXT, piece=9).in_pieces(200, pause=0.001, head=True),
}


async def _ask(asked: Any, way: str, seen: list[str]) -> None:
    if way == "whole":
        seen.append((await asked.agenerate("hi")).content)
        return
    async for chunk in asked.agenerate("hi", stream=True):
        if chunk.is_done():
            seen.append("done")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("who", ["llm", "session"])
@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_a_call_can_be_cancelled_wherever_it_waits(
    way: str, who: str, host: str, server: FakeServer, wire: Wire
) -> None:
    """1.8: cancel at every await: CancelledError at once, the socket closed, nothing broken."""
    server.replies(SLOW[way])
    llm = wire.llm(server, base_url=f"http://{host}:{server.port}/v1")
    count, was_cancelled = 0, True
    while was_cancelled:
        count += 1
        asked = llm if who == "llm" else BasicSession(llm)
        seen: list[str] = []
        task = asyncio.create_task(CancelledAt(_ask(asked, way, seen), count))
        begun = time.monotonic()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        was_cancelled = isinstance(outcome, asyncio.CancelledError)
        assert was_cancelled or outcome is None
        assert time.monotonic() - begun < SOON
        if isinstance(asked, BasicSession):
            assert len(asked.messages) == 2 * len(seen)  # whole once the caller has its end
            assert not asked._turns._waiting
            assert asked._turns._holder is None
        if was_cancelled and count % 2:  # every other one goes out over a kept connection
            server.replies(any_wire.text("fine"))
            assert (await llm.agenerate("again")).content == "fine"
            server.replies(SLOW[way])
    assert count > 5
    await server.until(lambda s: s.in_flight == 0 and s.open_sockets <= 1)
    await llm.aclose()
    await server.until(lambda s: s.open_sockets == 0)


async def test_half_of_a_hundred_are_cancelled_and_harm_no_other(server: FakeServer, wire: Wire) -> None:
    """1.8: 100 in flight, half cancelled; 40 follow-ups."""
    gate = threading.Event()

    def reply(request: Recorded) -> Reply:
        return echo(request) if gate.is_set() else echo(request).after(WaitFor(gate))

    server.route = reply
    llm = wire.llm(server)
    tasks = [asyncio.create_task(llm.agenerate(f"prompt {number}")) for number in range(100)]
    await server.until(lambda s: s.hanging == 100, 5.0)
    begun = time.monotonic()
    for task in tasks[::2]:
        task.cancel()
    done, _ = await asyncio.wait(tasks[::2])
    assert all(task.cancelled() for task in done)
    assert time.monotonic() - begun < SOON
    await server.until(lambda s: s.disconnects == 50 and s.open_sockets == 50)

    gate.set()
    answers = await asyncio.gather(*tasks[1::2])
    assert [answer.content for answer in answers] == [f"prompt {number}" for number in range(1, 100, 2)]
    again = await asyncio.gather(*(llm.agenerate(f"again {number}") for number in range(40)))
    assert [answer.content for answer in again] == [f"again {number}" for number in range(40)]
    assert server.connections == 100
    assert len(server.requests) == 140


@pytest.mark.parametrize("reply", [faults.hangs(), hanging().cut(0.0, ending="hang")], ids=["head", "body"])
@pytest.mark.parametrize("streams", [False, True])
async def test_an_asyncio_timeout_raises_the_standard_error(
    reply: Reply, streams: bool, server: FakeServer, wire: Wire
) -> None:
    """1.8: stdlib TimeoutError, not ours; no attempt afterwards."""
    server.replies(reply)
    llm = wire.llm(server)

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await llm.agenerate("hi", stream=streams)

    assert type(caught.value) is TimeoutError
    await server.until(lambda s: s.disconnects == 1 and s.open_sockets == 0)
    server.replies(any_wire.text("fine"))
    assert (await llm.agenerate("again")).content == "fine"
    assert len(server.requests) == 2


@pytest.mark.parametrize("streams", [False, True])
async def test_a_backoff_can_be_cancelled(streams: bool, server: FakeServer, wire: Wire) -> None:
    """1.8: cancel in backoff (Retry-After 30) is immediate; no later request."""
    server.replies(any_wire.error(429, headers={"Retry-After": "30"}))
    llm = wire.llm(server)
    task = asyncio.ensure_future(llm.agenerate("hi", stream=streams))
    await server.until(lambda s: len(s.requests) == 1 and s.in_flight == 0)
    await asyncio.sleep(0.05)

    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert time.monotonic() - begun < 0.1
    server.replies(any_wire.text("fine"))
    assert (await llm.agenerate("again")).content == "fine"
    assert len(server.requests) == 2


async def test_a_wait_longer_than_the_call_is_not_waited(server: FakeServer, wire: Wire) -> None:
    """1.8, B7: with 30 s to wait and 5 s to go the real error comes at once."""
    server.replies(any_wire.error(429, headers={"Retry-After": "30"}))

    with pytest.raises(RateLimitError) as caught:
        await wire.llm(server).agenerate("hi", timeout=5)
    assert (caught.value.retry_after, caught.value.attempts) == (30.0, 1)


@pytest.mark.parametrize("waits_in", ["headers", "stream", "backoff"])
def test_ctrl_c_ends_a_blocking_call(waits_in: str, server: FakeServer, wire: Wire) -> None:
    """1.8: KeyboardInterrupt < 1 s, socket closed, not asked again."""
    server.replies(
        {
            "headers": faults.hangs(),
            "stream": hanging(),
            "backoff": any_wire.error(429, headers={"Retry-After": "30"}),
        }[waits_in]
    )
    session = BasicSession(wire.llm(server))
    interrupted: list[float] = []
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        if waits_in == "backoff":
            server.wait_for(lambda s: len(s.requests) == 1, 5)
            _wait_until_in(BlockingDriver.sleep, main)
        else:
            server.wait_for(lambda s: s.hanging == 1, 5)
        interrupted.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        _exhaust(session)
    assert time.monotonic() - interrupted[0] < SOON

    thread.join()
    if waits_in != "backoff":
        server.wait_for(lambda s: s.disconnects == 1 and s.open_sockets == 0)
    assert session.messages == []
    server.replies(any_wire.text("fine"))
    assert session.generate("again").content == "fine"
    assert len(server.requests) == 2


def test_ctrl_c_ends_a_blocking_call_that_connects() -> None:
    """1.8: and leaves no socket behind, which would say so."""
    with network.blackhole() as url:
        llm = create_llm("openai-compatible", "test-model", base_url=url)
        timer = threading.Timer(0.1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            llm.generate("hi")
        assert time.monotonic() - begun < SOON
        timer.join()
        gc.collect()


def _wait_until_in(function: Callable[..., Any], thread: int, seconds: float = 5) -> None:
    """Wait until the innermost Python frame of *thread* is that of *function*."""
    end = time.monotonic() + seconds
    while sys._current_frames()[thread].f_code is not function.__code__:
        assert time.monotonic() < end, f"not in {function.__qualname__} within {seconds} s"
        time.sleep(0.001)


def _exhaust(session: BasicSession) -> None:
    for _ in session.generate("hi", stream=True):
        pass


async def test_a_race_of_addresses_is_won_by_the_one_that_answers(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.8: of several addresses one that is silent costs a quarter of a second, one that refuses nothing."""
    server.replies(any_wire.text("fine"))
    with network.blackhole() as silent:
        ports = [int(silent.rsplit(":", 1)[1]), network.refused_port(), server.port]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        begun = time.monotonic()

        answer = await server.llm(base_url="http://models.test/v1").agenerate("hi")

        assert answer.content == "fine"
        assert time.monotonic() - begun < SOON
        gc.collect()  # an unclosed socket would say so


# ---- many at once -----------------------------------------------------------------------------


def test_threads_share_one_provider(server: FakeServer, wire: Wire) -> None:
    """1.8: answers are never crossed."""
    server.route = echo
    llm = wire.llm(server)
    answers: dict[str, str] = {}

    def work(number: int) -> None:
        for turn in range(10):
            prompt = f"thread {number}, turn {turn}"
            if turn % 2:
                answers[prompt] = llm.generate(prompt).content
            else:
                answers[prompt] = "".join(chunk.content for chunk in llm.generate(prompt, stream=True))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 160
    assert all(prompt == answer for prompt, answer in answers.items())


def test_each_thread_may_have_a_loop_of_its_own(server: FakeServer, wire: Wire) -> None:
    """1.8: N loops in N threads, one provider."""
    server.route = echo
    llm = wire.llm(server)
    answers: list[str] = []

    async def main(number: int) -> None:
        asked = (llm.agenerate(f"loop {number}, call {call}") for call in range(5))
        answers.extend(answer.content for answer in await asyncio.gather(*asked))
        answers.extend([chunk.content async for chunk in llm.agenerate(f"s{number}", stream=True)])

    threads = [threading.Thread(target=asyncio.run, args=(main(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = [f"loop {number}, call {call}" for number in range(8) for call in range(5)]
    assert sorted(filter(None, answers)) == sorted([*wanted, *(f"s{number}" for number in range(8))])
    server.wait_for(lambda s: s.open_sockets == 0)


async def test_a_blocking_call_works_inside_a_running_loop(server: FakeServer, wire: Wire) -> None:
    """1.8: as in a notebook; the two surfaces take turns on one object."""
    server.route = echo
    llm = wire.llm(server)
    session = BasicSession(llm)

    assert llm.generate("one").content == "one"
    assert (await llm.agenerate("two")).content == "two"
    assert [chunk.content for chunk in llm.generate("abcd", stream=True)] == ["abcd", ""]
    assert session.generate("three").content == "three"
    assert (await session.agenerate("four")).content == "four"
    assert len(session.messages) == 4


# ---- closing ----------------------------------------------------------------------------------


def test_closing_leaves_no_socket_and_twice_is_once(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.8: close()/aclose() twice is a no-op, 0 idle sockets left; use after close is ClosedError."""
    server.route = echo
    llm = wire.llm(server)
    session = BasicSession(llm)
    surface.gather(*(surface.later(llm, str(number)) for number in range(8)))
    assert server.open_sockets > 0

    surface.close(llm)
    surface.close(llm)

    surface.wait_for(server, lambda s: s.open_sockets == 0)
    for asked in (llm, session):
        for streams in (False, True):
            with pytest.raises(ClosedError):
                surface.generate(asked, "hi", stream=streams)
    assert len(server.requests) == 8


def test_leaving_the_context_of_a_provider_closes_it(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.8, A7."""
    server.route = echo

    async def awaiting(llm: LLM) -> None:
        async with llm as same:
            assert same is llm
            assert (await llm.agenerate("hi")).content == "hi"

    def blocking(llm: LLM) -> None:
        with llm as same:
            assert same is llm
            assert llm.generate("hi").content == "hi"

    llm = wire.llm(server)
    surface.run(lambda: blocking(llm) if surface.name == "sync" else awaiting(llm))
    surface.wait_for(server, lambda s: s.open_sockets == 0)
    with pytest.raises(ClosedError):
        surface.generate(llm, "hi")


def test_one_close_ends_the_calls_of_both_surfaces(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.8: a call that is running when its provider is closed fails with ClosedError, and once."""
    server.replies(scripted(Hang()))
    llm = wire.llm(server)
    waiting = surface.start(surface.later(llm, "hi", stream=whole_or_stream.streams))
    surface.wait_for(server, lambda s: s.hanging == 1)

    llm.close()

    assert type(waiting.outcome(SOON)) is ClosedError
    surface.wait_for(server, lambda s: s.open_sockets == 0)
    assert len(server.requests) == 1


def test_a_forgotten_provider_closes_its_connections(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.8: nobody need call close()."""
    server.route = echo
    llm = wire.llm(server)
    surface.generate(llm, "hi")
    server.llms.clear()
    del llm
    gc.collect()

    surface.wait_for(server, lambda s: s.open_sockets == 0, 2.5)
