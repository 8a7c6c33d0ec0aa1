"""Agents and workflows as OpenTelemetry sees them: one tree of spans for one run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

import abstractcore
from abstractcore import aio, tool
from abstractcore.testing import FunctionLLM, Request, ScriptedLLM, tool_call
from tests.fakes.surfaces import Surface
from tests.tracing.conftest import Kept


@pytest.fixture
def names(surface: Surface) -> Any:
    """The names of one surface."""
    return abstractcore if surface.name == "sync" else aio


def run(surface: Surface, runs: Any, **options: Any) -> Any:
    return surface.run(lambda: runs.run("Task.", **options))


@tool
def divide(a: int, b: int) -> float:
    """Divide."""
    return a / b


def test_an_agent_s_calls_and_tools_are_in_its_span(kept: Kept, surface: Surface, names: Any) -> None:
    script = [[tool_call("divide", a=6, b=2), tool_call("divide", a=1, b=0)], "Three."]
    agent = names.Agent(names.client(ScriptedLLM(script)), tools=[divide], name="sums")

    run(surface, agent)

    assert kept.names == [
        "invoke_agent sums",
        "chat scripted",
        "execute_tool divide",
        "execute_tool divide",
        "chat scripted",
    ]
    assert {kept.parent(span) for span in kept.spans if span.parent} == {"invoke_agent sums"}
    whole = kept.span("invoke_agent sums")
    assert (whole.attributes or {})["gen_ai.agent.name"] == "sums"
    failed = [span for span in kept.spans if span.status.status_code is StatusCode.ERROR]
    assert [dict(span.attributes or {})["error.type"] for span in failed] == ["ZeroDivisionError"]
    assert [dict(span.attributes or {})["gen_ai.agent.name"] for span in failed] == ["sums"]
    [seconds] = kept.points("gen_ai.invoke_agent.duration")
    assert seconds.attributes == {"gen_ai.agent.name": "sums"}


def test_tools_side_by_side_are_each_in_the_agent_s_span(kept: Kept, surface: Surface, names: Any) -> None:
    script = [[tool_call("divide", a=6, b=2), tool_call("divide", a=8, b=2)], "Done."]
    agent = names.Agent(
        names.client(ScriptedLLM(script)), tools=[divide], name="sums", concurrent_tool_calls=True
    )

    run(surface, agent)

    tools = [span for span in kept.spans if span.name == "execute_tool divide"]
    assert [kept.parent(span) for span in tools] == ["invoke_agent sums"] * 2


def test_a_streamed_run_is_one_tree_too(kept: Kept, surface: Surface, names: Any) -> None:
    agent = names.Agent(names.client(ScriptedLLM(["Hello."])), name="greets")

    iterator = surface.iterate(surface.run(lambda: agent.run("Task.", stream=True)))
    while surface.step(iterator) is not None:
        pass

    assert kept.parent(kept.span("chat scripted")) == "invoke_agent greets"


def test_workers_side_by_side_keep_to_their_own_spans(kept: Kept, surface: Surface, names: Any) -> None:
    def answer(request: Request) -> str:
        return request.system_prompt or ""

    workers = [
        names.Agent(names.client(FunctionLLM(answer)), f"You are {n}.", name=f"w{n}") for n in range(4)
    ]

    run(surface, names.Parallel(workers, name="all"))

    assert kept.parent(kept.span("invoke_workflow all")) is None
    agents = [span for span in kept.spans if span.name.startswith("invoke_agent")]
    assert sorted(span.name for span in agents) == [f"invoke_agent w{n}" for n in range(4)]
    assert {kept.parent(span) for span in agents} == {"invoke_workflow all"}
    calls = [span for span in kept.spans if span.name.startswith("chat")]
    assert sorted(map(str, map(kept.parent, calls))) == [f"invoke_agent w{n}" for n in range(4)]
    assert len(kept.points("gen_ai.invoke_workflow.duration")) == 1


def test_an_agent_that_is_a_tool_is_in_the_span_of_its_call(kept: Kept, surface: Surface, names: Any) -> None:
    inner = names.Agent(names.client(ScriptedLLM(["42."])), name="inner")
    asking = ScriptedLLM([tool_call("inner", task="Think."), "42, they say."])
    outer = names.Agent(names.client(asking), tools=[inner.as_tool()], name="outer")

    run(surface, outer)

    assert kept.parent(kept.span("invoke_agent inner")) == "execute_tool inner"
    assert kept.parent(kept.span("execute_tool inner")) == "invoke_agent outer"


def test_a_run_that_fails_says_how_in_each_span(kept: Kept, surface: Surface, names: Any) -> None:
    failure = abstractcore.RateLimitError("slow down")
    agent = names.Agent(names.client(ScriptedLLM([failure])), name="tries")

    with pytest.raises(abstractcore.RateLimitError):
        run(surface, agent)

    kinds = {span.name: dict(span.attributes or {})["error.type"] for span in kept.spans}
    assert kinds == dict.fromkeys(
        ("chat scripted", "invoke_agent tries"), "abstractcore.errors.RateLimitError"
    )


def test_words_are_kept_when_the_program_asks(
    kept: Kept, surface: Surface, names: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
    agent = names.Agent(
        names.client(ScriptedLLM([tool_call("divide", a=6, b=2), "Three."])), tools=[divide], name="sums"
    )

    run(surface, agent)

    called: Any = kept.span("execute_tool divide").attributes
    assert (called["gen_ai.tool.call.arguments"], called["gen_ai.tool.call.result"]) == (
        '{"a":6,"b":2}',
        "3.0",
    )
    whole: Any = kept.span("invoke_agent sums").attributes
    assert "Task." in whole["gen_ai.input.messages"]
    assert "Three." in whole["gen_ai.output.messages"]


def test_a_run_that_is_cancelled_ends_each_span(
    kept: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    begun = asyncio.Event()

    async def think() -> str:
        begun.set()
        await asyncio.Event().wait()
        return "done"

    async def main() -> None:
        agent = aio.Agent(
            aio.client(ScriptedLLM([tool_call("think"), "Done."])), tools=[think], name="thinks"
        )
        run = asyncio.ensure_future(agent.run("Task."))
        await begun.wait()
        run.cancel()
        await asyncio.wait([run])

    asyncio.run(main())

    assert "gen_ai.tool.call.result" not in (kept.span("execute_tool think").attributes or {})
    cancelled = {span.name for span in kept.spans if span.status.status_code is StatusCode.ERROR}
    assert cancelled == {"execute_tool think", "invoke_agent thinks"}
    kinds = {(span.attributes or {}).get("error.type") for span in kept.spans}
    assert kinds == {None, "asyncio.exceptions.CancelledError"}
    assert caplog.records == []  # OpenTelemetry complains there of a context that is left elsewhere


def test_a_stream_of_a_run_that_is_left_ends_each_span(
    kept: Kept, surface: Surface, names: Any, caplog: pytest.LogCaptureFixture
) -> None:
    agent = names.Agent(names.client(ScriptedLLM([["one ", "two ", "three"]])), name="greets")

    iterator = surface.iterate(surface.run(lambda: agent.run("Task.", stream=True)))
    assert surface.step(iterator) is not None
    surface.run(iterator.aclose if surface.name == "async" else iterator.close)

    assert [span.name for span in kept.spans] == ["chat scripted", "invoke_agent greets"]
    assert {span.status.status_code for span in kept.spans} == {StatusCode.UNSET}
    assert caplog.records == []
