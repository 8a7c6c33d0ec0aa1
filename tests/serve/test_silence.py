"""A stream whose model says nothing is kept alive, and its client reads the same answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from abstractcore.errors import ServerError
from abstractcore.testing import FunctionLLM, ScriptedLLM, wait

from .asking import PATHS, RIGHT
from .conftest import Serving
from .speakers import Speaker

Serve = Callable[..., Serving]
Speak = Callable[..., Speaker]
QUICK = 0.02
SECONDS = 30.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abstractcore.serve.silence.SECONDS", QUICK)


@pytest.mark.usefixtures("quick")
def test_a_model_that_thinks_for_long_keeps_its_stream_alive(serve: Serve, dialect: str) -> None:
    """The head and comments come while the model has said nothing, and then the answer."""
    go_on = threading.Event()

    def answer(_: Any) -> str:
        assert go_on.wait(SECONDS)
        return "Well."

    serving = serve(models={"m": FunctionLLM(answer)})

    with _asked(serving, dialect) as client:
        read = _read_until(client, b": still at work\n\n", times=2)
        go_on.set()
        read += _read_until(client, b"\r\n0\r\n\r\n")

    assert read.startswith(b"HTTP/1.1 200")
    assert b"Well." in read
    assert read.count(b"HTTP/1.1") == 1


def _asked(serving: Serving, dialect: str) -> socket.socket:
    data = json.dumps({"model": "m", "stream": True, **RIGHT[dialect]}).encode()
    client = socket.create_connection(("127.0.0.1", int(urlsplit(serving.url).port or 0)), timeout=SECONDS)
    head = f"POST {PATHS[dialect]} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    client.sendall(head.encode() + data)
    return client


def _read_until(client: socket.socket, words: bytes, times: int = 1) -> bytes:
    read = b""
    while read.count(words) < times:
        piece = client.recv(65_536)
        assert piece, read
        read += piece
    return read


@pytest.mark.usefixtures("quick")
def test_the_vendors_clients_pass_over_what_keeps_it_alive(serve: Serve, speak: Speak) -> None:
    speaker = speak(serve(models={"m": ScriptedLLM([[wait(0.3), "One", wait(0.3), " two"]])}))

    said = speaker.ask(stream=True, model="m")

    assert said.text == "One two"
    assert said.pieces == ["One", " two"]
    assert said.finish_reason == speaker.finished[0]


@pytest.mark.usefixtures("quick")
def test_a_failure_after_a_long_silence_is_told_in_the_stream(serve: Serve, speak: Speak) -> None:
    speaker = speak(serve(models={"m": ScriptedLLM([[wait(0.3), ServerError("it broke")]])}))
    stream = speaker.stream("Hi", "m", {})

    with pytest.raises(speaker.errors.APIError, match="it broke"):
        speaker.told(stream)


def test_an_answer_that_comes_at_once_has_no_comment(serve: Serve, dialect: str) -> None:
    with _asked(serve(models={"m": ScriptedLLM(["Well."])}), dialect) as client:
        assert b"still at work" not in _read_until(client, b"\r\n0\r\n\r\n")
