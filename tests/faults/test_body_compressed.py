"""Compressed bodies, and how large a body may be: FAULTS 1.3."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from abstractcore.errors import ConfigurationError, ResponseError
from tests.fakes import faults
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, assert_told, failure_of
from .rows_body import ANSWER

MEGABYTE = 1024 * 1024


def assert_unusable(failure: Any, server: FakeServer, waits: list[float]) -> None:
    """A 200 that cannot be used was billed all the same: it is not asked for again."""
    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert (len(server.requests), waits) == (1, [])


def test_a_compressed_stream_is_opened_as_it_arrives(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.3 gzip ok, streamed: a chunk comes before the next is sent."""
    server.replies(faults.gzipped(text(ANSWER).cut(0.9, ending="hang")))

    with surface.open_stream(wire.llm(server), "Hi") as stream:
        assert stream.next().content == ANSWER[:4]


def test_a_compression_that_was_not_asked_for_is_unusable(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 gzip garbage: we ask for gzip and deflate, and get something else."""
    server.replies(text(ANSWER, headers={"Content-Encoding": "br"}))

    failure = failure_of(surface, whole_or_stream, wire.llm(server))

    assert_unusable(failure, server, waits)
    assert "br" in str(failure)
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_bomb_stays_small(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3 gzip bomb: 200 KB of 200 MB; no more than the cap of 64 MB is ever held."""
    server.replies(faults.gzip_bomb())
    llm = wire.llm(server, api_key=KEY)
    tracemalloc.start()
    try:
        failure = failure_of(surface, whole_or_stream, llm)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert_unusable(failure, server, waits)
    assert peak < 80 * MEGABYTE
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_body_over_the_cap_is_unusable(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, waits: list[float]
) -> None:
    """1.3: 64 MB is the cap of a plain body too."""
    server.replies(faults.endless_body(size=MEGABYTE, pause=0))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, timeout=30))

    assert_unusable(failure, server, waits)
    server.wait_for(lambda s: s.open_sockets == 0)
    assert server.bytes_sent < 80 * MEGABYTE


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
def test_the_cap_is_the_callers(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    wire: Wire,
    waits: list[float],
    is_packed: bool,
) -> None:
    """1.3: the cap is configurable, and holds for whole bodies and streams, compressed or not."""
    answer = text("x" * 3_000)
    server.replies(faults.gzipped(answer) if is_packed else answer)

    assert (
        whole_or_stream.ask(surface, wire.llm(server, max_body_bytes=MEGABYTE), "Hi").content == "x" * 3_000
    )
    failure = failure_of(surface, whole_or_stream, wire.llm(server, max_body_bytes=2_000))

    assert_told(failure, ResponseError, attempts=1, retryable=False)
    assert "max_body_bytes" in str(failure)
    server.wait_for(lambda s: s.open_sockets == 1)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), True, "1", None])
def test_a_cap_that_is_none_is_refused_when_the_llm_is_made(server: FakeServer, wrong: Any) -> None:
    """1.3: the cap cannot be taken away by mistake."""
    if wrong is None:
        assert server.llm(max_body_bytes=None).model
        return
    with pytest.raises(ConfigurationError, match="max_body_bytes"):
        server.llm(max_body_bytes=wrong)
