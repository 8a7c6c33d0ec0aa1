"""The tool loop and re-asking, through the public surface, on both of its sides."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from abstractcore import (
    AsyncToolError,
    BasicSession,
    StructuredOutputError,
    ToolContext,
    ToolError,
    ToolPolicy,
    UnsupportedFeatureError,
    fallback,
    tool,
)
from tests.fakes import any_wire, openai_chat
from tests.fakes.openai_chat import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire, check_is_valid


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class City(BaseModel):
    name: str
    population: int


def results(server: FakeServer, number: int) -> list[str]:
    return [m["content"] for m in server.requests[number].json["messages"] if m["role"] == "tool"]


def test_e_the_model_is_asked_again_with_the_results(
    surface: Surface, server: FakeServer, whole_or_stream: Any
):
    server.replies(call("add", a=1, b=2), text("It is 3."))

    response = whole_or_stream.ask(surface, server.llm(), "1 + 2?", tools=[add], run_tools=True)

    assert response.content == "It is 3."
    assert response.tool_calls == []
    assert results(server, 1) == ["3"]
    assert response.usage.input_tokens == 2 * openai_chat.USAGE["prompt_tokens"]


def test_without_run_tools_nothing_runs(surface: Surface, server: FakeServer):
    server.replies(call("add", a=1, b=2))
    response = surface.generate(server.llm(), "1 + 2?", tools=[add])
    assert [c.name for c in response.tool_calls] == ["add"]
    assert len(server.requests) == 1


def test_e2_the_async_surface_awaits_async_tools(server: FakeServer, surface: Surface):
    server.replies(call("multiply", a=3, b=2), text("6"))
    if surface.name == "sync":
        with pytest.raises(AsyncToolError, match=r"multiply.*abstractcore\.aio"):
            surface.generate(server.llm(), "3 * 2?", tools=[multiply], run_tools=True)
        assert server.requests == []
    else:
        assert surface.generate(server.llm(), "3 * 2?", tools=[multiply], run_tools=True).content == "6"
        assert results(server, 1) == ["6"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (call("add", a=1, b="x"), "valid integer"),
        (calls([("add", "[1]")]), "not a JSON object"),
        (call("subtract", a=1), "no tool 'subtract'"),
        (call("fail"), "ValueError: no such luck"),
    ],
)
def test_e3_what_goes_wrong_is_told_to_the_model(surface: Surface, server: FakeServer, asked: Any, told: str):
    @tool
    def fail() -> None:
        """Fail."""
        raise ValueError("no such luck")

    server.replies(asked, text("Sorry."))

    assert surface.generate(server.llm(), "?", tools=[add, fail], run_tools=True).content == "Sorry."
    assert told in results(server, 1)[0]
    assert "Traceback" not in results(server, 1)[0]


def test_e3_a_tool_that_hangs_is_left_behind(surface: Surface, server: FakeServer):
    released = threading.Event()

    @tool
    def hang() -> None:
        """Hang."""
        released.wait(30)

    server.replies(call("hang"), text("Went on."))
    session = BasicSession(server.llm(), tools=[hang])
    session.tool_policy = replace(session.tool_policy, tool_timeout=0.05)
    try:
        assert surface.generate(session, "?", run_tools=True).content == "Went on."
        assert "took longer than 0.05 seconds" in results(server, 1)[0]
    finally:
        released.set()


@pytest.mark.parametrize("written", ["", "{}", "null"])
def test_e3_arguments_that_say_nothing_are_none(surface: Surface, server: FakeServer, written: str):
    """FAULTS 1.6"""

    @tool
    def ping(times: int = 1) -> str:
        """Ping."""
        return "pong" * times

    server.replies(calls([("ping", written)]), text("Done."))
    surface.generate(server.llm(), "?", tools=[ping], run_tools=True)
    assert results(server, 1) == ["pong"]


def test_e3_a_tool_that_hangs_keeps_nothing(surface: Surface, server: FakeServer):
    """FAULTS 1.6: an async one is cancelled, a sync one is in a daemon thread; it has 60 s unless said."""
    seen: list[Any] = []
    released = threading.Event()

    @tool
    def hang() -> None:
        """Hang."""
        seen.append(threading.current_thread().daemon)
        released.wait(30)

    @tool(name="hang")
    async def awaited() -> None:
        """Hang."""
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    assert ToolPolicy().tool_timeout == 60
    for made in (hang,) if surface.name == "sync" else (hang, awaited):
        server.replies(call("hang"), text("Went on."))
        answer = surface.generate(server.llm(), "?", tools=[made], run_tools=True, tool_timeout=0.3)
        assert answer.content == "Went on."
    released.set()
    assert seen == [True, "cancelled"][: 1 if surface.name == "sync" else 2]


def test_e4_concurrent_tools_run_side_by_side_and_answer_in_order(surface: Surface, server: FakeServer):
    together = threading.Barrier(3, timeout=5)

    @tool
    def meet(name: str) -> str:
        """Meet."""
        together.wait()
        return name

    server.replies(calls([("meet", {"name": n}) for n in "abc"]), text("Met."))
    session = BasicSession(server.llm(), tools=[meet])
    session.tool_policy = replace(session.tool_policy, concurrent_tool_calls=True)

    assert surface.generate(session, "?", run_tools=True).content == "Met."
    assert results(server, 1) == ["a", "b", "c"]


@pytest.mark.parametrize(("verdict", "told"), [(False, "was refused"), ("too dear", "too dear"), (True, "3")])
def test_e6_approve_may_refuse_a_call(surface: Surface, server: FakeServer, verdict: Any, told: str):
    server.replies(call("add", a=1, b=2), text("ok"))
    session = BasicSession(server.llm(), tools=[add])
    session.tool_policy = replace(session.tool_policy, approve=lambda call: verdict)

    surface.generate(session, "?", run_tools=True)
    assert told in results(server, 1)[0]


async def test_e6_an_approval_that_asks_somebody_and_waits_does_not_stop_the_loop(server: FakeServer):
    """E2, E6: a sync function is called in a thread of the async surface."""
    answered, turned = threading.Event(), threading.Event()

    def approve(call: Any) -> bool:
        turned.set()
        return answered.wait(5)

    async def answer() -> None:
        while not turned.is_set():
            await asyncio.sleep(0.001)
        answered.set()

    server.replies(call("add", a=1, b=2), text("ok"))
    session = BasicSession(server.llm(), tools=[add])
    session.tool_policy = replace(session.tool_policy, approve=approve)
    await asyncio.gather(answer(), session.agenerate("?", run_tools=True))
    await session.provider.aclose()

    assert results(server, 1) == ["3"]


def test_e3_a_failure_whose_words_are_no_unicode_reaches_the_model(surface: Surface, server: FakeServer):
    """As the name of a file that is none in UTF-8 has them."""

    @tool
    def read() -> str:
        """Read."""
        raise OSError("no such file: caf\udce9")

    server.replies(call("read"), text("ok"))
    session = BasicSession(server.llm(), tools=[read])

    assert surface.generate(session, "?", run_tools=True).content == "ok"
    assert "no such file: caf?" in results(server, 1)[0]


@pytest.mark.parametrize("kind", ["llm", "session", "fallback"])
def test_a_key_in_a_tool_s_failure_reaches_nobody(
    surface: Surface, server: FakeServer, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """FAULTS 1.6: the provider's own, one of the environment, and what looks like one."""
    monkeypatch.setenv("WEATHER_API_KEY", "weather-0123456789")
    keys = ("own-key-of-the-llm-9", "weather-0123456789", "sk-live-0123456789abcdef")

    @tool
    def fail() -> None:
        """Fail."""
        raise RuntimeError(f"no answer from https://x.example/?a={keys[0]}&b={keys[1]}, Bearer {keys[2]}")

    @tool
    def refuse() -> None:
        """Refuse."""
        raise ToolError(f"refused: {keys[0]}")

    events: list[Any] = []
    server.replies(calls([("fail", {}), ("refuse", {})]), text("Sorry."))
    llm = server.llm(api_key=keys[0])
    asked: Any = fallback([llm]) if kind == "fallback" else llm
    if kind == "session":
        asked = BasicSession(llm)
        asked.tool_policy = replace(asked.tool_policy, events=events.append)
    chunks = surface.stream(asked, "?", tools=[fail, refuse], run_tools=True)

    history = asked.messages if kind == "session" else []
    everything = "".join(map(str, [chunks, events, history, results(server, 1)]))
    assert "no answer from https://x.example" in everything
    assert [key for key in keys if key in everything] == []


def test_f2_a_model_that_calls_on_gives_no_typed_answer(surface: Surface, server: FakeServer):
    """B9: with a schema what it says at the bound is no answer, and never None."""
    server.route = lambda request: call("add", a=1, b=2)
    session = BasicSession(server.llm(), tools=[add])
    session.tool_policy = replace(session.tool_policy, max_iterations=1)

    with pytest.raises(StructuredOutputError):
        surface.generate(session, "?", run_tools=True, response_model=dict[str, int])
    assert session.messages == []


def test_f2_at_the_bound_pending_calls_are_answered_and_the_model_asked_once_more(
    surface: Surface, server: FakeServer
):
    server.route = lambda request: (
        text("Enough.") if request.json.get("tool_choice") == "none" else call("add", a=1, b=2)
    )
    session = BasicSession(server.llm(), tools=[add])
    session.tool_policy = replace(session.tool_policy, max_iterations=2)

    assert surface.generate(session, "?", run_tools=True).content == "Enough."
    assert len(server.requests) == 3
    assert results(server, 2)[0] == "3"
    assert results(server, 2)[1].startswith("Not run")


def test_f2_the_last_call_is_without_tools_and_leaves_no_call_open(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: Any
):
    """Of a model that calls on all the same, too: providers refuse a call that has no result."""
    server.route = lambda request: any_wire.call("add", a=1, b=2)
    llm = wire.llm(server)
    session = BasicSession(llm, tools=[add])

    response = whole_or_stream.ask(surface, session, "?", run_tools=True, max_iterations=1)

    last = wire.sent(server.requests[1])
    assert last.tool_choice == "none" or not last.tools
    check_is_valid(last.items)
    assert (len(server.requests), [each.name for each in response.tool_calls]) == (2, ["add"])
    surface.generate(llm, "And?", messages=session.messages)
    check_is_valid(wire.sent(server.requests[2]).items)


def test_a_generator_tool_streams_its_progress(surface: Surface, server: FakeServer):
    @tool
    def count(n: int):
        """Count."""
        for i in range(n):
            yield f"{i};"

    server.replies(call("count", n=2), text("Done."))
    chunks = surface.stream(server.llm(), "?", tools=[count], run_tools=True)

    assert [c.content for c in chunks if c.phase == "tool_calling"] == ["", "0;", "1;", "0;1;"]
    assert [c.phase for c in chunks].count("done") == 1
    assert chunks[-1].iteration == 1


@pytest.mark.parametrize("concurrent", [False, True], ids=["in turn", "side by side"])
def test_any_tool_may_tell_its_progress_by_its_context(
    surface: Surface, server: FakeServer, concurrent: bool
):
    """It is streamed as what a generator yields is, and an event; it is no part of the result."""

    @tool
    def dig(depth: int, context: ToolContext) -> str:
        """Dig."""
        for metre in range(depth):
            context.progress(f"{metre} m")
        return "dug"

    events: list[Any] = []
    server.replies(calls([("dig", {"depth": 1}), ("dig", {"depth": 2})]), text("Done."))
    session = BasicSession(server.llm(), tools=[dig])
    session.tool_policy = replace(session.tool_policy, concurrent_tool_calls=concurrent, events=events.append)
    chunks = surface.stream(session, "?", run_tools=True)

    told = [c.content for c in chunks if c.phase == "tool_calling" and c.content]
    assert (sorted(told) if concurrent else told) == (
        ["0 m", "0 m", "1 m", "dug", "dug"] if concurrent else ["0 m", "dug", "0 m", "1 m", "dug"]
    )
    assert [e.content for e in events if e.kind == "tool_progress"] == [t for t in told if t != "dug"]
    assert results(server, 1) == ["dug", "dug"]


def test_a_context_that_outlives_its_tool_tells_nobody(surface: Surface, server: FakeServer):
    kept: list[ToolContext] = []

    @tool
    def keep(context: ToolContext) -> str:
        """Keep."""
        kept.append(context)
        return "kept"

    server.replies(call("keep"), text("Done."))
    assert surface.generate(server.llm(), "?", tools=[keep], run_tools=True).content == "Done."
    kept[0].progress("late")
    ToolContext().progress("nowhere")


def test_e4_the_progress_of_tools_side_by_side_comes_as_it_comes(surface: Surface, server: FakeServer):
    """Each waits for a word that it is given only once the other's progress has been read."""
    go_on = {name: threading.Event() for name in "ab"}

    @tool
    def step(name: str):
        """Step."""
        yield f"{name} began"
        assert go_on[name].wait(5)
        yield f"{name} went on"

    server.replies(calls([("step", {"name": n}) for n in "ab"]), text("Done."))
    session = BasicSession(server.llm(), tools=[step])
    session.tool_policy = replace(session.tool_policy, concurrent_tool_calls=True)
    told: list[str] = []
    with surface.open_stream(session, "?", run_tools=True) as stream:
        while (chunk := stream.next()) is not None:
            if chunk.phase == "tool_calling" and chunk.content:
                told.append(chunk.content)
            if {"a began", "b began"} <= set(told):
                go_on["b"].set()
            if "b went on" in told:
                go_on["a"].set()

    assert set(told[:2]) == {"a began", "b began"}
    assert told[2:] == ["b went on", "a went on", "a begana went on", "b beganb went on"]


def test_a_tool_is_given_the_context_it_asks_for(surface: Surface, server: FakeServer):
    seen: list[ToolContext] = []

    @tool
    def look(context: ToolContext) -> str:
        """Look."""
        seen.append(context)
        return "ok"

    server.replies(call("look"), text("Done."))
    surface.generate(server.llm(), "Where?", tools=[look], run_tools=True)

    assert "context" not in server.requests[0].json["tools"][0]["function"]["parameters"].get(
        "properties", {}
    )
    assert seen[0].messages[-1]["content"] == "Where?"
    assert seen[0].tool_call is not None


def test_c3_a_turn_with_tools_is_recorded_whole_or_not_at_all(
    surface: Surface, server: FakeServer, whole_or_stream: Any
):
    server.replies(call("add", a=1, b=2), openai_chat.error(400, "no"), call("add", a=1, b=2), text("3"))
    session = BasicSession(server.llm(), tools=[add])

    with pytest.raises(Exception, match="no"):
        whole_or_stream.ask(surface, session, "1 + 2?", run_tools=True)
    assert session.messages == []

    whole_or_stream.ask(surface, session, "1 + 2?", run_tools=True)
    assert [m["role"] for m in session.messages] == ["user", "assistant", "tool", "assistant"]


def test_an_id_that_was_used_before_is_made_another(surface: Surface, server: FakeServer):
    """FAULTS 1.6: each call is executed once, and providers refuse two of one id."""
    server.replies(call("add", a=1, b=2), call("add", a=3, b=4), text("done"))
    session = BasicSession(server.llm(), tools=[add])
    surface.generate(session, "?", run_tools=True)

    ids = [m["tool_call_id"] for m in session.messages if m["role"] == "tool"]
    assert len(set(ids)) == 2


def test_nan_becomes_null_and_what_is_no_json_its_repr(surface: Surface, server: FakeServer):
    @tool
    def odd() -> Any:
        """Be odd."""
        return {"x": float("nan"), "when": {1, 2}}

    @tool
    def huge() -> str:
        """Be huge."""
        return "x" * 100_000

    server.replies(calls([("odd", {}), ("huge", {})]), text("ok"))
    surface.generate(server.llm(), "?", tools=[odd, huge], run_tools=True)

    odd_result, huge_result = results(server, 1)
    assert '"x": null' in odd_result
    assert len(huge_result) < 33_000


def test_a_wrong_answer_is_sent_back_with_the_reason(
    surface: Surface, server: FakeServer, whole_or_stream: Any
):
    server.replies(text('{"name": "Oslo"}'), text('{"name": "Oslo", "population": 700000}'))

    response = whole_or_stream.ask(surface, server.llm(), "Which?", response_model=City, return_response=True)

    assert response.parsed == City(name="Oslo", population=700000)
    assert response.content == '{"name": "Oslo", "population": 700000}'
    assert "population" in server.requests[1].messages[-1].content


def test_a_schema_and_tools_go_together(surface: Surface, server: FakeServer):
    server.replies(call("add", a=1, b=2), text('{"name": "Oslo", "population": 3}'))
    city = surface.generate(server.llm(), "Which?", tools=[add], run_tools=True, response_model=City)
    assert city == City(name="Oslo", population=3)


def test_a_stream_shows_the_object_as_it_grows(surface: Surface, server: FakeServer):
    server.replies(text('{"name": "Oslo", "population": 3}'))
    chunks = surface.stream(server.llm(), "Which?", response_model=City)
    partials = [c.partial for c in chunks if c.partial]
    assert {"name": "Oslo"} in partials or any(p.get("name") == "Oslo" for p in partials)
    assert partials[-1] == {"name": "Oslo", "population": 3}


def test_after_three_wrong_answers_a_session_is_as_it_was(surface: Surface, server: FakeServer):
    server.replies(text("no"))
    session = BasicSession(server.llm())
    with pytest.raises(StructuredOutputError):
        surface.generate(session, "Which?", response_model=City)
    assert session.messages == []
    assert len(server.requests) == 3


def test_an_answer_that_was_cut_off_says_so(surface: Surface, server: FakeServer):
    server.replies(text('{"name": "Os', finish_reason="length"))
    with pytest.raises(StructuredOutputError, match="max_output_tokens"):
        surface.generate(server.llm(), "Which?", response_model=City)


def test_strict_says_what_is_not_supported(surface: Surface, server: FakeServer):
    with pytest.raises(UnsupportedFeatureError) as raised:
        surface.generate(server.llm("deepseek", strict=True), "hi", seed=3)
    assert "seed" in str(raised.value)
    assert "left out" not in str(raised.value)
