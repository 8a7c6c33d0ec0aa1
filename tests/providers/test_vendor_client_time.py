"""B7, FAULTS 1.8 through a vendor's client: our deadline, leaving, and logging in, which is the client's."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.drivers.base import Deadline, HttpRequest
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.drivers.colours import Limits
from abstractcore.drivers.eventloop import ASYNC
from abstractcore.drivers.vendor_clients import Kind, VendorClient
from abstractcore.errors import (
    AuthenticationError,
    ClosedError,
    IncompleteStreamError,
    RequestTimeoutError,
)
from tests.fakes import faults
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import AsyncSurface, Surface, WholeOrStream
from tests.providers.asking import failure_of, few
from tests.providers.conftest import MODEL, VENDORS, Vendor

Make = Callable[..., Any]
LONG = "word " * 40


# Time


def test_a_hang_before_the_answer_ends_at_the_deadline(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(faults.hangs())
    llm = make_llm(vendor)
    begun = time.monotonic()

    failure = failure_of(surface, whole_or_stream, llm, timeout=0.4)

    assert 0.35 <= time.monotonic() - begun <= 1.4
    assert (type(failure), failure.phase, failure.attempts) == (RequestTimeoutError, "headers", 1)
    surface.wait_for(server, lambda server: server.disconnects == 1)


@few
@pytest.mark.parametrize("bound", [{"timeout": 0.4}, {"timeout": 30}])
def test_a_hang_in_the_answer_ends_at_the_deadline_or_in_silence(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make,
    bound: dict[str, float],
) -> None:  # fmt: skip
    server.replies(vendor.sends(vendor.dialect.text(LONG)).cut(0.6, ending="hang"))
    llm = make_llm(vendor, max_retries=0, read_timeout=0.4 if bound["timeout"] == 30 else 120)
    begun = time.monotonic()

    failure = failure_of(surface, whole_or_stream, llm, **bound)

    assert 0.35 <= time.monotonic() - begun <= 1.4
    kind = IncompleteStreamError if whole_or_stream.streams else RequestTimeoutError
    assert (type(failure), failure.phase) == (kind, "body")
    surface.wait_for(server, lambda server: server.disconnects == 1)


@few
def test_a_dripping_answer_ends_at_the_deadline(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    if vendor.needs == "boto3" and whole_or_stream.streams:
        pytest.skip(
            "Bedrock's client reads the bytes of its stream: what drips less than an event is silence"
        )
    server.replies(faults.drips(vendor.sends(vendor.dialect.text(LONG)), pause=0.02, head=False))
    llm = make_llm(vendor)
    begun = time.monotonic()

    failure = failure_of(surface, whole_or_stream, llm, timeout=2.0)

    assert 1.95 <= time.monotonic() - begun <= 4
    assert (type(failure), failure.phase) == (RequestTimeoutError, "total")


@few
def test_what_comes_after_the_end_is_not_waited_for(
    surface: Surface, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text("Hello.", ending="hang")))
    llm = make_llm(vendor)
    begun = time.monotonic()

    assert WholeOrStream("stream").ask(surface, llm, "Hi").content == "Hello."
    assert time.monotonic() - begun < 1
    surface.wait_for(server, lambda server: server.disconnects == 1)


# Leaving


def test_break_is_seen_by_the_server(
    surface: Surface, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text(LONG, ending="hang", done=False)))

    chunks, _ = surface.take(make_llm(vendor), 2, "Hi")

    assert len(chunks) == 2
    surface.wait_for(server, lambda server: server.disconnects == 1)


@few
def test_an_abandoned_stream_is_seen_by_the_server(
    surface: Surface, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text(LONG, ending="hang", done=False)))
    stream = surface.open_stream(make_llm(vendor), "Hi")
    stream.next()

    del stream
    gc.collect()

    surface.wait_for(server, lambda server: server.disconnects == 1, 2.5)


@few
@pytest.mark.parametrize("moment", ["before the answer", "in the answer"])
async def test_a_cancel_is_seen_by_the_server(
    whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, moment: str
) -> None:
    half = vendor.sends(vendor.dialect.text(LONG)).cut(0.5, ending="hang")
    server.replies(faults.hangs() if moment == "before the answer" else half)
    async with vendor.make(server, "async") as client:
        llm = create_llm(vendor.provider, MODEL, client=client)

        async def ask() -> None:
            if not whole_or_stream.streams:
                await llm.agenerate("Hi")
                return
            async for _ in llm.agenerate("Hi", stream=True):
                pass

        task = asyncio.create_task(ask())
        await server.until(lambda server: server.hanging == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until(lambda server: server.disconnects == 1)

        server.replies(vendor.sends(vendor.dialect.text("Hello.")))
        assert (await llm.agenerate("Hi")).content == "Hello."


@few
def test_close_ends_a_running_call(
    surface: Surface, whole_or_stream: WholeOrStream, vendor: Vendor, server: FakeServer, make_llm: Make
) -> None:
    server.replies(vendor.sends(vendor.dialect.text(LONG)).cut(0.5, ending="hang"))
    llm = make_llm(vendor)

    async def consume() -> None:
        async for _ in llm.agenerate("Hi", stream=True):
            pass

    if not whole_or_stream.streams:
        started = surface.start(surface.later(llm, "Hi"))
    elif surface.name == "async":
        started = surface.start(consume)
    else:
        started = surface.start(lambda: list(llm.generate("Hi", stream=True)))
    surface.wait_for(server, lambda server: server.hanging == 1)

    llm.close()

    assert isinstance(started.outcome(5), ClosedError)
    surface.wait_for(server, lambda server: server.disconnects == 1)


def test_close_ends_a_call_that_waits_for_its_answer(server: FakeServer) -> None:
    """On the async surface; a thread is let go by its own deadline."""
    server.replies(faults.hangs())
    surface = AsyncSurface()
    client = VENDORS["openai"].make(server, "async")
    llm = create_llm("openai", MODEL, client=client)
    started = surface.start(surface.later(llm, "Hi"))
    server.wait_for(lambda server: server.hanging == 1)

    llm.close()

    assert isinstance(started.outcome(5), ClosedError)
    surface.run(client.close)
    surface.shut()


@few
def test_an_answer_that_nobody_reads_is_closed(
    surface: Surface, vendor: Vendor, server: FakeServer, make_client: Make
) -> None:
    server.replies(vendor.dialect.text(LONG).cut(0.5, ending="hang"))
    kind = Kind(vendor.package, surface.name == "async")
    transport = VendorClient(vendor.provider, make_client(vendor), kind, Limits())
    body = b'{"model":"m","messages":[],"max_tokens":9}'
    request = HttpRequest(
        "POST", vendor.path if vendor.package == "anthropic" else "/chat/completions", {}, body
    )

    async def leave() -> None:
        driver = ASYNC if surface.name == "async" else BLOCKING
        (await driver.send(transport, request, Deadline.after(9))).discard()

    surface.run(leave if surface.name == "async" else lambda: run(leave()))

    surface.wait_for(server, lambda server: server.disconnects == 1)
    assert transport.running == set()


# Logging in


def test_a_client_without_a_key_is_told(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, make_client: Make
) -> None:
    client = make_client(VENDORS["anthropic"], api_key=None)

    failure = failure_of(surface, whole_or_stream, create_llm("anthropic", MODEL, client=client))

    assert (type(failure), failure.attempts) == (AuthenticationError, 1)
    assert server.requests == []


def test_a_token_that_cannot_be_fetched(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, make_client: Make
) -> None:
    def no_token() -> str:
        raise LookupError("no credential is available")

    client = make_client(VENDORS["azure"], api_key=None, azure_ad_token_provider=no_token)

    failure = failure_of(surface, whole_or_stream, create_llm("openai", MODEL, client=client))

    assert (type(failure), server.requests) == (AuthenticationError, [])
    assert "no credential is available" in failure.message


def test_a_token_of_the_moment_is_scrubbed_too(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, make_client: Make
) -> None:
    token = "of-the-moment-1234567890"

    async def fetch() -> str:
        return token

    provider = fetch if surface.name == "async" else lambda: token
    client = make_client(VENDORS["azure"], api_key=None, azure_ad_token_provider=provider)
    server.replies(whole(400, {"error": {"message": f"what is {token}?"}}))

    failure = failure_of(surface, whole_or_stream, create_llm("openai", MODEL, client=client))

    assert token not in f"{failure} {vars(failure)}"
    assert "what is ***?" in failure.message
