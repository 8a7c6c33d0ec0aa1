"""llmock, a server that others wrote, breaks as it is told and judges its client: ours gets no finding.

It speaks the wires of OpenAI (both) and Anthropic, and Chat Completions as five more services do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from abstractcore import (
    AuthenticationError,
    BadRequestError,
    BasicSession,
    ContextLengthError,
    IncompleteStreamError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    create_llm,
)
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.real.processes import fetch

GET_WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
WORDS = " ".join(f"word{n}" for n in range(30))
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


@dataclass(frozen=True)
class Dialect:
    """One wire of llmock: the row and the options that lead to it; whether its streams tell usage unasked."""

    provider: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    counts_streams: bool = True


WIRES = {
    "chat": Dialect("openai", "/v1", {"api": "chat"}),
    "responses": Dialect("openai", "/v1", {"api": "responses"}),
    "anthropic": Dialect("anthropic", "/anthropic"),
}
SERVICES = {
    **WIRES,
    "groq": Dialect("groq", "/groq"),
    "mistral": Dialect("mistral", "/mistral/v1", counts_streams=False),
    "together": Dialect("together", "/together/v1"),
    "xai": Dialect("xai", "/xai/v1"),
    "openai-compatible": Dialect("openai-compatible", "/perplexity/v1"),
}


class Llmock:
    """The server, to be told what comes next and asked what it saw."""

    def __init__(self, url: str, opened_llms: list[Any]) -> None:
        self.url = url
        self._opened = opened_llms
        fetch(f"{url}/_llmock/reset", {})

    def llm(self, dialect: Dialect, **options: Any) -> Any:
        base_url = self.url + dialect.path
        given = {"api_key": "k", "timeout": 20, **dialect.options, **options}
        llm = create_llm(dialect.provider, "test-model", base_url=base_url, **given)
        self._opened.append(llm)
        return llm

    def does(self, *behaviors: dict[str, Any]) -> None:
        """Queue what happens to the next requests."""
        fetch(f"{self.url}/_llmock/scenario", {"behaviors": behaviors})

    def fails(self, status: int, *, times: int | None = 1, **fields: Any) -> None:
        self.does({"type": "fail", "status": status, "times": times, **fields})

    def breaks(self, kind: str, *, after_chunks: int, **fields: Any) -> None:
        self.does({"type": "stream_fault", "kind": kind, "after_chunks": after_chunks, **fields})

    def says(self, text: str) -> None:
        """Answer every request so."""
        self.does({"type": "reply", "text": text, "times": None})

    def verdict(self) -> dict[str, Any]:
        return json.loads(fetch(f"{self.url}/_llmock/verdict"))

    def statuses(self) -> list[int]:
        return [
            request["status"] for request in json.loads(fetch(f"{self.url}/_llmock/requests"))["requests"]
        ]

    def assert_best(self, *, attempts: int, faults: int) -> None:
        """Its best verdict: no finding, error or warning."""
        verdict = self.verdict()
        assert verdict["findings"] == []
        assert verdict["passed"]
        assert (verdict["calls"], verdict["attempts"], verdict["faults_injected"]) == (1, attempts, faults)


@pytest.fixture
def llmock(llmock_url: str, opened_llms: list[Any]) -> Llmock:
    return Llmock(llmock_url, opened_llms)


@pytest.fixture(params=list(WIRES))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return WIRES[request.param]


@pytest.mark.parametrize("service", list(SERVICES))
def test_it_answers_whole_and_streamed_alike(surface: Surface, llmock: Llmock, service: str):
    llm = llmock.llm(SERVICES[service])

    whole = surface.generate(llm, "Say something about the sea.")
    with surface.open_stream(llm, "Say something about the sea.") as stream:
        words = "".join(chunk.content for chunk in stream.rest())

    assert whole.content == words == stream.response.content != ""
    assert (whole.finish_reason, stream.response.finish_reason) == ("stop", "stop")
    if SERVICES[service].counts_streams:
        assert whole.usage == stream.response.usage
    assert (whole.usage.output_tokens or 0) > 0


def test_a_tool_is_called_and_its_result_read(
    surface: Surface, llmock: Llmock, dialect: Dialect, whole_or_stream: WholeOrStream
):
    session = BasicSession(llmock.llm(dialect), tools=[GET_WEATHER])
    llmock.does(
        {"type": "reply", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Zürich 🙂"}}]}
    )

    asked = whole_or_stream.ask(surface, session, "What's the weather?")
    (call,) = asked.tool_calls
    assert (call.name, call.arguments, asked.finish_reason) == (
        "get_weather",
        {"city": "Zürich 🙂"},
        "tool_calls",
    )

    result = {"role": "tool", "content": "sun", "tool_call_id": call.id}
    assert whole_or_stream.ask(surface, session, messages=[result]).finish_reason == "stop"


def test_arguments_that_are_no_json_come_back_as_they_are(surface: Surface, llmock: Llmock, dialect: Dialect):
    llmock.does({"type": "tool_fault", "kind": "malformed_arguments"})

    with surface.open_stream(llmock.llm(dialect), "What's the weather?", tools=[GET_WEATHER]) as stream:
        stream.rest()

    (call,) = stream.response.tool_calls
    assert (call.name, call.arguments) == ("get_weather", {})
    assert call.arguments_raw.startswith('{"')


def test_a_type_comes_back(surface: Surface, llmock: Llmock):
    person = surface.generate(llmock.llm(WIRES["chat"]), "Make up a person", response_model=PERSON)

    assert (type(person["name"]), type(person["age"])) == (str, int)


# What it breaks, and what it says of us.


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_failure_that_may_pass_is_retried(
    surface: Surface, llmock: Llmock, dialect: Dialect, whole_or_stream: WholeOrStream, status: int
):
    llmock.fails(status, retry_after=0.02)

    assert whole_or_stream.ask(surface, llmock.llm(dialect), "hello").content
    assert llmock.statuses() == [status, 200]
    llmock.assert_best(attempts=2, faults=1)


def test_retry_after_is_waited_for(
    surface: Surface, llmock: Llmock, dialect: Dialect, whole_or_stream: WholeOrStream
):
    llmock.fails(429, retry_after=0.5)
    begun = time.monotonic()

    assert whole_or_stream.ask(surface, llmock.llm(dialect), "hello").content
    assert time.monotonic() - begun >= 0.5
    llmock.assert_best(attempts=2, faults=1)


def test_retries_back_off(surface: Surface, llmock: Llmock, dialect: Dialect):
    """With full jitter a wait may be shorter than the one before it, which the judge takes for no backoff."""
    llmock.fails(500, times=2)

    assert surface.generate(llmock.llm(dialect), "hello").content
    verdict = llmock.verdict()
    assert (verdict["passed"], verdict["calls"], verdict["attempts"]) == (True, 1, 3)
    assert {finding["code"] for finding in verdict["findings"]} <= {"no_backoff"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, ModelNotFoundError),
        (422, BadRequestError),
    ],
)
def test_a_failure_that_does_not_pass_is_not_retried(
    surface: Surface,
    llmock: Llmock,
    dialect: Dialect,
    whole_or_stream: WholeOrStream,
    status: int,
    kind: type[Exception],
):
    llmock.fails(status, times=None)

    with pytest.raises(kind):
        whole_or_stream.ask(surface, llmock.llm(dialect), "hello")

    llmock.assert_best(attempts=1, faults=1)


def test_a_prompt_that_is_too_long_is_named(
    surface: Surface, llmock: Llmock, dialect: Dialect, whole_or_stream: WholeOrStream
):
    too_long = "This model's maximum context length was exceeded: the prompt is too long."
    llmock.fails(400, message=too_long, code="context_length_exceeded")

    with pytest.raises(ContextLengthError):
        whole_or_stream.ask(surface, llmock.llm(dialect), "hello")

    llmock.assert_best(attempts=1, faults=1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimitError), (500, ServerError), (503, ServerError), (529, OverloadedError)],
)
def test_an_outage_is_left_after_the_retries(
    surface: Surface,
    llmock: Llmock,
    dialect: Dialect,
    whole_or_stream: WholeOrStream,
    status: int,
    kind: type[Exception],
):
    llmock.fails(status, times=None, retry_after=0.02)

    with pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, llmock.llm(dialect, max_retries=1), "hello")

    assert raised.value.attempts == 2
    llmock.assert_best(attempts=2, faults=2)


@pytest.mark.parametrize("fault", ["disconnect", "truncate"])
def test_a_stream_that_breaks_before_its_first_words_is_asked_for_again(
    surface: Surface, llmock: Llmock, dialect: Dialect, fault: str
):
    """Nothing has been read, so that nothing can come twice."""
    llmock.says(WORDS)
    llmock.breaks(fault, after_chunks=0)

    with surface.open_stream(llmock.llm(dialect), "hello") as stream:
        stream.rest()

    assert stream.response.content == WORDS
    llmock.assert_best(attempts=2, faults=1)


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "malformed"])
def test_a_stream_that_breaks_in_the_middle_is_an_error_and_may_be_asked_for_again(
    surface: Surface, llmock: Llmock, dialect: Dialect, fault: str
):
    llm = llmock.llm(dialect)
    llmock.says(WORDS)
    llmock.breaks(fault, after_chunks=10)

    with surface.open_stream(llm, "hello") as stream, pytest.raises(IncompleteStreamError) as raised:
        stream.rest()
    assert llmock.statuses() == [200]  # it waits until the server has seen who stopped reading
    whole = "".join(chunk.content for chunk in surface.stream(llm, "hello"))

    had_arrived = raised.value.partial.content
    assert WORDS.startswith(had_arrived)
    assert 0 < len(had_arrived) < len(WORDS) == len(whole)
    llmock.assert_best(attempts=2, faults=1)


def test_a_stream_that_hangs_is_left(surface: Surface, llmock: Llmock, dialect: Dialect):
    llmock.says(WORDS)
    llmock.breaks("stall", after_chunks=10, stall_seconds=20)

    with (
        surface.open_stream(llmock.llm(dialect, read_timeout=0.3), "hello") as stream,
        pytest.raises((RequestTimeoutError, IncompleteStreamError)) as raised,
    ):
        stream.rest()

    assert raised.value.partial.content
    llmock.assert_best(attempts=1, faults=1)


def test_concurrent_calls_are_retried_apart(surface: Surface, llmock: Llmock, dialect: Dialect):
    llmock.fails(429, times=8, retry_after=0.02)
    llm = llmock.llm(dialect, max_retries=8)

    answers = surface.gather(*(surface.later(llm, f"What is {n}?") for n in range(16)), timeout=30)

    assert all(answer.content for answer in answers)
    verdict = llmock.verdict()
    assert (verdict["findings"], verdict["calls"], verdict["attempts"]) == ([], 16, 24)
