"""A scripted answer of the Responses dialect reads the same whole and streamed, as the wire has it."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any

import pytest

from abstractcore.codecs.openai_responses import OpenAIResponses
from tests.codecs.recorded import read, streamed, whole
from tests.fakes import openai_responses as fake
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer


def ask(server: FakeServer, **body: Any) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    with contextlib.closing(client):
        client.request("POST", "/v1/responses", json.dumps({"model": "m", "input": "hi", **body}))
        answer = client.getresponse()
        return answer.status, answer.read()


def answers(server: FakeServer, reply: Reply) -> dict[str, Any]:
    """Ask both ways, and give the one answer."""
    server.replies(reply, reply)
    codec = OpenAIResponses()
    one = read(streamed(codec, [ask(server, stream=True)[1]]))
    assert one == read(whole(codec, ask(server)[1]))
    return one


def test_a_text_with_a_thought(server: FakeServer) -> None:
    answer = answers(server, fake.text("Hello, 世界", reasoning="hm", piece=2))

    assert (answer["content"], answer["reasoning"], answer["model"]) == ("Hello, 世界", "hm", "m")
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 12
    (thought, _) = answer["provider_data"]["openai_responses"]["output"]
    assert thought["encrypted_content"] == fake.ENCRYPTED


def test_tool_calls(server: FakeServer) -> None:
    one = answers(server, fake.call("divide", a=1, b=0))
    two = answers(server, fake.calls([("one", {"x": "é"}), ("two", "not json")], content="Now."))

    assert one["tool_calls"] == [{"id": "call_0", "name": "divide", "arguments": {"a": 1, "b": 0}}]
    assert one["finish_reason"] == "tool_calls"
    assert two["content"] == "Now."
    assert two["tool_calls"] == [
        {"id": "call_0", "name": "one", "arguments": {"x": "é"}},
        {"id": "call_1", "name": "two", "arguments": {}, "arguments_raw": "not json"},
    ]


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_why_an_answer_ended(server: FakeServer, reason: str) -> None:
    assert answers(server, fake.text("a", finish_reason=reason))["finish_reason"] == reason


def test_usage_is_as_scripted(server: FakeServer) -> None:
    assert "usage" not in answers(server, fake.text("a", usage=False))
    counted = answers(server, fake.text("a", usage={"input_tokens": 1, "output_tokens": 2}))
    assert counted["usage"]["total_tokens"] == 3


def test_a_stream_can_end_without_its_end_mark(server: FakeServer) -> None:
    server.replies(fake.text("a", done=False))

    answer = read(streamed(OpenAIResponses(), [ask(server, stream=True)[1]]))

    assert answer["content"] == "a"
    assert answer["error"]["class"] == "IncompleteStreamError"


def test_an_error_is_the_same_both_ways(server: FakeServer) -> None:
    server.replies(fake.error(429, "slow down", code="rate_limit", headers={"Retry-After": "1"}))
    for streams in (True, False):
        status, body = ask(server, stream=streams)
        assert status == 429
        assert json.loads(body)["error"]["code"] == "rate_limit"


def test_the_models(server: FakeServer) -> None:
    server.replies(fake.models("a", "b"))

    assert OpenAIResponses().models(json.loads(ask(server)[1])) == ["a", "b"]
