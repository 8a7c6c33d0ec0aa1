"""What the gateway writes has all that the vendors' own types and schemas ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from abstractcore.errors import ServerError
from abstractcore.testing import ScriptedLLM, thinking, tool_call
from abstractcore.types import StreamChunk, Usage

from .asking import PATHS, RIGHT, get, post
from .conftest import Serving

Serve = Callable[..., Serving]
USAGE = Usage(100, 10, cached_tokens=60, reasoning_tokens=4, cache_write_tokens=30)
ANSWERS: dict[str, Any] = {
    "all": [thinking("Hm."), "Hi.", tool_call("add", a=1), USAGE],
    "cut off": ["Once upon", StreamChunk("done", finish_reason="length")],
    "nothing": [StreamChunk("done", finish_reason="content_filter")],
    "failed": ["Once upon", ServerError("it broke")],
}
TYPES = {
    "chat_completions": (ChatCompletion, TypeAdapter(ChatCompletionChunk)),
    "responses": (Response, TypeAdapter(ResponseStreamEvent)),
}
# What a Response requires, as clients in other languages do: https://github.com/openai/openai-openapi
REQUIRED = {
    "id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output",
    "parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p",
}  # fmt: skip


def _events(serving: Serving, dialect: str, **more: Any) -> list[dict[str, Any]]:
    body = json.dumps({"model": "m", "stream": True, **RIGHT[dialect], **more}).encode()
    _, answer, _ = get(serving.url + PATHS[dialect], "POST", body)
    lines = [line[6:] for line in answer.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("wire", TYPES)
def test_each_event_is_of_the_vendors_type(serve: Serve, wire: str, answer: Any) -> None:
    _, event = TYPES[wire]

    events = _events(serve(models={"m": ScriptedLLM([answer])}), wire)

    for each in events:
        if "error" not in each:
            event.validate_python(each)


@pytest.mark.parametrize("answer", [ANSWERS["all"], ANSWERS["cut off"]], ids=["all", "cut off"])
@pytest.mark.parametrize("wire", TYPES)
def test_a_whole_answer_is_of_the_vendors_type(serve: Serve, wire: str, answer: Any) -> None:
    whole, _ = TYPES[wire]
    serving = serve(models={"m": ScriptedLLM([answer])})

    _, body = post(serving.url + PATHS[wire], {"model": "m", **RIGHT[wire]})

    whole.model_validate(body)
    if wire == "responses":
        assert {*body} >= REQUIRED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_item_that_was_cut_off_says_so(serve: Serve, stream: bool) -> None:
    serving = serve(models={"m": ScriptedLLM([ANSWERS["cut off"]])})

    if stream:
        body = _events(serving, "responses")[-1]["response"]
    else:
        _, body = post(serving.url + PATHS["responses"], {"model": "m", **RIGHT["responses"]})

    assert body["status"] == "incomplete"
    assert [item["status"] for item in body["output"]] == ["incomplete"]


def test_what_had_come_of_a_failed_answer_is_not_complete(serve: Serve) -> None:
    failed = _events(serve(models={"m": ScriptedLLM([ANSWERS["failed"]])}), "responses")[-1]

    assert failed["type"] == "response.failed"
    assert [item["status"] for item in failed["response"]["output"]] == ["incomplete"]


def test_tokens_that_were_written_to_a_cache_are_told(serve: Serve, dialect: str) -> None:
    """On Anthropic's wire they stand beside the other tokens of the prompt, on OpenAI's among them."""
    serving = serve(models={"m": ScriptedLLM([["Hi.", USAGE]])})

    _, body = post(serving.url + PATHS[dialect], {"model": "m", **RIGHT[dialect]})

    assert body["usage"] == {
        "chat_completions": {
            "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
        "responses": {
            "input_tokens": 100, "output_tokens": 10, "total_tokens": 110,
            "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "output_tokens_details": {"reasoning_tokens": 4},
        },
        "messages": {
            "input_tokens": 10, "output_tokens": 10,
            "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30,
        },
    }[dialect]  # fmt: skip


def test_a_wish_for_one_call_at_a_time_is_named_as_not_heard(serve: Serve, dialect: str) -> None:
    tools: Any = {
        "chat_completions": [{"type": "function", "function": {"name": "f"}}],
        "responses": [{"type": "function", "name": "f"}],
        "messages": [{"name": "f", "input_schema": {"type": "object"}}],
    }[dialect]
    wish: dict[str, Any] = {"parallel_tool_calls": False}
    if dialect == "messages":
        wish = {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    body = json.dumps({"model": "scripted", **RIGHT[dialect], "tools": tools, **wish}).encode()

    status, _, headers = get(serve("ok").url + PATHS[dialect], "POST", body)

    assert status == 200
    assert "parallel_tool" in headers["x-abstractcore-warnings"]
