"""What aimock breaks in each of its dialects: statuses, drops, delays, bad JSON, a stream that ends early."""

from __future__ import annotations

from typing import Any

import pytest

from abstractcore import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    IncompleteStreamError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.real.aimock_dialects import DIALECTS, Aimock

FAILURES: dict[str, tuple[type[APIError], int]] = {
    "Answer 400": (BadRequestError, 400),
    "Answer 401": (AuthenticationError, 401),
    "Answer 402": (QuotaExceededError, 402),
    "Answer 403": (PermissionDeniedError, 403),
    "Answer 404": (ModelNotFoundError, 404),
    "Answer 413": (BadRequestError, 413),
    "Be too long": (ContextLengthError, 400),
    "Be out of credit": (QuotaExceededError, 429),
}
COUNTED = "One two three four five six seven eight nine ten."


@pytest.mark.parametrize("prompt", list(FAILURES))
def test_what_no_retry_can_mend_is_raised_at_once(
    surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream, prompt: str
):
    kind, status = FAILURES[prompt]
    if prompt == "Be out of credit" and aimock.dialect.name == "openrouter":
        kind, status = FAILURES[prompt := "Answer 402"]  # its errors have no code but the status

    with pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, aimock.llm(), prompt)

    failure = raised.value
    assert type(failure) is kind
    assert (failure.status_code, failure.attempts, failure.retryable) == (status, 1, False)
    assert failure.provider == aimock.dialect.provider
    assert aimock.statuses() == [status]


def test_a_busy_server_is_asked_again(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    """A 500, then a 429 that says when; then the answer."""
    answer = whole_or_stream.ask(surface, aimock.llm(max_retries=2), "Be busy")

    assert answer.content == "Here I am."
    assert aimock.statuses() == [500, 429, 200]


def test_an_overloaded_vendor_is_named(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    with pytest.raises(OverloadedError) as raised:
        whole_or_stream.ask(surface, aimock.llm(max_retries=0), "Answer 529")

    assert (raised.value.status_code, raised.value.retryable) == (529, True)


CHAOS: dict[str, tuple[type[Exception], dict[str, Any]]] = {
    "Drop": (ServerError, {"status_code": 500, "retryable": True, "attempts": 2}),
    "Disconnect": (ConnectionFailedError, {"retryable": True, "attempts": 2}),
}


@pytest.mark.parametrize("fault", list(CHAOS))
def test_what_goes_on_failing_is_raised_after_the_retries(
    surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream, fault: str
):
    kind, fields = CHAOS[fault]

    with pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, aimock.llm(chaos={fault: 1}, max_retries=1), "hello")

    assert {name: getattr(raised.value, name) for name in fields} == fields


def test_a_rate_limit_says_how_long_to_wait(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    with pytest.raises(RateLimitError) as raised:
        whole_or_stream.ask(surface, aimock.llm(chaos={"Ratelimit": 1}, max_retries=0), "hello")

    assert (raised.value.retry_after, raised.value.retryable) == (1.0, True)
    assert not isinstance(raised.value, QuotaExceededError)


def test_a_wait_that_the_deadline_does_not_allow_is_not_begun(surface: Surface, aimock: Aimock):
    llm = aimock.llm(chaos={"Ratelimit": 1}, max_retries=5, timeout=0.5)

    with pytest.raises(RateLimitError) as raised:
        surface.generate(llm, "hello")

    assert raised.value.attempts == 1


def test_bad_json_is_no_answer(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    # A line of Ollama's that ends in the middle of its JSON is a line that was cut.
    is_line = aimock.dialect.name == "ollama" and whole_or_stream.streams
    with pytest.raises(IncompleteStreamError if is_line else ResponseError):
        whole_or_stream.ask(surface, aimock.llm(chaos={"Malformed": 1}), "hello")


def test_a_slow_server_meets_the_deadline(surface: Surface, aimock: Aimock, whole_or_stream: WholeOrStream):
    with pytest.raises(RequestTimeoutError) as raised:
        whole_or_stream.ask(surface, aimock.llm(chaos={"Latency": 20_000}, timeout=0.3), "hello")

    assert raised.value.attempts == 1
    assert surface.generate(aimock.llm(), "hello").content


def test_a_stream_that_breaks_off_keeps_what_had_arrived(surface: Surface, aimock: Aimock):
    """It is not asked again, since the caller has read part of it."""
    llm = aimock.llm(max_retries=2)
    stream = surface.open_stream(llm, "Break off")

    with stream, pytest.raises(IncompleteStreamError) as raised:
        stream.rest()

    failure = raised.value
    assert failure.partial is not None
    assert (failure.attempts, failure.retryable) == (1, False)
    assert COUNTED.startswith(failure.partial.content)
    assert 0 < len(failure.partial.content) < len(COUNTED)
    assert "".join(chunk.content for chunk in surface.stream(llm, "Break off")) == COUNTED


# What OpenRouter alone has.


@pytest.fixture
def openrouter(aimock_url: str, opened_llms: list[Any]) -> Aimock:
    return Aimock(aimock_url, DIALECTS["openrouter"], opened_llms)


def test_comments_between_the_events_are_skipped_and_the_cost_is_kept(
    surface: Surface, openrouter: Aimock, whole_or_stream: WholeOrStream
):
    answer = whole_or_stream.ask(surface, openrouter.llm(), "Keep me waiting")

    usage = answer.usage
    assert answer.content == "Thank you for waiting."
    assert (usage.input_tokens, usage.cached_tokens, usage.reasoning_tokens) == (11, 4, 3)
    assert answer.raw["usage"]["cost"] == 0.25


def test_moderation_is_told_in_the_services_words(
    surface: Surface, openrouter: Aimock, whole_or_stream: WholeOrStream
):
    with pytest.raises(PermissionDeniedError, match="requires moderation") as raised:
        whole_or_stream.ask(surface, openrouter.llm(), "Say something bad")

    assert raised.value.body["error"]["metadata"]["reasons"] == ["violence"]
