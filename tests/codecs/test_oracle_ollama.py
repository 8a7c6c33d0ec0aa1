"""The installed ollama client accepts what we send, sends the same, and reads the same out of answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.types import GenerateRequest, Message, OutputSchema, ToolSpec
from tests.codecs.recorded import expected, name_of
from tests.codecs.vendor_types import known_to_ollama, with_images_of_its_own

ollama = pytest.importorskip("ollama", reason="the ollama client is not installed")
httpx = pytest.importorskip("httpx", reason="the ollama client stands on httpx")

from ollama import _types as types  # noqa: E402

CASES = Path(__file__).parent / "ollama_chat"
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOL = ToolSpec("add", "Add.", PARAMETERS)
CONVERSATION: list[Message] = [
    {"role": "system", "content": "s"},
    {
        "role": "user",
        "content": [
            {"type": "image", "data": "QUJD", "media_type": "image/png"},
            {"type": "text", "text": "What?"},
        ],
    },
    {
        "role": "assistant",
        "content": "",
        "reasoning": "hm",
        "tool_calls": [{"id": "call_1", "name": "add", "arguments": {"a": 1}}],
    },
    {"role": "tool", "content": "2", "tool_call_id": "call_1"},
]
REQUESTS = {
    "bare": GenerateRequest("m", [{"role": "user", "content": "hi"}]),
    "streamed": GenerateRequest("m", [{"role": "user", "content": "hi"}], stream=True),
    "conversation": GenerateRequest("m", CONVERSATION, tools=[TOOL], thinking="high"),
    "sampling": GenerateRequest(
        "m",
        [{"role": "user", "content": "hi"}],
        temperature=0.5,
        top_p=0.5,
        top_k=3,
        seed=1,
        stop=("a",),
        max_output_tokens=5,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        thinking=False,
        schema=OutputSchema("A", PARAMETERS),
        extra={"keep_alive": "5m", "options": {"num_ctx": 4096}},
    ),
}


def without_empty_content(body: dict[str, Any]) -> dict[str, Any]:
    """The client leaves out what is empty in a message."""
    messages = [{key: value for key, value in each.items() if value} for each in body["messages"]]
    return {"tools": [], **body, "messages": messages}


@pytest.mark.parametrize("name", REQUESTS)
def test_its_types_hold_all_of_what_we_send(name: str) -> None:
    body = dict(OllamaChat().encode(REQUESTS[name]).body)

    request = types.ChatRequest.model_validate(body)
    messages = [types.Message.model_validate(with_images_of_its_own(message)) for message in body["messages"]]
    types.Options.model_validate(body.get("options", {}))

    held = request.model_dump(exclude_none=True)
    held["messages"] = [message.model_dump(exclude_none=True) for message in messages]
    assert held == known_to_ollama(body)
    assert set(body.get("options", {})) <= set(types.Options.model_fields)


@pytest.mark.parametrize("name", REQUESTS)
def test_it_sends_the_same_when_it_is_asked_the_same(name: str) -> None:
    wire = OllamaChat().encode(REQUESTS[name])
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, content=(CASES / "text.json").read_bytes())

    with client_of(answer) as client:
        answered = client.chat(**{"stream": False, **wire.body})
        list(answered if wire.body["stream"] else ())

    ((path, body),) = sent
    assert path == wire.path
    assert body == without_empty_content(known_to_ollama(dict(wire.body)))


def client_of(answer: Callable[[Any], Any]) -> Any:
    return ollama.Client(host="http://localhost:11434", transport=httpx.MockTransport(answer))


# What the client's types refuse, or its reading of lines (it parses empty ones, and cuts at U+2028).
BEYOND_IT = (
    "byte_order_mark", "characters", "characters_cut_in_half", "data_after_done", "empty_lines",
    "lone_surrogate", "nulls", "tools_with_odd_arguments", "unknown_fields", "wrong_counts",
)  # fmt: skip
# Marks are ours to split.
READABLE = [
    path
    for path in sorted(CASES.glob("*.ndjson"))
    if "error" not in expected(path) and "think_marks" not in path.stem and path.stem not in BEYOND_IT
]


@pytest.mark.parametrize("path", READABLE, ids=name_of)
def test_it_reads_a_recorded_stream_to_the_same_result(path: Path) -> None:
    with client_of(lambda _: httpx.Response(200, content=path.read_bytes())) as client:
        lines = list(client.chat("m", stream=True))

    assert_same(lines, expected(path))


BODIES = [path.with_suffix(".json") for path in READABLE if path.with_suffix(".json").exists()]


@pytest.mark.parametrize("path", BODIES, ids=name_of)
def test_it_reads_a_recorded_body_to_the_same_result(path: Path) -> None:
    with client_of(lambda _: httpx.Response(200, content=path.read_bytes())) as client:
        body = client.chat("m")

    assert_same([body], expected(path))


def assert_same(lines: list[Any], wanted: dict[str, Any]) -> None:
    messages = [line.message for line in lines]
    calls = [call.function for message in messages for call in message.tool_calls or ()]
    usage = wanted.get("usage") or {}

    assert "".join(message.content or "" for message in messages) == wanted.get("content", "")
    assert "".join(message.thinking or "" for message in messages) == wanted.get("reasoning", "")
    assert [(call.name, call.arguments) for call in calls] == [
        (call["name"], call["arguments"]) for call in wanted.get("tool_calls", ())
    ]
    assert lines[-1].done
    assert lines[-1].done_reason == wanted.get("raw_finish_reason")
    assert lines[-1].prompt_eval_count == usage.get("input_tokens")
    assert lines[-1].eval_count == usage.get("output_tokens")
    assert lines[-1].model == wanted["model"]


def test_it_sees_an_error_where_we_see_one() -> None:
    path = CASES / "error_mid_stream.ndjson"

    with (
        client_of(lambda _: httpx.Response(200, content=path.read_bytes())) as client,
        pytest.raises(ollama.ResponseError, match="encountered while running"),
    ):
        list(client.chat("m", stream=True))


def test_it_reads_the_fakes_list_of_models_to_the_same_names() -> None:
    listed = {"models": [{"name": "a:1", "model": "a:1", "size": 1, "digest": "0"}]}

    read = types.ListResponse.model_validate(listed)

    assert [model.model for model in read.models] == OllamaChat().models(listed)
