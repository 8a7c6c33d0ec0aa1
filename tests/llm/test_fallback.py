"""`fallback`: several LLMs as one, on both surfaces, whole and streamed, from wire to wire."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import (
    LLM,
    AbstractCoreError,
    Agent,
    AuthenticationError,
    BadRequestError,
    BasicSession,
    ClosedError,
    ConfigurationError,
    IncompleteStreamError,
    OverloadedError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    aio,
    client,
    fallback,
)
from tests.fakes import faults
from tests.fakes.any_wire import call, error, models, text, unfinished
from tests.fakes.replies import Hang, Reply, WaitFor, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, check_is_valid

MakeServer = Callable[..., FakeServer]
CHAT, ANTHROPIC = WIRES["openai_chat"], WIRES["anthropic_messages"]


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def first(make_server: MakeServer) -> FakeServer:
    server = make_server()
    server.replies(error(500))
    return server


@pytest.fixture
def second(make_server: MakeServer) -> FakeServer:
    server = make_server()
    server.replies(text("Hello from the second."))
    return server


def both(first: FakeServer, second: FakeServer, **options: Any) -> Any:
    """Chat Completions first, Anthropic's Messages second; neither retries."""
    return fallback([CHAT.llm(first, max_retries=0), ANTHROPIC.llm(second, max_retries=0)], **options)


def test_the_next_answers_when_the_first_fails(
    surface: Surface, first: FakeServer, second: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    llm = both(first, second)

    answer = whole_or_stream.ask(surface, llm, "Hi", system_prompt="Kind.", temperature=0.5)

    assert answer.content == "Hello from the second."
    assert answer.provider == ANTHROPIC.provider
    assert answer.model == llm.llms[1].model
    [warning] = [each for each in answer.warnings if "did not answer" in each]
    assert f"{CHAT.provider}:{llm.llms[0].model} did not answer: ServerError" in warning
    [request] = second.requests
    sent = ANTHROPIC.sent(request)
    assert (sent.model, sent.turns) == (llm.llms[1].model, [("system", "Kind."), ("user", "Hi")])
    assert sent.sampling["temperature"] == 0.5


def test_nobody_else_is_asked_while_the_first_answers(
    surface: Surface, first: FakeServer, second: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    first.replies(text("Hello from the first."))

    answer = whole_or_stream.ask(surface, both(first, second), "Hi")

    assert (answer.content, answer.provider) == ("Hello from the first.", CHAT.provider)
    assert answer.warnings == []
    assert second.requests == []


HANDED_ON = {
    "500": error(500),
    "overloaded": error(529),
    "rate limit": error(429),
    "quota": error(402),
    "408": error(408),
    "not JSON": whole(b"<html>maintenance</html>", headers={"content-type": "text/html"}),
    "broken connection": faults.resets(),
}
RAISED = {
    "bad request": (error(400), BadRequestError),
    "wrong key": (error(401), AuthenticationError),
}


@pytest.mark.parametrize("fault", HANDED_ON)
def test_what_another_provider_may_do_better_is_handed_on(
    surface: Surface, first: FakeServer, second: FakeServer, fault: str
) -> None:
    first.replies(HANDED_ON[fault])

    answer = surface.generate(both(first, second), "Hi")

    assert answer.content == "Hello from the second."
    assert len(first.requests) == 1


@pytest.mark.parametrize("fault", RAISED)
def test_what_the_caller_did_wrong_is_raised(
    surface: Surface, first: FakeServer, second: FakeServer, fault: str
) -> None:
    reply, kind = RAISED[fault]
    first.replies(reply)

    with pytest.raises(kind) as caught:
        surface.generate(both(first, second), "Hi")

    assert caught.value.provider == CHAT.provider
    assert second.requests == []


@pytest.mark.parametrize(
    ("on", "reply", "is_handed_on"),
    [
        (RateLimitError, error(429), True),
        (RateLimitError, error(402), True),
        ([QuotaExceededError, AuthenticationError], error(401), True),
        ([QuotaExceededError, AuthenticationError], error(429), False),
        (OverloadedError, error(500), False),
    ],
)
def test_on_says_what_is_handed_on(
    surface: Surface, first: FakeServer, second: FakeServer, on: Any, reply: Reply, is_handed_on: bool
) -> None:
    first.replies(reply)
    llm = both(first, second, on=on)

    if is_handed_on:
        assert surface.generate(llm, "Hi").content == "Hello from the second."
    else:
        with pytest.raises(AbstractCoreError):
            surface.generate(llm, "Hi")
        assert second.requests == []


def test_a_stream_that_breaks_after_a_chunk_is_not_begun_again(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    first.replies(unfinished("half of it"))

    with (
        surface.open_stream(both(first, second), "Hi") as stream,
        pytest.raises(IncompleteStreamError) as caught,
    ):
        stream.rest()

    assert caught.value.partial is not None
    assert (caught.value.partial.content, caught.value.partial.provider) == ("half of it", CHAT.provider)
    assert second.requests == []


def test_the_last_failure_is_raised_and_tells_of_the_others(
    surface: Surface, first: FakeServer, second: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    second.replies(error(429))
    llm = fallback([CHAT.llm(first, max_retries=0), ANTHROPIC.llm(second, max_retries=0)])

    with pytest.raises(RateLimitError) as caught:
        whole_or_stream.ask(surface, llm, "Hi")

    assert (caught.value.provider, caught.value.attempts) == (ANTHROPIC.provider, 2)
    assert any("ServerError" in note and CHAT.provider in note for note in caught.value.__notes__)


def test_one_deadline_holds_for_all(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    first.replies(faults.hangs())
    llm = both(first, second)

    with pytest.raises(RequestTimeoutError):
        surface.generate(llm, "Hi", timeout=0.2)

    assert second.requests == []


def test_an_llm_s_own_timeout_bounds_its_part(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    first.replies(faults.hangs())
    llm = fallback([CHAT.llm(first, timeout=0.2, max_retries=0), ANTHROPIC.llm(second)], timeout=30)

    answer = surface.generate(llm, "Hi")

    assert answer.content == "Hello from the second."
    assert 200 <= answer.gen_time < 20_000


def test_each_llm_s_own_defaults_are_sent(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    one = CHAT.llm(first, max_retries=0, temperature=0.1, seed=7)
    llm = fallback([one, ANTHROPIC.llm(second, temperature=0.9, max_output_tokens=33)])

    surface.generate(llm, "Hi")
    surface.generate(llm, "Hi", temperature=0.0)

    asked = [CHAT.sent(request).sampling for request in first.requests]
    assert [(each["temperature"], each["seed"]) for each in asked] == [(0.1, 7), (0.0, 7)]
    asked = [ANTHROPIC.sent(request).sampling for request in second.requests]
    assert [(each["temperature"], each["max_output_tokens"]) for each in asked] == [(0.9, 33), (0.0, 33)]


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sun in {city}."


def test_a_turn_with_tools_goes_on_with_the_next(
    surface: Surface, first: FakeServer, second: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    """The first calls the tool and dies; the second reads call and result in its own wire's words."""
    first.replies(call("get_weather", city="Oslo"), error(503))
    second.replies(text("It is sunny."))
    session = BasicSession(both(first, second), "Kind.", tools=[get_weather])

    answer = whole_or_stream.ask(surface, session, "Weather?", run_tools=True)

    assert (answer.content, answer.provider) == ("It is sunny.", ANTHROPIC.provider)
    sent = ANTHROPIC.sent(second.requests[0])
    check_is_valid(sent.items)
    assert sent.kinds == ["user", "call", "result"]
    assert sent.last == "Sun in Oslo."
    assert list(sent.tools) == ["get_weather"]
    assert [message["role"] for message in session.messages] == ["user", "assistant", "tool", "assistant"]


def test_a_conversation_goes_from_one_to_the_other_and_back(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    first.replies(text("One."), error(500), text("Three."))
    second.replies(text("Two."))
    session = BasicSession(both(first, second))

    answers = [surface.generate(session, question) for question in ("1?", "2?", "3?")]

    assert [answer.content for answer in answers] == ["One.", "Two.", "Three."]
    assert CHAT.sent(first.requests[-1]).turns == [
        ("user", "1?"), ("assistant", "One."), ("user", "2?"), ("assistant", "Two."), ("user", "3?"),
    ]  # fmt: skip


def test_clients_and_agents_take_it(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    second.replies(text("Said."), call("get_weather", city="Oslo"), text("Done."))
    llm = both(first, second)
    is_sync = surface.name == "sync"
    talk: Any = client(llm) if is_sync else aio.client(llm)
    agent: Any = (Agent if is_sync else aio.Agent)(talk, tools=[get_weather])

    assert surface.run(lambda: talk.chat("Hi")) == "Said."
    assert surface.run(lambda: agent.run("Weather?")) == "Done."


def test_structured_output_comes_from_whoever_answers(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    second.replies(text("no JSON"), text('{"city": "Oslo"}'))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

    answer = surface.generate(both(first, second), "Where?", response_model=schema, return_response=True)

    assert (answer.parsed, answer.provider) == ({"city": "Oslo"}, ANTHROPIC.provider)


# ---- the circuit breaker ---------------------------------------------------------------------


def test_after_failures_in_a_row_the_first_is_not_asked_until_its_time_is_over(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    clock = Clock()
    llm = both(first, second, max_failures=2, reset_timeout=10, clock=clock)
    asked: list[int] = []

    def ask() -> Any:
        answer = surface.generate(llm, "Hi")
        asked.append(len(first.requests))
        return answer

    assert llm.breakers == ["closed", "closed"]
    ask(), ask()
    assert llm.breakers == ["open", "closed"]
    assert any("was not asked" in warning for warning in ask().warnings)
    clock.now = 10
    assert llm.breakers == ["half-open", "closed"]
    ask()  # the probe fails
    assert llm.breakers == ["open", "closed"]
    clock.now = 19.9
    ask()
    clock.now = 20
    first.replies(text("Back."))
    assert ask().content == "Back."
    assert llm.breakers == ["closed", "closed"]

    assert asked == [1, 2, 2, 3, 3, 4]


def test_an_answer_between_them_begins_the_count_anew(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    first.replies(error(500), text("ok"), error(500), error(400), error(500))
    llm = both(first, second, max_failures=2)

    for _ in range(3):
        surface.generate(llm, "Hi")
    with pytest.raises(BadRequestError):
        surface.generate(llm, "Hi")
    surface.generate(llm, "Hi")

    assert llm.breakers[0] == "closed"


def test_a_half_open_breaker_lets_one_call_through(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    clock, gate = Clock(), threading.Event()
    llm = both(first, second, max_failures=1, reset_timeout=10, clock=clock)
    surface.generate(llm, "Hi")
    clock.now = 10
    first.replies(text("Back.").after(WaitFor(gate)))

    probe = surface.start(surface.later(llm, "Hi"))
    surface.wait_for(first, lambda server: len(server.requests) == 2)
    others = surface.gather(*[surface.later(llm, "Hi")] * 3)
    gate.set()

    assert [answer.content for answer in others] == ["Hello from the second."] * 3
    assert probe.outcome().content == "Back."
    assert len(first.requests) == 2


def test_a_caller_that_leaves_does_not_use_up_the_probe(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    clock = Clock()
    llm = both(first, second, max_failures=1, reset_timeout=10, clock=clock)
    surface.generate(llm, "Hi")
    clock.now = 10
    first.replies(text("word " * 50).changed(lambda steps: [*steps[:-1], Hang()]), text("Back."))

    surface.take(llm, 1, "Hi")

    assert surface.generate(llm, "Hi").content == "Back."
    assert llm.breakers[0] == "closed"


def test_when_all_are_left_out_one_is_asked_all_the_same(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    clock = Clock()
    second.replies(error(500))
    llm = both(first, second, max_failures=1, reset_timeout=10, clock=clock)
    with pytest.raises(ServerError):
        surface.generate(llm, "Hi")
    assert llm.breakers == ["open", "open"]
    first.replies(text("Back."))

    assert surface.generate(llm, "Hi").content == "Back."

    assert llm.breakers == ["closed", "open"]
    assert len(second.requests) == 1


# ---- the rest of an LLM ----------------------------------------------------------------------


def test_closing_it_closes_them_all(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    one, other = CHAT.llm(first, max_retries=0), ANTHROPIC.llm(second)
    llm = fallback([one, other])
    surface.generate(llm, "Hi")

    surface.close(llm)

    surface.wait_for(second, lambda server: server.open_sockets == 0)
    for each in (llm, one, other):
        with pytest.raises(ClosedError):
            surface.generate(each, "Hi")


def test_it_is_healthy_when_one_of_them_is(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    llm = both(first, second)
    first.always["GET /v1/models"] = error(500)
    second.always["GET /v1/models"] = models("claude")

    assert surface.call(llm, "health")
    second.always["GET /v1/models"] = error(401)
    health = surface.call(llm, "health")

    assert not health
    assert isinstance(health.error, ServerError)


def test_it_lists_the_models_of_all(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    first.always["GET /v1/models"] = models("a", "both")
    second.always["GET /v1/models"] = models("both", "b")

    assert surface.call(both(first, second), "list_models") == ["a", "both", "b"]


def test_it_pickles_without_keys_and_with_its_settings(
    surface: Surface, first: FakeServer, second: FakeServer
) -> None:
    key = "sk-live-0123456789abcdef"
    one = CHAT.llm(first, max_retries=0, api_key=key)
    llm = fallback([one, ANTHROPIC.llm(second)], on=RateLimitError, timeout=5, max_failures=1)
    with pytest.raises(ServerError):
        surface.generate(llm, "Hi")

    data = pickle.dumps(llm)
    copy = pickle.loads(data)
    try:
        assert key.encode() not in data
        assert isinstance(copy, LLM)
        assert (copy.model, repr(copy)) == (llm.model, repr(llm))
        with pytest.raises(ServerError):
            surface.generate(copy, "Hi")
        first.replies(error(429))
        assert surface.generate(copy, "Hi").content == "Hello from the second."
        assert copy.breakers == ["open", "closed"]
    finally:
        surface.close(copy)


def test_one_may_stand_in_another(surface: Surface, first: FakeServer, second: FakeServer) -> None:
    inner = fallback([CHAT.llm(first, max_retries=0), CHAT.llm(first, max_retries=0)])
    llm = fallback([inner, ANTHROPIC.llm(second)])

    answer = surface.generate(llm, "Hi")

    assert (answer.content, answer.provider) == ("Hello from the second.", ANTHROPIC.provider)
    assert len(first.requests) == 2


@pytest.mark.parametrize(
    ("llms", "options", "message"),
    [
        ([], {}, "at least"),
        (["openai:gpt-5-mini"], {}, "not str"),
        (None, {"on": ValueError}, "error classes"),
        (None, {"on": []}, "error classes"),
        (None, {"max_failures": 0}, "max_failures"),
        (None, {"reset_timeout": -1}, "reset_timeout"),
        (None, {"timeout": -1}, "timeout"),
    ],
)
def test_what_cannot_work_is_refused(
    server: FakeServer, llms: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        fallback([server.llm()] if llms is None else llms, **options)
