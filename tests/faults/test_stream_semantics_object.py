"""CONTRACT B3: what the one stream object is, on each surface. (FAULTS 1.8 says what leaving it does.)"""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import (
    AsyncStream,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    Stream,
)
from tests.fakes import faults, openai_chat
from tests.fakes.replies import Hang, Reply, sse
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

TEXT = "one two three four"


def hanging(text: str = TEXT) -> Reply:
    """A stream that gives *text* and then nothing more, until the client leaves."""
    return sse([*openai_chat.text_chunks(text, usage=False)[:-1], Hang()], done=False)


async def text_of(stream: Any) -> str:
    return "".join([chunk.content async for chunk in stream])


async def left(server: FakeServer, count: int = 1) -> None:
    """The server has seen them go."""
    await server.until(lambda s: s.disconnects == count and s.open_sockets == 0, 1.0)


# ---- the asynchronous one ---------------------------------------------------------------------


async def test_an_async_stream_is_a_coroutine_an_iterator_and_a_context(server: FakeServer) -> None:
    """B3."""
    stream = server.llm().agenerate("hi", stream=True)

    assert isinstance(stream, AsyncStream)
    assert isinstance(stream, collections.abc.Coroutine)
    assert isinstance(stream, collections.abc.AsyncIterator)
    assert asyncio.iscoroutine(stream)
    assert hasattr(stream, "__aenter__")
    assert server.requests == []


ASYNC_WAYS: dict[str, Callable[[Any], Any]] = {
    "await": lambda stream: stream,
    "create_task": asyncio.create_task,
    "ensure_future": asyncio.ensure_future,
    "wait_for": lambda stream: asyncio.wait_for(stream, 5),
    "shield": asyncio.shield,
    "gather": lambda stream: _first(asyncio.gather(stream)),
    "TaskGroup": lambda stream: _in_group(stream),
    "timeout": lambda stream: _in_time(stream),
}


async def _first(gathered: Any) -> Any:
    return (await gathered)[0]


async def _in_group(stream: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(stream, name="named")
        assert "named" in repr(task)
    return task.result()


async def _in_time(stream: Any) -> Any:
    async with asyncio.timeout(5):
        return await stream


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_awaiting_sends_the_request_and_gives_the_stream_itself(way: str, server: FakeServer) -> None:
    """B3."""
    server.replies(openai_chat.text(TEXT))
    stream = server.llm().agenerate("hi", stream=True)

    opened = await ASYNC_WAYS[way](stream)

    assert opened is stream
    assert len(server.requests) == 1
    assert await text_of(opened) == TEXT
    assert stream.response.content == TEXT
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_awaiting_raises_the_errors_of_the_request(way: str, server: FakeServer) -> None:
    """B3."""
    server.replies(openai_chat.error(401))
    stream = server.llm().agenerate("hi", stream=True)

    with pytest.raises((AuthenticationError, ExceptionGroup)) as caught:
        await ASYNC_WAYS[way](stream)
    assert isinstance(caught.value, ExceptionGroup) is (way == "TaskGroup")
    with pytest.raises(ConfigurationError):
        await text_of(stream)


async def test_iterating_unawaited_opens_it_first(server: FakeServer) -> None:
    """B3, D5: both `async for chunk in s` and `async for chunk in await s`."""
    server.replies(openai_chat.text(TEXT))
    llm = server.llm()

    assert await text_of(llm.agenerate("hi", stream=True)) == TEXT
    assert await text_of(await llm.agenerate("hi", stream=True)) == TEXT
    server.replies(openai_chat.error(401))
    with pytest.raises(AuthenticationError):
        await text_of(llm.agenerate("hi", stream=True))


async def test_two_streams_run_at_the_same_time(server: FakeServer) -> None:
    """B3: gather takes them, and neither waits for the other."""
    server.replies(hanging())
    llm = server.llm()

    one, two = await asyncio.gather(llm.agenerate("a", stream=True), llm.agenerate("b", stream=True))

    assert (await anext(one)).content == (await anext(two)).content
    assert server.max_concurrent == 2
    await asyncio.gather(one.aclose(), two.aclose())
    await left(server, 2)


async def test_awaiting_again_gives_the_same_stream(server: FakeServer) -> None:
    """B3: one object, one request."""
    server.replies(openai_chat.text(TEXT))
    stream = await server.llm().agenerate("hi", stream=True)

    assert await stream is stream
    async with stream as same:
        assert same is stream
        assert await text_of(stream) == TEXT
    assert len(server.requests) == 1


async def test_two_tasks_cannot_open_one_stream(server: FakeServer) -> None:
    """B3: the one that comes second is told, and takes nothing away from the first."""
    server.replies(faults.hangs())
    stream = server.llm().agenerate("hi", stream=True)
    opening = asyncio.create_task(stream)
    await server.until(lambda s: s.hanging == 1)

    with pytest.raises(ConfigurationError, match="another task"):
        async with stream:
            pass

    assert not opening.done()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await left(server)


async def test_an_async_stream_closed_before_it_is_opened_sends_nothing(server: FakeServer) -> None:
    """B3: and cannot be opened any more."""
    stream = server.llm().agenerate("hi", stream=True)
    await stream.aclose()
    await stream.aclose()

    with pytest.raises(ClosedError):
        await stream
    with pytest.raises(ClosedError):
        await text_of(stream)
    assert server.requests == []


async def test_an_async_stream_that_nobody_opens_makes_no_noise(server: FakeServer) -> None:
    """B3: no request, so nothing is lost; the filters of this suite make any warning an error."""
    stream = server.llm().agenerate("hi", stream=True)
    stream.close()
    del stream
    task = asyncio.create_task(server.llm().agenerate("hi", stream=True))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()

    assert server.requests == []


async def test_wrong_arguments_are_raised_at_the_call(server: FakeServer) -> None:
    """B3: agenerate is a plain def."""
    llm = server.llm()

    for arguments in ({"temperature": -1}, {"include": "speaking"}, {"tmperature": 1}):
        with pytest.raises((ValueError, TypeError)):
            llm.agenerate("hi", stream=True, **arguments)


async def test_one_stream_inside_another_task_s_timeout(server: FakeServer) -> None:
    """B3, D6: a timeout in the middle closes the request; what arrived is there."""
    server.replies(hanging())
    stream = server.llm().agenerate("hi", stream=True)

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.2):
            await text_of(stream)

    assert type(caught.value) is TimeoutError
    assert stream.partial.content == TEXT
    await left(server)


# ---- the blocking one -------------------------------------------------------------------------


def test_a_stream_is_an_iterator_and_a_context(server: FakeServer) -> None:
    """B3: the request is sent at the call."""
    server.replies(openai_chat.text(TEXT))

    stream = server.llm().generate("hi", stream=True)

    assert isinstance(stream, Stream)
    assert isinstance(stream, collections.abc.Iterator)
    assert len(server.requests) == 1
    with stream as same:
        assert same is stream
        assert "".join(chunk.content for chunk in stream) == TEXT


def test_a_stream_raises_the_errors_of_its_request_at_the_call(server: FakeServer) -> None:
    """B3."""
    server.replies(openai_chat.error(401))

    with pytest.raises(AuthenticationError):
        server.llm().generate("hi", stream=True)


# ---- both -------------------------------------------------------------------------------------


def test_a_second_iteration_raises(surface: Surface, server: FakeServer) -> None:
    """B3: it is never an empty one."""
    server.replies(openai_chat.text(TEXT))
    stream = surface.open_stream(server.llm(), "hi").stream
    assert read_all(surface, stream) == TEXT

    with pytest.raises(ConfigurationError, match="iterated already"):
        read_all(surface, stream)
    assert stream.response.content == TEXT


def test_the_response_is_there_at_the_end(surface: Surface, server: FakeServer) -> None:
    """B3: stream.response, stream.partial."""
    server.replies(openai_chat.text(TEXT))

    with surface.open_stream(server.llm(), "hi") as stream:
        with pytest.raises(ConfigurationError, match="not ended"):
            _ = stream.response
        assert stream.next().content == TEXT[:4]
        assert stream.partial.content == TEXT[:4]
        stream.rest()
        assert stream.next() is None
        assert stream.response == stream.partial
        assert stream.response.content == TEXT
        assert stream.response.gen_time > 0
    assert stream.response.content == TEXT


def test_a_stream_can_be_stepped_and_then_looped_over(surface: Surface, server: FakeServer) -> None:
    """B3: `next(stream)` takes one; a loop after it goes on, and its `break` closes."""
    server.replies(openai_chat.text(TEXT), hanging())
    llm = server.llm()

    stream = surface.open_stream(llm, "hi").stream
    assert surface.step(stream).content == TEXT[:4]
    assert read_all(surface, stream) == TEXT[4:]
    assert surface.step(stream) is None
    with pytest.raises(ConfigurationError, match="iterated already"):
        read_all(surface, stream)

    stream = surface.open_stream(llm, "hi").stream
    surface.step(stream)
    break_out_of(surface, stream)
    surface.wait_for(server, lambda s: s.disconnects == 1)


def test_a_loop_over_a_closed_stream_raises(surface: Surface, server: FakeServer) -> None:
    """B3."""
    server.replies(hanging())
    stream = surface.open_stream(server.llm(), "hi")
    stream.next()
    stream.close()
    stream.close()

    with pytest.raises(ClosedError, match="closed"):
        read_all(surface, stream.stream)
    assert stream.partial.content == TEXT[:4]


def test_only_wanted_phases_are_given_and_all_is_kept(surface: Surface, server: FakeServer) -> None:
    """B3, D4: include= drops chunks of the caller's, not of the response's."""
    server.replies(openai_chat.text("four", reasoning="two and two"))

    with surface.open_stream(server.llm(), "hi", include="thinking") as stream:
        assert {chunk.phase for chunk in stream.rest()} == {"thinking"}
        assert (stream.response.content, stream.response.reasoning) == ("four", "two and two")


def test_no_warning_comes_of_a_stream_that_was_read_or_closed(surface: Surface, server: FakeServer) -> None:
    """B3: only an abandoned one is worth a warning."""
    server.replies(openai_chat.text(TEXT))
    llm = server.llm()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        surface.stream(llm, "hi")
        surface.take(llm, 1, "hi")
        surface.open_stream(llm, "hi").close()
        stepped = surface.open_stream(llm, "hi").stream
        while surface.step(stepped) is not None:
            pass
        del stepped
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def read_all(surface: Surface, stream: Any) -> str:
    async def read() -> str:
        return await text_of(stream)

    if surface.name == "async":
        text: str = surface.run(read)
        return text
    return "".join(chunk.content for chunk in stream)


def break_out_of(surface: Surface, stream: Any) -> None:
    async def leave() -> None:
        async for _ in stream:
            break

    if surface.name == "async":
        surface.run(leave)
        return
    for _ in stream:
        break
