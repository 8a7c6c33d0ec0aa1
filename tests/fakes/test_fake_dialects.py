"""A scripted answer reads the same whole and streamed, as the wire has it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import Any

import pytest

from tests.fakes import openai_chat
from tests.fakes.openai_chat import call, calls, error, text
from tests.fakes.replies import WaitFor, sse
from tests.fakes.server import FakeServer


def ask(server: FakeServer, **body: Any) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with contextlib.closing(client):
        client.request("POST", "/v1/chat/completions", json.dumps(body))
        answer = client.getresponse()
        return answer.status, answer.read()


def ask_stream(server: FakeServer, **body: Any) -> list[Any]:
    _, data = ask(server, stream=True, **body)
    *events, last = [line.removeprefix("data: ") for line in data.decode().split("\n\n") if line]
    assert last == "[DONE]"
    return [json.loads(event) for event in events]


def joined(events: list[Any], field: str) -> str:
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    return "".join(delta.get(field) or "" for delta in deltas)


def test_a_text_whole(server: FakeServer) -> None:
    server.replies(text("Hello, 世界", reasoning="hm"))
    body = json.loads(ask(server, model="m")[1])

    assert body["object"] == "chat.completion"
    assert body["model"] == "m"
    assert body["choices"][0]["message"] == {
        "role": "assistant", "content": "Hello, 世界", "reasoning_content": "hm",
    }  # fmt: skip
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == openai_chat.USAGE


def test_a_text_streamed(server: FakeServer) -> None:
    server.replies(text("Hello, 世界", reasoning="hm", reasoning_field="reasoning", piece=2))
    events = ask_stream(server, stream_options={"include_usage": True})

    assert joined(events, "content") == "Hello, 世界"
    assert joined(events, "reasoning") == "hm"
    assert len(events) > 6
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == openai_chat.USAGE
    assert events[0]["usage"] is None


@pytest.mark.parametrize(
    ("usage", "asked", "sent"),
    [(True, False, False), (True, True, True), (False, True, False), ({"total_tokens": 1}, False, True)],
)
def test_usage_is_streamed_when_asked_for(server: FakeServer, usage, asked: bool, sent: bool) -> None:
    server.replies(text("a", usage=usage))
    options = {"stream_options": {"include_usage": True}} if asked else {}

    assert any(event.get("usage") for event in ask_stream(server, **options)) is sent


def test_tool_calls_both_ways(server: FakeServer) -> None:
    server.replies(call("divide", a=1, b=0), calls([("one", {"x": "é"}), ("two", "not json")]))
    whole = json.loads(ask(server)[1])["choices"][0]
    function = whole["message"]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("divide", {"a": 1, "b": 0})
    assert whole["finish_reason"] == "tool_calls"

    gathered: dict[int, dict[str, str]] = {}
    for event in ask_stream(server):
        for choice in event["choices"]:
            for part in choice["delta"].get("tool_calls", ()):
                seen = gathered.setdefault(part["index"], {"id": part.get("id", ""), "arguments": ""})
                seen["arguments"] += part["function"]["arguments"]
    assert gathered == {
        0: {"id": "call_0", "arguments": '{"x":"é"}'},
        1: {"id": "call_1", "arguments": "not json"},
    }


def test_an_error_is_the_same_both_ways(server: FakeServer) -> None:
    server.replies(error(429, "slow down", code="rate_limit", headers={"Retry-After": "1"}))
    for streams in (True, False):
        status, body = ask(server, stream=streams)
        assert status == 429
        assert json.loads(body)["error"]["code"] == "rate_limit"


def test_a_stream_can_be_held_between_its_events(server: FakeServer) -> None:
    gate = threading.Event()
    server.replies(text("ab", piece=1, between=[WaitFor(gate)]))
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.extend(ask_stream(server)))
    asking.start()
    server.wait_for(lambda s: s.hanging == 1)
    gate.set()
    asking.join()

    assert joined(answers, "content") == "ab"


def test_a_bent_stream(server: FakeServer) -> None:
    events = [*openai_chat.text_chunks("Hello")[:2], openai_chat.error_body("overloaded", code=503)]
    server.replies(sse(events, done=False))

    assert b'"code":503' in ask(server, stream=True)[1]


def test_every_dialect_reply_can_be_cut_or_split(server: FakeServer) -> None:
    server.replies(text("Hello").in_pieces(3))
    assert joined(ask_stream(server), "content") == "Hello"
    server.replies(text("Hello").cut(0.5, ending="close"))
    for streams in (True, False):
        with pytest.raises(http.client.IncompleteRead):
            ask(server, stream=streams)
