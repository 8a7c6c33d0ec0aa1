"""FAULTS 1.8, abandoned streams: however one is left, the server sees it at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from abstractcore import AsyncStream, BasicSession, ClosedError, ConfigurationError, Stream
from tests.fakes import any_wire
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

TEXT = "one two three four"
GC_SECONDS = 2.5


def hanging() -> Reply:
    """A stream that gives TEXT and then nothing more, until the client leaves."""
    return any_wire.unfinished(TEXT, ending="hang")


@contextlib.contextmanager
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is said where nobody can catch it: warnings, unraisable exceptions, errors in the log."""
    heard: list[str] = []
    unraisable, sys.unraisablehook = sys.unraisablehook, lambda args: heard.append(repr(args.exc_value))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield heard
            heard += [warning.category.__name__ for warning in caught]
            heard += [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    finally:
        sys.unraisablehook = unraisable


@pytest.fixture(params=["llm", "session"])
def asked(request: pytest.FixtureRequest, server: FakeServer, wire: Wire) -> Any:
    """Who streams: the LLM itself, or a session, whose turn must end with the stream."""
    server.replies(hanging(), any_wire.text("the next"))
    llm = wire.llm(server)
    return llm if request.param == "llm" else BasicSession(llm)


def gone(server: FakeServer) -> bool:
    return server.disconnects == 1 and server.open_sockets == 0


def goes_on(surface: Surface, asked: Any) -> None:
    """The next call is answered, and a session's history has no trace of the abandoned turn."""
    assert surface.generate(asked, "again").content == "the next"
    if isinstance(asked, BasicSession):
        assert [message["content"] for message in asked.messages] == ["again", "the next"]


# ---- leaving on purpose -----------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_closing_a_stream_closes_the_request(
    taken: int, surface: Surface, server: FakeServer, asked: Any
) -> None:
    """1.8: close() and aclose(), < 1 s."""
    stream = surface.open_stream(asked, "hi")
    for _ in range(taken):
        stream.next()

    stream.close()

    surface.wait_for(server, gone)
    stream.close()
    goes_on(surface, asked)


def test_leaving_a_with_block_closes_the_request(surface: Surface, server: FakeServer, asked: Any) -> None:
    """1.8: streams are context managers."""
    with pytest.raises(ZeroDivisionError):
        in_context(surface, asked)

    surface.wait_for(server, gone)
    goes_on(surface, asked)


def test_break_closes_the_request_of_a_stream_in_a_variable(
    surface: Surface, server: FakeServer, asked: Any
) -> None:
    """1.8, B3."""
    taken, stream = surface.take(asked, 2, "hi")

    surface.wait_for(server, gone)
    assert [chunk.content for chunk in taken] == [TEXT[:4], TEXT[4:8]]
    assert stream.partial.content == TEXT[:8]
    goes_on(surface, asked)


def test_a_failing_body_closes_the_request(surface: Surface, server: FakeServer, asked: Any) -> None:
    """1.8, B3: also while the traceback, which holds the frame of the loop, is kept."""
    streams: list[Any] = []
    with pytest.raises(ZeroDivisionError) as caught:
        in_loop(surface, asked, streams)
    assert caught.tb is not None

    surface.wait_for(server, gone)
    assert streams[0].partial.content.startswith(TEXT[:4])


def in_context(surface: Surface, asked: Any) -> None:
    def blocking() -> None:
        with asked.generate("hi", stream=True) as stream:
            next(stream)
            raise ZeroDivisionError

    async def awaiting() -> None:
        async with asked.agenerate("hi", stream=True) as stream:
            await anext(stream)
            raise ZeroDivisionError

    surface.run(blocking if surface.name == "sync" else awaiting)


def in_loop(surface: Surface, asked: Any, streams: list[Any]) -> None:
    def blocking() -> None:
        streams.append(asked.generate("hi", stream=True))
        for _ in streams[0]:
            raise ZeroDivisionError

    async def awaiting() -> None:
        streams.append(asked.agenerate("hi", stream=True))
        async for _ in streams[0]:
            raise ZeroDivisionError

    surface.run(blocking if surface.name == "sync" else awaiting)


# ---- forgetting -------------------------------------------------------------------------------


def forget(surface: Surface, asked: Any, how: str) -> None:
    def blocking() -> None:
        stream = asked.generate("hi", stream=True)
        if how == "stepped":
            next(stream)
        elif how == "iterator made":
            iter(stream)
        elif how == "in a circle":
            next(stream)
            circle = [stream]
            circle.append(circle)

    async def awaiting() -> None:
        stream = await asked.agenerate("hi", stream=True)
        if how == "stepped":
            await anext(stream)
        elif how == "iterator made":
            aiter(stream)
        elif how == "in a circle":
            await anext(stream)
            circle = [stream]
            circle.append(circle)

    surface.run(blocking if surface.name == "sync" else awaiting)


@pytest.mark.parametrize("how", ["unread", "stepped", "iterator made", "in a circle"])
def test_a_forgotten_stream_closes_its_request_and_warns_once(
    how: str, surface: Surface, server: FakeServer, asked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """1.8: GC, < 2.5 s; exactly one ResourceWarning, no traceback."""
    gc.collect()
    gc.disable()
    try:
        with listening(caplog) as heard:
            forget(surface, asked, how)
            if how == "in a circle":
                assert server.disconnects == 0
                gc.collect()
            surface.wait_for(server, gone, GC_SECONDS)
            goes_on(surface, asked)
    finally:
        gc.enable()
    assert heard == ["ResourceWarning"]


def test_a_loop_left_by_break_makes_no_noise(
    surface: Surface, server: FakeServer, asked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """1.8: also when nothing but the loop held the stream."""

    def blocking() -> None:
        for _ in asked.generate("hi", stream=True):
            break

    async def awaiting() -> None:
        async for _ in asked.agenerate("hi", stream=True):
            break

    with listening(caplog) as heard:
        surface.run(blocking if surface.name == "sync" else awaiting)
        surface.wait_for(server, gone)
        goes_on(surface, asked)
        gc.collect()
    assert heard == []


def test_a_forgotten_stream_ends_under_warnings_as_errors(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.8: -W error turns the warning into an unraisable exception, and does not keep the socket."""
    server.replies(hanging())
    llm = wire.llm(server)
    raised: list[Any] = []
    unraisable, sys.unraisablehook = sys.unraisablehook, raised.append
    try:
        forget(surface, llm, "unread")
        surface.wait_for(server, gone, GC_SECONDS)
    finally:
        sys.unraisablehook = unraisable
    assert [type(each.exc_value) for each in raised] == [ResourceWarning]


# ---- a blocking stream beside a loop ----------------------------------------------------------


async def test_a_blocking_stream_is_left_inside_a_running_loop(server: FakeServer, wire: Wire) -> None:
    """1.8: the loop does not turn in between, and the request is closed all the same."""
    server.replies(hanging())
    llm = wire.llm(server)

    for _ in llm.generate("hi", stream=True):
        break
    server.wait_for(gone)
    with pytest.warns(ResourceWarning):
        llm.generate("hi", stream=True)
    server.wait_for(lambda s: s.disconnects == 2)


def test_a_blocking_stream_outlives_the_loop_it_was_opened_in(server: FakeServer, wire: Wire) -> None:
    """1.8, B5: the end of a loop that has nothing to do with it does not cut it short unseen."""
    server.replies(any_wire.text(TEXT))
    llm = wire.llm(server)

    async def open_here() -> tuple[Any, str]:
        stream = llm.generate("hi", stream=True)
        return stream, next(stream).content

    stream, first = asyncio.run(open_here())

    assert first + "".join(chunk.content for chunk in stream) == TEXT
    assert stream.response.content == TEXT


# ---- who else is reading ----------------------------------------------------------------------


def test_closing_what_another_reads_is_refused_in_our_own_words(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.8: no RuntimeError of a running generator; the reader goes on, and closing the LLM ends it."""
    server.replies(hanging())
    llm = wire.llm(server)
    handle = surface.open_stream(llm, "hi")
    reading = surface.start(lambda: _read(surface, handle.stream))
    surface.wait_for(server, lambda s: s.hanging == 1)

    with pytest.raises(ConfigurationError, match="read by another"):
        handle.close()
    with pytest.raises(ConfigurationError, match="read by another"):
        surface.step(handle.stream)
    surface.close(llm)

    assert isinstance(reading.outcome(1.0), ClosedError)
    surface.wait_for(server, gone)


def _read(surface: Surface, stream: Stream | AsyncStream) -> Any:
    async def read() -> list[Any]:
        return [chunk async for chunk in stream]

    return read() if isinstance(stream, AsyncStream) else list(stream)
