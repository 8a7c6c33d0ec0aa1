"""ScriptedLLM and FunctionLLM answer as told, and are LLMs like any other, on both surfaces."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from typing import Any

import pytest
from pydantic import BaseModel

import abstractcore
from abstractcore import (
    LLM,
    AsyncToolError,
    BasicSession,
    ClosedError,
    ConfigurationError,
    IncompleteStreamError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    StreamChunk,
    UnsupportedFeatureError,
    Usage,
    aio,
    errors,
)
from abstractcore.testing import (
    FunctionLLM,
    Request,
    ScriptedLLM,
    ScriptError,
    thinking,
    tool_call,
    wait,
    word_vector,
)
from tests.fakes.surfaces import Surface, WholeOrStream


class City(BaseModel):
    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def shout(request: Request) -> str:
    return request.prompt.upper()


def client_of(surface: Surface, llm: LLM, **options: Any) -> Any:
    return (abstractcore if surface.name == "sync" else aio).client(llm, **options)


def agent_of(surface: Surface, client: Any, **options: Any) -> Any:
    return (abstractcore if surface.name == "sync" else aio).Agent(client, **options)


def test_answers_come_in_order(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    llm = ScriptedLLM(["One and two.", {"name": "Paris"}])

    answers = [whole_or_stream.ask(surface, llm, prompt) for prompt in ("first", "second")]

    assert [answer.content for answer in answers] == ["One and two.", '{"name": "Paris"}']
    assert [answer.finish_reason for answer in answers] == ["stop", "stop"]
    assert [request.prompt for request in llm.requests] == ["first", "second"]
    assert [request.stream for request in llm.requests] == [whole_or_stream.streams] * 2
    assert llm.unused == 0


def test_a_text_is_streamed_word_by_word_and_a_list_as_it_is(surface: Surface) -> None:
    llm = ScriptedLLM([" One  two\nthree ", ["One t", "", "wo"], ""])

    texts = [[chunk.content for chunk in surface.stream(llm, "Hi", include="generating")] for _ in range(3)]

    assert texts == [[" One", "  two", "\nthree "], ["One t", "", "wo"], [""]]


def test_phases_usage_and_the_end_are_as_written(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    """B2, D3: what the script does not tell is None."""
    end = StreamChunk("done", finish_reason="length", metadata={"request_id": "r-1", "warnings": ("seed",)})
    llm = ScriptedLLM([[thinking("Hm."), "Par", "is", Usage(3, 2, 5), end], "plain"])

    answer = whole_or_stream.ask(surface, llm, "Capital?")
    plain = whole_or_stream.ask(surface, llm, "Again?")

    assert (answer.content, answer.reasoning, answer.usage) == ("Paris", "Hm.", Usage(3, 2, 5))
    assert (answer.finish_reason, answer.request_id, answer.warnings) == ("length", "r-1", ["seed"])
    assert (answer.provider, answer.model) == ("scripted", "scripted")
    assert plain.usage == Usage()


def test_an_error_is_raised_and_each_time_anew(surface: Surface) -> None:
    failure = RateLimitError("slow down", status_code=429, retry_after=7.0, retryable=True)
    llm = ScriptedLLM([failure, failure, ServerError])

    raised = [surface.gather(surface.later(llm, "Hi"))[0] for _ in range(3)]

    assert [type(each) for each in raised] == [RateLimitError, RateLimitError, ServerError]
    assert (raised[0].retry_after, raised[0].attempts, raised[0].provider) == (7.0, 1, "scripted")
    assert raised[0] is not raised[1]
    assert failure.provider is None


def test_a_stream_may_break_off(surface: Surface) -> None:
    """B5: what had arrived stands on the error."""
    llm = ScriptedLLM([["Par", IncompleteStreamError("the line broke")]])

    with surface.open_stream(llm, "Hi") as stream:
        assert stream.next().content == "Par"
        with pytest.raises(IncompleteStreamError) as failure:
            stream.rest()

    assert failure.value.partial.content == "Par"


def test_a_retry_takes_the_next_answer(surface: Surface) -> None:
    llm = ScriptedLLM([RateLimitError("slow down", retry_after=0.0, retryable=True), "Hello."], max_retries=1)

    assert surface.generate(llm, "Hi").content == "Hello."
    assert len(llm.requests) == 2


def test_the_end_of_the_script_is_an_error_that_says_so(surface: Surface) -> None:
    llm = ScriptedLLM(["One."])
    surface.generate(llm, "first")

    with pytest.raises(ScriptError, match=r"has 1 answer, and this is request 2, whose prompt is 'second'"):
        surface.generate(llm, "second")


def test_a_wait_passes_by_the_drivers_clock(surface: Surface) -> None:
    llm = ScriptedLLM([[wait(0.05), "late"]])
    began = time.monotonic()

    assert surface.generate(llm, "Hi").content == "late"
    assert time.monotonic() - began >= 0.05


def test_a_wait_ends_at_the_deadline(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    """B7."""
    llm = ScriptedLLM([["a", wait(60), "b"]])
    began = time.monotonic()

    with pytest.raises(RequestTimeoutError, match=r"longer than 0.05 s") as failure:
        whole_or_stream.ask(surface, llm, "Hi", timeout=0.05)

    assert failure.value.phase == "total"
    assert failure.value.partial.content == "a"
    assert time.monotonic() - began < 10


def test_a_stream_that_is_left_asks_for_nothing_more(surface: Surface) -> None:
    llm = ScriptedLLM([["a", wait(60), "b"], "next"])

    taken, _ = surface.take(llm, 1, "Hi")

    assert [chunk.content for chunk in taken] == ["a"]
    assert surface.generate(llm, "Hi").content == "next"


def test_tools_are_run(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    llm = ScriptedLLM([[tool_call("add", a=1, b=2), tool_call("add", a=3, b=4)], "3 and 7."])

    answer = whole_or_stream.ask(surface, llm, "1+2? 3+4?", tools=[add], run_tools=True)

    assert answer.content == "3 and 7."
    assert llm.requests[0].tool_names == ["add"]
    assert llm.requests[1].tool_results == ["3", "7"]
    ids = [call["id"] for call in llm.requests[1].messages[1].get("tool_calls", [])]
    assert ids == ["call_1_1", "call_1_2"]


def test_calls_are_handed_back_with_the_reason(surface: Surface) -> None:
    answer = surface.generate(ScriptedLLM([["Adding.", tool_call("add", a=1)]]), "1+?", tools=[add])

    assert answer.finish_reason == "tool_calls"
    assert answer.tool_calls == [abstractcore.ToolCall("call_1_1", "add", {"a": 1})]


def test_a_session_a_client_and_an_agent_take_it(surface: Surface) -> None:
    llm = ScriptedLLM(["I am Bob.", "Bob.", tool_call("add", a=1, b=2), "3."])
    session = BasicSession(llm, "Be short.")
    client = client_of(surface, llm, system="Be shorter.")
    agent = agent_of(surface, client, tools=[add])

    surface.generate(session, "Who are you?")
    said = surface.run(lambda: client.chat("Name?"))
    done = surface.run(lambda: agent.run("1+2?"))

    assert (said, done) == ("Bob.", "3.")
    assert session.messages[-1]["content"] == "I am Bob."
    assert [request.system_prompt for request in llm.requests[:2]] == ["Be short.", "Be shorter."]
    assert llm.requests[3].tool_results == ["3"]


def test_a_schema_is_validated_and_insisted_on(surface: Surface) -> None:
    llm = ScriptedLLM(["No idea.", {"name": "Paris"}])

    assert surface.generate(llm, "Where?", response_model=City) == City(name="Paris")
    assert len(llm.requests) == 2
    assert llm.requests[0].schema is not None


def test_sampling_reaches_the_request(surface: Surface) -> None:
    llm = ScriptedLLM(["a", "b"], temperature=0.5, seed=1)

    surface.generate(llm, "Hi")
    surface.generate(llm, "Hi", seed=2)

    assert [(each.temperature, each.seed) for each in llm.requests] == [(0.5, 1), (0.5, 2)]


def test_a_request_stays_as_it_was(surface: Surface) -> None:
    llm = ScriptedLLM(["a"])
    part = {"type": "text", "text": "one"}
    messages: list[Any] = [{"role": "user", "content": [part]}]
    surface.generate(llm, messages=messages)
    part["text"] = "two"
    messages[0]["role"] = "system"

    assert llm.requests[0].prompt == "one"
    assert llm.requests[0].system_prompt is None


def test_many_calls_take_one_answer_each(surface: Surface) -> None:
    llm = ScriptedLLM([str(number) for number in range(50)])

    answers = surface.gather(*[surface.later(llm, "Hi") for _ in range(50)])

    assert sorted(int(answer.content) for answer in answers) == list(range(50))


def test_closed_is_closed(surface: Surface) -> None:
    llm = ScriptedLLM(["a"])
    surface.close(llm)

    with pytest.raises(ClosedError):
        surface.generate(llm, "Hi")


def test_it_names_its_model_and_is_healthy(surface: Surface) -> None:
    llm = ScriptedLLM([], model="toy")

    assert surface.call(llm, "list_models") == ["toy"]
    assert surface.call(llm, "health")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScriptedLLM("Hello."),
        lambda: ScriptedLLM([3]),  # type: ignore[list-item]
        lambda: ScriptedLLM([["a", ValueError("b")]]),  # type: ignore[list-item]
        lambda: FunctionLLM("Hello."),  # type: ignore[arg-type]
        lambda: wait(-1),
        lambda: wait(float("nan")),
    ],
)
def test_what_cannot_be_an_answer_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_an_unknown_argument_names_the_close_one() -> None:
    """A5."""
    with pytest.raises(TypeError, match="temperature"):
        ScriptedLLM([], temprature=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("make", [lambda: ScriptedLLM(["HI"], seed=1), lambda: FunctionLLM(shout, seed=1)])
def test_it_pickles(make: Any) -> None:
    """A8: the copy has its own requests, and the script from its beginning."""
    first = make()
    first.generate("hi")
    second = pickle.loads(pickle.dumps(first))

    assert second.generate("hi").content == "HI"
    assert [len(each.requests) for each in (first, second)] == [1, 1]
    assert second.requests[0].seed == 1


def test_a_class_of_errors_is_retryable_as_the_real_one_is() -> None:
    kinds = [ServerError, RateLimitError, errors.QuotaExceededError, errors.AuthenticationError]
    llm = ScriptedLLM(kinds)

    def raised() -> bool:
        with pytest.raises(errors.APIError) as failure:
            llm.generate("Hi")
        return failure.value.retryable

    assert [raised() for _ in kinds] == [True, True, False, False]


def test_a_function_answers(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    llm = FunctionLLM(shout)

    assert whole_or_stream.ask(surface, llm, "abc").content == "ABC"
    assert llm.requests[0].prompt == "abc"


def test_a_function_may_call_tools(surface: Surface) -> None:
    def answer(request: Request) -> Any:
        return f"It is {request.tool_results[0]}." if request.tool_results else [tool_call("add", a=1, b=2)]

    assert surface.generate(FunctionLLM(answer), "1+2?", tools=[add], run_tools=True).content == "It is 3."


def test_what_a_function_raises_is_raised(surface: Surface) -> None:
    def refuse(request: Request) -> str:
        if request.prompt == "busy":
            raise RateLimitError("busy", retry_after=3.0)
        raise AssertionError("the prompt is wrong")

    llm = FunctionLLM(refuse)

    with pytest.raises(RateLimitError) as failure:
        surface.generate(llm, "busy")
    assert failure.value.provider == "function"
    with pytest.raises(AssertionError, match="the prompt is wrong"):
        surface.generate(llm, "Hi")


def test_a_function_that_gives_something_else_is_an_error(surface: Surface) -> None:
    with pytest.raises(ConfigurationError, match="NoneType"):
        surface.generate(FunctionLLM(lambda request: None), "Hi")  # type: ignore[arg-type,return-value]


def test_a_coroutine_function_is_awaited_or_refused(surface: Surface) -> None:
    """E2's rule."""

    async def answer(request: Request) -> list[str]:
        return ["Hel", "lo."]

    if surface.name == "sync":
        with pytest.raises(AsyncToolError, match="agenerate"):
            surface.generate(FunctionLLM(answer), "Hi")
    else:
        assert surface.generate(FunctionLLM(answer), "Hi").content == "Hello."


async def test_a_coroutine_function_ends_at_the_deadline() -> None:
    """B7."""

    async def answer(request: Request) -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(RequestTimeoutError, match=r"longer than 0.05 s"):
        await FunctionLLM(answer).agenerate("Hi", timeout=0.05)


async def test_a_function_does_not_stop_the_loop() -> None:

    loop_went_on = threading.Event()

    def answer(request: Request) -> str:
        return "free" if loop_went_on.wait(10) else "stuck"

    asyncio.get_running_loop().call_later(0.01, loop_went_on.set)

    assert (await FunctionLLM(answer).agenerate("Hi")).content == "free"


def near(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "llm", [ScriptedLLM([], embeddings=word_vector), FunctionLLM(shout, embeddings=word_vector)]
)
def test_texts_become_vectors_by_a_function(surface: Surface, llm: LLM) -> None:
    """The same each time, in a copy too, and nearer where the words are the same."""
    texts = ["The cat sleeps.", "A sleeping dog", "the CAT eats", "!?", " "]
    found = surface.call(llm, "embed", texts)
    again = surface.call(pickle.loads(pickle.dumps(llm)), "embed", texts[0])

    assert (found.provider, found.model, found.dimensions) == (llm.provider, llm.model, 64)
    assert found[0] == again[0] == word_vector("The cat sleeps.")
    assert near(found[0], found[2]) > near(found[0], found[1]) >= 0
    assert [pytest.approx(near(vector, vector)) for vector in found] == [1.0] * 5
    assert llm.requests == []  # type: ignore[attr-defined]


def test_vectors_of_a_function_are_checked(surface: Surface) -> None:
    def embedding(text: str) -> list[float]:
        if text == "fails":
            raise RateLimitError("busy")
        return {"zero": [0, 0], "two": [1, 2], "three": [1, 2, 3]}[text]

    llm = ScriptedLLM([], embeddings=embedding)

    assert surface.call(llm, "embed", "two").vectors == [[1.0, 2.0]]
    for texts, kind in (
        ("zero", ResponseError),
        (["two", "three"], ResponseError),
        ("fails", RateLimitError),
    ):
        with pytest.raises(kind):
            surface.call(llm, "embed", texts)
    with pytest.raises(ResponseError):
        surface.call(llm, "embed", "two", dimensions=3)
    surface.close(llm)
    with pytest.raises(ClosedError):
        surface.call(llm, "embed", "two")


def test_without_such_a_function_there_are_no_embeddings(surface: Surface) -> None:
    with pytest.raises(UnsupportedFeatureError, match="embeddings=word_vector"):
        surface.call(ScriptedLLM(["a"]), "embed", "a")


async def coming(text: str) -> list[float]:
    return word_vector(text)


@pytest.mark.parametrize("wrong", [[0.5], coming])
def test_embeddings_are_a_plain_function(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="a plain function"):
        ScriptedLLM([], embeddings=wrong)
