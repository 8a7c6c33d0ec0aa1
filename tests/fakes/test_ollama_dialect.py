"""A scripted answer of Ollama's dialect reads the same whole and streamed, as the wire has it."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

from tests.fakes import ollama_chat
from tests.fakes.ollama_chat import call, calls, error, models, text
from tests.fakes.server import FakeServer


def ask(
    server: FakeServer, *, method: str = "POST", path: str = "/api/chat", **body: Any
) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with contextlib.closing(client):
        client.request(method, path, json.dumps(body) if body else None)
        answer = client.getresponse()
        return answer.status, answer.read()


def ask_stream(server: FakeServer, **body: Any) -> list[Any]:
    _, data = ask(server, model="m", **body)
    return [json.loads(line) for line in data.decode().split("\n") if line]


def joined(lines: list[Any], field: str) -> str:
    return "".join(line["message"].get(field, "") for line in lines)


def test_a_text_both_ways(server: FakeServer) -> None:
    server.replies(text("Hello, 世界", reasoning="hm", piece=2), text("Hello, 世界", reasoning="hm"))

    lines = ask_stream(server)  # what is not said is a stream
    body = json.loads(ask(server, model="m", stream=False)[1])

    assert (joined(lines, "content"), joined(lines, "thinking")) == ("Hello, 世界", "hm")
    assert body["message"] == {"role": "assistant", "content": "Hello, 世界", "thinking": "hm"}
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    for last in (lines[-1], body):
        assert last["done_reason"] == "stop"
        assert last["model"] == "m"
        assert {name: last[name] for name in ollama_chat.USAGE} == ollama_chat.USAGE


def test_tool_calls_both_ways(server: FakeServer) -> None:
    wanted = [("one", {"x": "é"}), ("two", {})]
    server.replies(calls(wanted), calls(wanted), call("divide", a=1, b=0))

    lines = ask_stream(server, stream=True)
    body = json.loads(ask(server, stream=False)[1])
    divided = json.loads(ask(server, stream=False)[1])["message"]["tool_calls"][0]["function"]

    streamed = [each for line in lines for each in line["message"].get("tool_calls", ())]
    assert streamed == body["message"]["tool_calls"] == ollama_chat.tool_calls(wanted)
    assert (divided["name"], divided["arguments"]) == ("divide", {"a": 1, "b": 0})


def test_a_stream_without_its_end(server: FakeServer) -> None:
    server.replies(text("Hello", done=False))

    assert not any(line["done"] for line in ask_stream(server))


def test_an_error_is_the_same_both_ways(server: FakeServer) -> None:
    server.replies(error(404, "model 'm' not found"), error(404, "model 'm' not found"))

    for streams in (True, False):
        assert ask(server, stream=streams) == (404, b'{"error":"model \'m\' not found"}')


def test_the_models_are_listed(server: FakeServer) -> None:
    server.replies(models("a", "b"))

    listed = json.loads(ask(server, method="GET", path="/api/tags")[1])

    assert [model["name"] for model in listed["models"]] == ["a", "b"]
