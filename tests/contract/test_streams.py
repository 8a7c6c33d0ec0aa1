"""CONTRACT B3, B5: one stream object on each surface, on every wire, and what leaving it does."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from abstractcore import (
    AsyncStream,
    AuthenticationError,
    BasicSession,
    ClosedError,
    ConfigurationError,
    IncompleteStreamError,
    Stream,
    StreamChunk,
)
from tests.fakes.any_wire import error, held_after, text, unfinished
from tests.fakes.replies import Chunk, Hang, Reply, Step, sse
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

WORDS = "one two three four five six seven."


def hangs_after(words: str) -> Reply:
    """Say *words*, and then nothing more."""
    return unfinished(words, ending="hang")


@pytest.fixture(params=["llm", "session"])
def asked(request: pytest.FixtureRequest, server: FakeServer, wire: Wire) -> Any:
    """What is asked for a stream: the same holds for an LLM and a session."""
    llm = wire.llm(server)
    return llm if request.param == "llm" else BasicSession(llm)


def said(chunks: list[StreamChunk]) -> str:
    return "".join(chunk.content for chunk in chunks if chunk.phase == "generating")


# ---- the object ------------------------------------------------------------------------------


def test_b3_a_stream_gives_the_words_and_then_the_response(surface: Surface, server: FakeServer, asked: Any):
    server.replies(text(WORDS))

    with surface.open_stream(asked, "count") as stream:
        chunks = stream.rest()

        assert all(isinstance(chunk, StreamChunk) for chunk in chunks)
        assert said(chunks) == WORDS
        assert [chunk.is_done() for chunk in chunks].index(True) == len(chunks) - 1
        assert (chunks[-1].finish_reason, chunks[-1].content) == ("stop", "")
        assert stream.response.content == WORDS
        assert stream.response.usage == chunks[-1].usage


def test_b3_partial_is_what_has_arrived_and_response_only_the_whole(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(text(WORDS, piece=4))

    with surface.open_stream(wire.llm(server), "count") as stream:
        first = stream.next()
        assert stream.partial.content.startswith(first.content)
        with pytest.raises(ConfigurationError, match="has not ended"):
            _ = stream.response
        stream.rest()
        assert stream.partial == stream.response


def test_b3_the_sync_stream_is_an_iterator_and_a_context_manager(server: FakeServer, asked: Any):
    server.replies(text(WORDS))
    with asked.generate("count", stream=True) as stream:
        assert isinstance(stream, Stream)
        assert isinstance(stream, Iterator)
        assert said([next(stream), *stream]) == WORDS


async def test_b3_the_async_stream_is_a_coroutine_an_iterator_and_a_context_manager(
    server: FakeServer, asked: Any
):
    server.replies(text(WORDS))
    async with asked.agenerate("count", stream=True) as stream:
        assert isinstance(stream, AsyncStream)
        assert isinstance(stream, Coroutine)
        assert isinstance(stream, AsyncIterator)
        assert said([await anext(stream), *[chunk async for chunk in stream]]) == WORDS
    await server.llms[0].aclose()


async def test_b3_an_iterator_that_nothing_else_holds_gives_its_chunk(server: FakeServer, asked: Any):
    server.replies(text(WORDS))
    async with asked.agenerate("count", stream=True) as stream:
        assert WORDS.startswith((await anext(aiter(stream))).content)
    await server.llms[0].aclose()


def test_b3_the_sync_request_is_sent_at_the_call(server: FakeServer, asked: Any):
    server.replies(text(WORDS))
    stream = asked.generate("count", stream=True)
    assert len(server.requests) == 1
    stream.close()


async def test_b3_awaiting_sends_the_request_and_gives_the_stream_itself(server: FakeServer, asked: Any):
    server.replies(text(WORDS))
    stream = asked.agenerate("count", stream=True)
    assert server.requests == []

    assert await stream is stream
    assert len(server.requests) == 1
    assert await stream is stream
    assert said([chunk async for chunk in stream]) == WORDS
    assert len(server.requests) == 1
    await server.llms[0].aclose()


async def test_b3_iterating_unawaited_sends_the_request_first(server: FakeServer, asked: Any):
    server.replies(text(WORDS))

    assert said([chunk async for chunk in asked.agenerate("count", stream=True)]) == WORDS
    await server.llms[0].aclose()


def test_b3_errors_are_raised_when_the_request_is_sent(surface: Surface, server: FakeServer, asked: Any):
    """At the call on the sync surface, at the await on the other."""
    server.replies(error(401))

    with pytest.raises(AuthenticationError):
        surface.open_stream(asked, "count")


async def test_b3_an_unawaited_iteration_raises_them_at_its_first_step(server: FakeServer, asked: Any):
    server.replies(error(401))

    with pytest.raises(AuthenticationError):
        await anext(asked.agenerate("count", stream=True))
    await server.llms[0].aclose()


async def _task_group(stream: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream)
    return task.result()


async def _gathered(stream: Any) -> Any:
    (same,) = await asyncio.gather(stream)
    return same


TAKERS: dict[str, Callable[[Any], Any]] = {
    "create_task": lambda stream: asyncio.create_task(stream),
    "gather": _gathered,
    "TaskGroup": _task_group,
    "wait_for": lambda stream: asyncio.wait_for(stream, 5),
    "ensure_future": asyncio.ensure_future,
}


@pytest.mark.parametrize("taker", list(TAKERS))
async def test_b3_whatever_takes_a_coroutine_takes_the_stream(server: FakeServer, wire: Wire, taker: str):
    server.replies(text(WORDS))
    async with wire.llm(server) as llm:
        stream = llm.agenerate("count", stream=True)

        assert await TAKERS[taker](stream) is stream
        assert said([chunk async for chunk in stream]) == WORDS


async def test_b3_agenerate_returns_an_awaitable_from_a_plain_def(server: FakeServer, wire: Wire):
    server.replies(text(WORDS))
    async with wire.llm(server) as llm:
        whole = llm.agenerate("count")
        assert inspect.isawaitable(whole)
        assert (await whole).content == WORDS


@pytest.mark.parametrize("is_whole", [True, False], ids=["after the end", "after a break"])
def test_b3_a_second_iteration_raises(surface: Surface, server: FakeServer, wire: Wire, is_whole: bool):
    server.replies(text(WORDS))
    _, stream = surface.take(wire.llm(server), 1000 if is_whole else 1, "count")

    with pytest.raises(ConfigurationError, match=r"iterated already|closed"):
        surface.iterate(stream)
    surface.close(stream)
    assert WORDS.startswith(stream.partial.content)


# ---- leaving it ------------------------------------------------------------------------------


def test_b3_break_closes_with_the_stream_still_in_a_variable(
    surface: Surface, server: FakeServer, asked: Any
):
    server.replies(hangs_after("one two"))

    taken, stream = surface.take(asked, 1, "count")

    surface.wait_for(server, lambda server: server.disconnects == 1)
    assert said(taken) == "one "
    assert stream.partial.content.startswith("one ")


def test_b3_close_closes(surface: Surface, server: FakeServer, asked: Any):
    server.replies(hangs_after("one two"))
    stream = surface.open_stream(asked, "count")
    stream.next()

    stream.close()
    stream.close()

    surface.wait_for(server, lambda server: server.disconnects == 1)
    with pytest.raises(ClosedError):
        stream.next()


def test_b3_close_before_the_first_step_closes(surface: Surface, server: FakeServer, asked: Any):
    server.replies(hangs_after("one two"))
    surface.open_stream(asked, "count").close()

    surface.wait_for(server, lambda server: server.disconnects == 1)


def test_b3_an_exception_in_the_body_closes(surface: Surface, server: FakeServer, asked: Any):
    server.replies(hangs_after("one two"))

    def sync() -> None:
        for _ in asked.generate("count", stream=True):
            raise KeyError("of the body")

    async def awaited() -> None:
        async for _ in asked.agenerate("count", stream=True):
            raise KeyError("of the body")

    with pytest.raises(KeyError, match="of the body"):
        surface.run(sync if surface.name == "sync" else awaited)
    surface.wait_for(server, lambda server: server.disconnects == 1)


@pytest.mark.parametrize("when", ["before the first chunk", "between chunks"])
async def test_b3_a_cancel_closes(server: FakeServer, asked: Any, when: str):
    server.replies(hangs_after("one two") if when == "between chunks" else sse([Hang()]))
    arrived = asyncio.Event()

    async def read() -> None:
        async for chunk in asked.agenerate("count", stream=True):
            if chunk.content.startswith("tw"):
                arrived.set()

    task = asyncio.create_task(read())
    await (arrived.wait() if when == "between chunks" else server.until(lambda server: server.hanging))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await server.until(lambda server: server.disconnects == 1)
    await server.llms[0].aclose()


async def test_b3_a_timeout_of_the_caller_is_theirs_and_closes(server: FakeServer, asked: Any):
    server.replies(hangs_after("one two"))

    async def read() -> None:
        async with asyncio.timeout(0.5):
            async for _ in asked.agenerate("count", stream=True):
                pass

    with pytest.raises(TimeoutError) as raised:
        await read()

    assert type(raised.value) is TimeoutError
    await server.until(lambda server: server.disconnects == 1)
    await server.llms[0].aclose()


@pytest.mark.parametrize("is_begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_b3_garbage_collection_closes(surface: Surface, server: FakeServer, asked: Any, is_begun: bool):
    server.replies(hangs_after("one two"))
    stream = surface.open_stream(asked, "count")
    if is_begun:
        stream.next()

    del stream
    gc.collect()

    surface.wait_for(server, lambda server: server.disconnects == 1, timeout=2.5)


def test_b3_a_stream_that_nobody_read_is_warned_of(server: FakeServer):
    server.replies(hangs_after("one two"))
    held = [server.llm().generate("count", stream=True)]

    with pytest.warns(ResourceWarning, match="neither read .*nor closed"):
        held.clear()


async def test_b3_an_async_stream_that_was_never_sent_needs_no_care(server: FakeServer):
    """No request, no warning: the object is only a plan."""
    async with server.llm() as llm:
        stream = llm.agenerate("count", stream=True)
        del stream
        gc.collect()
    assert server.requests == []


def test_b3_a_connection_read_to_its_end_is_used_again(surface: Surface, server: FakeServer, asked: Any):
    server.replies(text(WORDS))

    for _ in range(3):
        surface.stream(asked, "count")

    assert server.connections == 1


def test_b3_the_chunks_come_while_the_answer_is_written(surface: Surface, server: FakeServer, wire: Wire):
    gate = threading.Event()
    server.replies(held_after(text("one two", piece=4), "one ", gate))

    with surface.open_stream(wire.llm(server), "count") as stream:
        assert stream.next().content == "one "
        gate.set()
        assert said(stream.rest()) == "two"


# ---- B5 --------------------------------------------------------------------------------------

SHORT: dict[str, Callable[[], Reply]] = {
    "ends without its mark": lambda: unfinished("one two"),
    "is closed": lambda: unfinished("one two", ending="close"),
    "is reset": lambda: unfinished("one two", ending="reset"),
    "ends inside an event": lambda: half_said(unfinished("one two")),
}


def half_said(reply: Reply) -> Reply:
    """The same with the beginning of one more event before its end, in whichever dialect."""

    def add(steps: Sequence[Step]) -> list[Step]:
        last = next(step.data for step in reversed(steps) if isinstance(step, Chunk))
        return [*steps[:-1], Chunk(last[: len(last) // 2]), steps[-1]]

    return reply.changed(add)


@pytest.mark.parametrize("how", list(SHORT))
def test_b5_a_stream_cut_short_is_an_error_with_what_had_arrived(
    surface: Surface, server: FakeServer, asked: Any, how: str
):
    server.replies(SHORT[how]())
    stream = surface.open_stream(asked, "count", include="generating")
    got: list[StreamChunk] = []

    with pytest.raises(IncompleteStreamError) as raised:
        got.extend(iter(stream.next, None))

    assert said(got) == "one two"
    assert raised.value.partial is not None
    assert raised.value.partial.content == "one two"
    assert raised.value.partial.finish_reason is None
    assert (raised.value.attempts, raised.value.retryable) == (1, False)
    assert len(server.requests) == 1
    assert stream.partial.content == "one two"
    surface.wait_for(server, lambda server: server.in_flight == 0)


def test_b5_a_finish_reason_is_an_end_without_the_mark(surface: Surface, server: FakeServer):
    """As some servers of the chat wire end their streams, which never send [DONE]."""
    server.replies(text(WORDS, done=False))

    with surface.open_stream(server.llm(), "count") as stream:
        stream.rest()
        assert stream.response.content == WORDS


def test_b3_the_end_of_the_words_does_not_wait_for_the_socket(
    surface: Surface, server: FakeServer, wire: Wire
):
    """A server that goes on after the end mark is left within a moment."""
    server.replies(text(WORDS, ending="hang"))
    start = time.monotonic()

    surface.stream(wire.llm(server), "count")

    assert time.monotonic() - start < 1
    surface.wait_for(server, lambda server: server.disconnects == 1)
