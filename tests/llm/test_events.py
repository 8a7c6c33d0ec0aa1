"""`llm.on`: what callbacks hear of calls, on both surfaces, whole and streamed."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import BadRequestError, BasicSession, ConfigurationError, IncompleteStreamError, fallback
from tests.fakes.any_wire import call, error, text, unfinished
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

EVENTS = ("request", "retry", "chunk", "response", "error")
PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


class Heard(list[tuple[str, Any]]):
    """What the callbacks of all events were told, in order."""

    def __init__(self, llm: Any) -> None:
        self.removers = [llm.on(name, self.hear(name)) for name in EVENTS]

    def hear(self, name: str) -> Callable[[Any], None]:
        return lambda event: self.append((name, event))

    @property
    def names(self) -> list[str]:
        """The events, chunks of one answer as one."""
        names = [name for name, _ in self]
        return [name for at, name in enumerate(names) if at == 0 or name != "chunk" or names[at - 1] != name]

    def all(self, name: str) -> list[Any]:
        return [event for each, event in self if each == name]


def test_a_call_is_heard_from_its_request_to_its_response(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(text("Hello", usage={"input_tokens": 4, "output_tokens": 6}))
    llm = server.llm()
    heard = Heard(llm)

    answer = whole_or_stream.ask(surface, llm, PROMPT)

    assert heard.names == ["request", "chunk", "response"]
    [request], [response] = heard.all("request"), heard.all("response")
    assert (request.provider, request.model, request.attempt) == (llm.provider, llm.model, 1)
    assert request.request.messages[-1]["content"] == PROMPT
    assert response.response.content == answer.content == "Hello"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (4, 6)
    assert response.seconds > 0
    assert heard.all("chunk")[-1].chunk.is_done()


def test_a_retry_is_heard_with_what_it_is_for(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(error(503), error(500), text("Hello"))
    llm = server.llm(max_retries=2)
    heard = Heard(llm)

    assert whole_or_stream.ask(surface, llm, PROMPT).content == "Hello"

    assert heard.names == ["request", "retry", "request", "retry", "request", "chunk", "response"]
    assert [(event.attempt, event.error.status_code) for event in heard.all("retry")] == [(2, 503), (3, 500)]
    assert [event.attempt for event in heard.all("request")] == [1, 2, 3]


def test_a_failure_is_heard_once(surface: Surface, server: FakeServer) -> None:
    server.replies(error(500))
    llm = server.llm(max_retries=1)
    heard = Heard(llm)

    outcome = surface.gather(surface.later(llm, PROMPT))[0]

    assert heard.names == ["request", "retry", "request", "error"]
    [event] = heard.all("error")
    assert event.error is outcome
    assert outcome.attempts == 2


def test_a_stream_that_breaks_is_an_error(surface: Surface, server: FakeServer) -> None:
    server.replies(unfinished("half"))
    llm = server.llm()
    heard = Heard(llm)

    with surface.open_stream(llm, PROMPT) as stream, pytest.raises(IncompleteStreamError):
        stream.rest()

    assert heard.names == ["request", "chunk", "error"]


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sun in {city}."


def test_each_round_of_a_session_s_turn_is_heard(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    server.replies(
        call("get_weather", city="Oslo"),
        text("Sunny.", usage={"input_tokens": 1, "output_tokens": 2}),
    )
    llm = server.llm()
    heard = Heard(llm)

    whole_or_stream.ask(surface, BasicSession(llm, tools=[get_weather]), PROMPT, run_tools=True)

    assert heard.names == ["request", "chunk", "response"] * 2
    assert heard.all("response")[1].usage.output_tokens == 2


def test_a_callback_that_is_removed_hears_no_more(surface: Surface, server: FakeServer) -> None:
    server.replies(text("Hello"))
    llm = server.llm()
    told: list[Any] = []
    first, second = llm.on("response", told.append), llm.on("response", told.append)

    surface.generate(llm, PROMPT)
    first()
    first()
    surface.generate(llm, PROMPT)
    second()
    surface.generate(llm, PROMPT)

    assert len(told) == 3


@pytest.mark.parametrize("name", ["request", "chunk", "response"])
def test_what_a_callback_raises_reaches_the_caller(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: Any
) -> None:
    server.replies(text("Hello"))
    llm = server.llm()

    def refuse(event: object) -> None:
        raise LookupError("not today")

    remove = llm.on(name, refuse)

    with pytest.raises(LookupError, match="not today"):
        whole_or_stream.ask(surface, llm, PROMPT)
    surface.wait_for(server, lambda server: server.in_flight == 0)
    remove()
    assert whole_or_stream.ask(surface, llm, PROMPT).content == "Hello"


def test_no_event_shows_a_key_or_a_prompt(surface: Surface, server: FakeServer) -> None:
    server.replies(error(500), text("an answer of nobody's business"), error(400))
    llm = server.llm(api_key=KEY, max_retries=1)
    heard = Heard(llm)

    surface.generate(llm, PROMPT)
    with pytest.raises(BadRequestError):
        surface.generate(llm, PROMPT)

    assert {name for name, _ in heard} == set(EVENTS)
    shown = repr(heard)
    assert PROMPT not in shown
    assert "nobody's business" not in shown
    assert KEY not in shown
    assert KEY.encode() not in pickle.dumps([event for _, event in heard])


def test_all_of_a_fallback_are_heard(surface: Surface, server: FakeServer) -> None:
    server.replies(error(500), text("Hello"))
    one = server.llm(model="one", max_retries=0)
    llm = fallback([one, server.llm(model="other"), one])
    heard = Heard(llm)

    surface.generate(llm, PROMPT)
    for remove in heard.removers:
        remove()
    surface.generate(llm, PROMPT)

    told = [(name, event.model) for name, event in heard if name != "chunk"]
    assert told == [("request", "one"), ("error", "one"), ("request", "other"), ("response", "other")]


def test_a_copy_has_no_callbacks(surface: Surface, server: FakeServer) -> None:
    server.replies(text("Hello"))
    llm = server.llm()
    heard = Heard(llm)

    copy = pickle.loads(pickle.dumps(llm))
    surface.generate(copy, PROMPT)
    surface.close(copy)

    assert heard == []


def test_what_is_no_callback_is_refused(server: FakeServer) -> None:
    llm: Any = server.llm()

    async def awaited(event: object) -> None: ...

    for event, callback in (("respnse", print), ("response", awaited), ("response", None)):
        with pytest.raises(ConfigurationError):
            llm.on(event, callback)
