"""What goes wrong is told in the client's own dialect, so that its typed errors are the right ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    EngineDeadError,
    ModelNotFoundError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)
from abstractcore.testing import FunctionLLM, ScriptedLLM
from tests.fakes import any_wire
from tests.fakes.server import FakeServer

from .asking import PATHS, RIGHT, get, post
from .conftest import Serving
from .speakers import Speaker

Serve = Callable[..., Serving]
Speak = Callable[..., Speaker]
#: What the model's side says, the client's class, and the status.
TYPED: list[tuple[Any, str, int]] = [
    (BadRequestError("temperature is too hot"), "BadRequestError", 400),
    (ContextLengthError("the prompt is too long"), "BadRequestError", 400),
    (ModelNotFoundError("no such model"), "NotFoundError", 404),
    (RateLimitError("slow down", retry_after=2.1), "RateLimitError", 429),
    (QuotaExceededError("no credit left"), "RateLimitError", 429),
    (ServerError("it broke", status_code=500), "InternalServerError", 502),
    (OverloadedError("too much", status_code=529), "InternalServerError", 503),
    (ConnectionFailedError("refused", phase="connect"), "InternalServerError", 502),
    (RequestTimeoutError("too long", phase="total"), "InternalServerError", 504),
    (ResponseError("the answer holds no choices"), "InternalServerError", 502),
    (EngineDeadError("the engine died"), "InternalServerError", 500),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("failure", "kind", "status"), TYPED, ids=lambda value: type(value).__name__)
def test_a_failure_of_the_model_is_the_clients_typed_error(
    serve: Serve, speak: Speak, failure: Any, kind: str, status: int, stream: bool
) -> None:
    """A stream that has not begun fails with a status, as a whole answer does."""
    speaker = speak(serve(failure))

    with pytest.raises(getattr(speaker.errors, kind)) as raised:
        speaker.ask(stream=stream)

    assert raised.value.status_code == status
    assert failure.message in str(raised.value)


def test_when_to_come_back_is_told_in_whole_seconds(serve: Serve, speak: Speak) -> None:
    speaker = speak(serve(RateLimitError("slow down", retry_after=2.1)))

    with pytest.raises(speaker.errors.RateLimitError) as raised:
        speaker.ask()

    assert raised.value.response.headers["retry-after"] == "3"


def test_a_wait_without_an_end_is_a_year(serve: Serve, speak: Speak) -> None:
    speaker = speak(serve(RateLimitError("slow down", retry_after=float("inf"))))

    with pytest.raises(speaker.errors.RateLimitError) as raised:
        speaker.ask()

    assert raised.value.response.headers["retry-after"] == "31536000"


def test_what_no_second_try_can_help_is_not_tried_again(serve: Serve, speak: Speak) -> None:
    """The clients retry a 429 of themselves, unless they are asked not to."""
    llm = ScriptedLLM([QuotaExceededError("no credit left")] * 3)
    speaker = speak(serve(models={"scripted": llm}), max_retries=2)

    with pytest.raises(speaker.errors.RateLimitError):
        speaker.ask()

    assert len(llm.requests) == 1


def test_a_key_of_the_gateways_own_that_is_refused_is_not_the_clients_fault(
    serve: Serve, speak: Speak
) -> None:
    llm = ScriptedLLM([AuthenticationError("openai: the key was refused", status_code=401)] * 3)
    speaker = speak(serve(models={"scripted": llm}), max_retries=2)

    with pytest.raises(speaker.errors.InternalServerError, match="the key was refused") as raised:
        speaker.ask()

    assert raised.value.status_code == 502
    assert len(llm.requests) == 1


def test_a_stream_that_breaks_off_says_so_after_what_had_come(
    serve: Serve, speak: Speak, dialect: str
) -> None:
    speaker = speak(serve(["Once upon", ServerError("it broke")]))
    stream = speaker.stream("Hi", "scripted", {})

    with pytest.raises(speaker.errors.APIError, match="it broke"):
        speaker.told(stream)


def test_an_upstream_that_closes_without_its_end_mark_is_no_whole_answer(
    serve: Serve, speak: Speak, server: FakeServer
) -> None:
    server.replies(any_wire.unfinished("Once upon"))
    speaker = speak(serve(models={"far": server.llm()}))

    with pytest.raises(speaker.errors.APIError):
        speaker.ask(stream=True, model="far")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_model_that_is_not_served_is_not_found(serve: Serve, speak: Speak, stream: bool) -> None:
    speaker = speak(serve("ok"))

    with pytest.raises(speaker.errors.NotFoundError, match="'gpt-7' is not served here"):
        speaker.ask(model="gpt-7", stream=stream)


#: What a client gets wrong, by dialect: the body, and a piece of what it is told.
WRONG: dict[str, list[tuple[dict[str, Any], str]]] = {
    "chat_completions": [
        ({}, "model: this field is required"),
        ({"model": "scripted"}, "messages: this field is required"),
        ({"messages": "Hi"}, "messages: expected a list"),
        ({"messages": [1]}, r"messages[0]: expected an object"),
        ({"messages": []}, "nothing to send"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "the role is not"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"stream": "yes"}, "stream: expected true or false"),
        ({"n": 2}, "n: one answer"),
        ({"logprobs": True}, "logprobs: this gateway cannot"),
        ({"logit_bias": {"50256": -100}}, "logit_bias: this gateway cannot"),
        ({"tools": [{"type": "function", "function": {}}]}, "A tool's name"),
        ({"tool_choice": "sometimes"}, "tool_choice: expected"),
        ({"response_format": {"type": "json_schema"}}, "response_format.schema: this field is required"),
        ({"reasoning_effort": "a lot"}, "reasoning_effort: expected one of"),
    ],
    "responses": [
        ({"input": None}, "input: this field is required"),
        ({"input": 7}, "input: expected a list"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id: this field is required"),
        ({"previous_response_id": "resp_1"}, "previous_response_id: this gateway cannot"),
        ({"background": True}, "background: this gateway cannot"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"max_output_tokens": 0}, "max_output_tokens must be"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type: expected"),
    ],
    "messages": [
        ({"max_tokens": None}, "max_tokens: this field is required"),
        ({"max_tokens": True}, "max_tokens: expected an integer"),
        ({"messages": [{"role": "user"}]}, "messages[0].content: this field is required"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: expected"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "content[0].type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "content[0].id"),
        ({"system": [{"type": "image"}]}, "system[0]: expected a block of text"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type: expected"),
        ({"thinking": {"type": "a lot"}}, "thinking.type: expected"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: this gateway cannot"),
    ],
}


@pytest.mark.parametrize(
    ("dialect", "body", "told"),
    [(dialect, body, told) for dialect, cases in WRONG.items() for body, told in cases],
)
def test_a_request_that_is_wrong_is_told_what_is_wrong(
    serve: Serve, dialect: str, body: dict[str, Any], told: str
) -> None:
    serving = serve("ok")
    right = {"model": "scripted", **RIGHT[dialect]} if body else {}
    if body == {"model": "scripted"}:
        right = {}

    status, answer = post(serving.url + PATHS[dialect], {**right, **body})

    assert status == 400
    assert told in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer.get("type") == ("error" if dialect == "messages" else None)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN'])
def test_a_body_that_is_no_json_object_is_refused(serve: Serve, dialect: str, body: bytes) -> None:
    status, answer = post(serve("ok").url + PATHS[dialect], body)

    assert status == 400
    assert "JSON" in answer["error"]["message"]


def test_a_request_beyond_the_bound_is_refused_before_it_is_read(
    serve: Serve, speak: Speak, dialect: str
) -> None:
    llm = ScriptedLLM(["ok"])
    speaker = speak(serve(models={"scripted": llm}, max_body_bytes=1_000))

    with pytest.raises(speaker.errors.APIStatusError) as raised:
        speaker.ask("x" * 2_000)

    assert raised.value.status_code == 413
    assert speaker.ask("x" * 100).text == "ok"
    assert len(llm.requests) == 1


def test_one_request_too_many_is_told_to_come_back(serve: Serve, speak: Speak) -> None:
    """Only requests that are under way count."""
    told: list[Any] = []

    def ask_again(_: Any) -> str:
        with pytest.raises(speaker.errors.InternalServerError) as raised:
            speaker.ask()
        told.append(raised.value)
        return "the first"

    speaker = speak(serve(models={"scripted": FunctionLLM(ask_again)}, max_requests=1))

    assert speaker.ask().text == "the first"
    assert told[0].status_code == 503
    assert told[0].response.headers["retry-after"] == "1"


def test_an_unknown_path_and_a_wrong_method_are_told_in_the_dialect(serve: Serve) -> None:
    serving = serve("ok")

    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/messages", 405),
        ("DELETE", "/v1/models", 405),
    ):
        code, answer, headers = get(serving.url + path, method)

        assert code == status
        assert ("allow" in headers) is (status == 405)
        assert json.loads(answer)["error"]["message"].startswith(f"{method} {path}: ")


def test_a_bug_is_a_500_that_says_nothing_of_itself(serve: Serve, speak: Speak) -> None:
    def broken(_: Any) -> str:
        raise ZeroDivisionError("the inside of the program")

    speaker = speak(serve(models={"scripted": FunctionLLM(broken)}))

    with pytest.raises(speaker.errors.InternalServerError) as raised:
        speaker.ask()

    assert raised.value.status_code == 500
    assert "inside" not in str(raised.value)


def test_no_key_stands_in_a_refusal(serve: Serve, server: FakeServer, dialect: str) -> None:
    server.replies(any_wire.text("x"))
    serving = serve(models={"far": server.llm(api_key="sk-gateway-secret")})
    server.close()

    body = {**RIGHT[dialect], "model": "far"}
    _, answer = post(serving.url + PATHS[dialect], body)

    assert "sk-gateway-secret" not in json.dumps(answer)
