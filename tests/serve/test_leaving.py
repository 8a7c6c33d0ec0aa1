"""A client that leaves stops its model, a slow one fills no memory, and many at once are answered."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from abstractcore.errors import RateLimitError
from abstractcore.testing import FunctionLLM, ScriptedLLM, wait
from abstractcore.types import Usage
from tests.fakes import any_wire, openai_chat
from tests.fakes.faults import endless_stream, hangs
from tests.fakes.server import FakeServer

from .asking import PATHS, RIGHT, get
from .conftest import Serving
from .speakers import Speaker

Serve = Callable[..., Serving]
Speak = Callable[..., Speaker]
SECONDS = 10.0


def test_a_client_that_leaves_a_whole_answer_is_seen_upstream(
    serve: Serve, server: FakeServer, dialect: str
) -> None:
    server.replies(hangs())
    serving = serve(models={"far": server.llm()})

    with _asked(serving, dialect, {"model": "far", **RIGHT[dialect]}):
        server.wait_for(lambda server: server.hanging == 1, SECONDS)

    server.wait_for(lambda server: server.disconnects == 1, SECONDS)


def test_a_clients_own_timeout_is_seen_upstream(serve: Serve, server: FakeServer) -> None:
    server.replies(hangs())
    serving = serve(models={"far": server.llm()})

    with (
        openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k", max_retries=0, timeout=2.0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.responses.create(model="far", input="?")

    server.wait_for(lambda server: server.disconnects == 1, SECONDS)


def test_a_client_that_leaves_a_stream_is_seen_upstream(
    serve: Serve, speak: Speak, server: FakeServer, dialect: str
) -> None:
    server.replies(any_wire.unfinished("Once upon a time", ending="hang"))
    speaker = speak(serve(models={"far": server.llm()}))
    stream = speaker.stream("Hi", "far", {})
    if dialect == "messages":
        with stream as events:
            next(iter(events))
    else:
        next(iter(stream))
        stream.close()

    server.wait_for(lambda server: server.disconnects == 1, SECONDS)


def test_a_client_that_leaves_in_a_retrys_wait_is_not_asked_for_again(
    serve: Serve, server: FakeServer, dialect: str
) -> None:
    server.replies(any_wire.error(503, headers={"Retry-After": "30"}))
    serving = serve(models={"far": server.llm(max_retries=5)})

    with _asked(serving, dialect, {"model": "far", **RIGHT[dialect]}):
        server.wait_for(lambda server: len(server.requests) == 1, SECONDS)

    metrics = _metrics_when(serving.url, 'status="499"')
    assert 'error="ClientLeft"' in metrics
    assert len(server.requests) == 1


def _metrics_when(url: str, words: str) -> str:
    """Give the metrics once *words* stand in them."""
    deadline = time.monotonic() + SECONDS
    while words not in (page := get(url + "/metrics")[1].decode()):
        assert time.monotonic() < deadline, page
        time.sleep(0.01)
    return page


def test_a_slow_client_holds_up_its_model_and_fills_no_memory(
    serve: Serve, server: FakeServer, dialect: str
) -> None:
    """What is not read here is not read there, but for the buffers of the system."""
    delta = openai_chat.delta({"content": "x" * 30_000})
    server.replies(endless_stream(openai_chat.event_bytes(delta), pause=0))
    serving = serve(models={"far": server.llm()})

    with _asked(serving, dialect, {"model": "far", "stream": True, **RIGHT[dialect]}) as client:
        assert client.recv(12) == b"HTTP/1.1 200"
        _wait_until_quiet(server)
        assert server.bytes_sent < 60_000_000
        assert server.in_flight == 1

    server.wait_for(lambda server: server.disconnects == 1, SECONDS)


def _asked(serving: Serving, dialect: str, body: Any) -> socket.socket:
    """Send a request, and leave its answer unread."""
    data = json.dumps(body).encode()
    parts = urlsplit(serving.url)
    client = socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=SECONDS)
    head = f"POST {PATHS[dialect]} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    client.sendall(head.encode() + data)
    return client


def _wait_until_quiet(server: FakeServer) -> None:
    """Wait until the server could send nothing for a while, which an endless answer does not do of itself."""
    deadline = time.monotonic() + 30
    before, quiet = -1, 0
    while quiet < 5:
        assert time.monotonic() < deadline, f"it never stops: {server.bytes_sent} bytes were taken"
        time.sleep(0.1)
        quiet = quiet + 1 if server.bytes_sent == before else 0
        before = server.bytes_sent


async def test_three_hundred_are_answered_at_once(serve: Serve) -> None:
    """All of them are with the model together before the first has its answer."""
    together = _Together(300)
    serving = serve(models={"m": FunctionLLM(together.answer)})

    answers = await asyncio.gather(*[_ask(serving, number) for number in range(300)])

    assert answers == [f"answer {number}" for number in range(300)]


class _Together:
    """Answers nobody before *count* have asked."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._all = asyncio.Event()

    async def answer(self, request: Any) -> str:
        self._left -= 1
        if self._left == 0:
            self._all.set()
        await self._all.wait()
        return f"answer {request.prompt}"


async def _ask(serving: Serving, number: int) -> str:
    """Ask on a connection of its own: the pools of the clients take longer for so many than the gateway."""
    said = [{"role": "user", "content": str(number)}]
    data = json.dumps({"model": "m", "stream": number % 2 == 0, "messages": said}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(serving.url).port)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = (await reader.read()).decode().partition("\r\n\r\n")[2]
    writer.close()
    await writer.wait_closed()
    if number % 2:
        return str(json.loads(answer)["choices"][0]["message"]["content"])
    events = [line[6:] for line in answer.splitlines() if line.startswith("data: {")]
    return "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events)


def test_what_is_counted_is_told_to_prometheus(serve: Serve, speak: Speak, dialect: str) -> None:
    answer = ["Hello", Usage(7, 3, None, 2, 1)]
    serving = serve(models={"m": ScriptedLLM([answer, answer, RateLimitError("slow down")])})
    speaker = speak(serving)
    speaker.ask(model="m")
    speaker.ask(model="m", stream=True)
    with pytest.raises(speaker.errors.RateLimitError):
        speaker.ask(model="m")
    with pytest.raises(speaker.errors.NotFoundError):
        speaker.ask(model="a name that the client wrote")

    page = _metrics_when(serving.url, 'status="404"')

    told = f'dialect="{dialect}",model="m"'
    for line in (
        f'abstractcore_requests_total{{{told},status="200"}} 2.0',
        f'abstractcore_requests_total{{{told},status="429"}} 1.0',
        f'abstractcore_errors_total{{{told},error="RateLimitError"}} 1.0',
        'abstractcore_tokens_total{kind="input",model="m"} 14.0',
        'abstractcore_tokens_total{kind="output",model="m"} 6.0',
        'abstractcore_tokens_total{kind="cached",model="m"} 4.0',
        'abstractcore_time_to_first_token_seconds_count{model="m"} 1.0',
        f"abstractcore_request_seconds_count{{{told}}} 3.0",
        "abstractcore_requests_in_flight 0.0",
    ):
        assert _sorted(line) in map(_sorted, page.splitlines())
    assert "client wrote" not in page


def _sorted(line: str) -> str:
    """Give a line with its labels in order."""
    name, brace, rest = line.partition("{")
    labels, _, value = rest.rpartition("}")
    return f"{name} {sorted(labels.split(','))} {value}" if brace else line


def test_a_stream_comes_as_it_is_made(serve: Serve) -> None:
    """The first words are here while the model still waits."""
    serving = serve(models={"m": ScriptedLLM([["Once", wait(60), "upon"]])})

    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="k", max_retries=0) as client:
        asked: Any = [{"role": "user", "content": "?"}]
        stream = client.chat.completions.create(model="m", messages=asked, stream=True)
        pieces = iter(stream)
        texts = [next(pieces).choices[0].delta.content for _ in range(2)]
        stream.close()

    assert texts == ["", "Once"]
