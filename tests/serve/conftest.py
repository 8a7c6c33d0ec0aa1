"""A gateway on a port of loopback, and the vendors' own clients to speak to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from abstractcore.serve import app
from abstractcore.testing import FunctionLLM, ScriptedLLM

from .speakers import SPEAKERS, Speaker


class Serving:
    """A server in a thread of its own, whose gateway each test makes anew."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.app: Any = None
        config = uvicorn.Config(
            self._pass_on, interface="asgi3", lifespan="off", ws="none", log_level="critical"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="gateway")
        self._thread.start()

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._socket.close()


@pytest.fixture(scope="session")
def serving() -> Iterator[Serving]:
    running = Serving()
    yield running
    running.close()


@pytest.fixture
def serve(serving: Serving) -> Callable[..., Serving]:
    """Serve models: a mapping of names, or answers, which a model called `scripted` gives one by one."""

    def make(*answers: Any, models: Any = None, **options: Any) -> Serving:
        serving.app = app({"scripted": _llm(answers)} if models is None else models, **options)
        return serving

    return make


def _llm(answers: tuple[Any, ...]) -> Any:
    return FunctionLLM(answers[0]) if callable(answers[0]) else ScriptedLLM(answers)


@pytest.fixture(params=list(SPEAKERS))
def dialect(request: pytest.FixtureRequest) -> str:
    """The wire that is spoken to the gateway: the test runs once on each."""
    return request.param


@pytest.fixture(scope="session")
def speakers() -> Iterator[dict[Any, Speaker]]:
    """The clients that were made: each takes some time to make, and its connections are kept."""
    made: dict[Any, Speaker] = {}
    yield made
    for each in made.values():
        each.client.close()


@pytest.fixture
def speak(dialect: str, speakers: dict[Any, Speaker]) -> Callable[..., Speaker]:
    """Give a speaker of the dialect, with the vendor's own client."""

    def find(serving: Serving, **options: Any) -> Speaker:
        named = (dialect, *sorted(options.items()))
        if named not in speakers:
            speakers[named] = SPEAKERS[dialect](serving.url, **options)
        return speakers[named]

    return find
