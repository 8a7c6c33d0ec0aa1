"""The async surface on uvloop, which uvicorn takes where it is installed: another maker of transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from abstractcore import ConnectionFailedError, RequestTimeoutError
from abstractcore.drivers.tls import ssl_context
from tests.fakes import faults
from tests.fakes.any_wire import text, unfinished
from tests.fakes.network import refused_port
from tests.fakes.server import CA_FILE, FakeServer

uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this system")
LONG = "x" * 2_000_000


def on_uvloop(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run *work* to its end; what the loop itself had to complain of is a failure."""
    complaints: list[Any] = []

    async def watched() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await work()

    result = uvloop.run(watched())
    assert complaints == []
    return result


def test_calls_and_streams_share_a_connection(server: FakeServer) -> None:
    server.replies(text("Hello, you."))
    llm = server.llm()

    async def work() -> list[str]:
        whole = await llm.agenerate("Hi")
        return [whole.content, "".join([chunk.content async for chunk in llm.agenerate("Hi", stream=True)])]

    assert on_uvloop(work) == ["Hello, you."] * 2
    assert server.connections == 1


def test_tls_by_a_name_of_several_addresses(tls_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CA_FILE))
    ssl_context.cache_clear()
    tls_server.replies(text("Hello, you."))
    llm = tls_server.llm(base_url=f"https://localhost:{tls_server.port}/v1")
    try:
        assert on_uvloop(lambda: llm.agenerate("Hi")).content == "Hello, you."
    finally:
        ssl_context.cache_clear()


def test_more_than_the_buffers_hold_goes_both_ways(server: FakeServer) -> None:
    """Reading and writing are paused, and go on."""
    server.replies(text(LONG))
    llm = server.llm()

    assert on_uvloop(lambda: llm.agenerate(LONG)).content == LONG
    assert server.requests[0].json.messages[-1].content == LONG


@pytest.mark.parametrize("way", ["break", "cancel"])
def test_whoever_leaves_closes_the_request(server: FakeServer, way: str) -> None:
    server.replies(unfinished("Once", ending="hang") if way == "break" else faults.hangs())
    llm = server.llm()

    async def read() -> None:
        async for _ in llm.agenerate("Hi", stream=True):
            break

    async def work() -> None:
        if way == "break":
            await read()
        else:
            task = asyncio.create_task(llm.agenerate("Hi"))
            await server.until(lambda s: s.hanging == 1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        await server.until(lambda s: s.disconnects == 1 and s.open_sockets == 0)

    on_uvloop(work)


def test_failures_are_the_same_errors(server: FakeServer) -> None:
    server.replies(faults.hangs())
    llm = server.llm(max_retries=0)
    nobody = server.llm(base_url=f"http://127.0.0.1:{refused_port()}/v1", max_retries=0)

    async def work() -> None:
        with pytest.raises(RequestTimeoutError):
            await llm.agenerate("Hi", timeout=0.1)
        with pytest.raises(ConnectionFailedError):
            await nobody.agenerate("Hi")

    on_uvloop(work)
    server.wait_for(lambda s: s.open_sockets == 0)


def test_a_time_that_runs_out_while_bytes_come_is_the_calls_own(server: FakeServer) -> None:
    """Its timers may be early by a part of a millisecond; the server was no less busy sending."""
    server.replies(faults.comments_only(pause=0.001))
    llm = server.llm(max_retries=0)

    async def work() -> set[str | None]:
        phases: set[str | None] = set()
        for _ in range(20):
            with pytest.raises(RequestTimeoutError) as caught:
                async for _ in llm.agenerate("Hi", stream=True, timeout=0.03):
                    pass
            phases.add(caught.value.phase)
        return phases

    phases = on_uvloop(work)
    assert "total" in phases  # on a busy machine there may be others, which come before the body
    assert "body" not in phases
