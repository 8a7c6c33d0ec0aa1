"""How tools are run is said where they are: on generate, chat and in a session, in an Agent's words."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import abstractcore
from abstractcore import AsyncToolError, BasicSession, ConfigurationError, ToolPolicy, aio, tool
from tests.fakes.any_wire import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import sent


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture(params=["llm", "session", "client"])
def asked(request: pytest.FixtureRequest, surface: Surface, server: FakeServer) -> Any:
    """What is asked with tools."""
    llm = server.llm()
    if request.param == "client":
        return (abstractcore if surface.name == "sync" else aio).client(llm)
    return llm if request.param == "llm" else BasicSession(llm)


def ask(surface: Surface, asked: Any, **options: Any) -> Any:
    """Give the text."""
    if hasattr(asked, "chat"):
        return surface.call(asked, "chat", "?", **options)
    return surface.generate(asked, "?", run_tools=True, **options).content


def results(server: FakeServer, number: int) -> list[str]:
    return [item.text for item in sent(server.requests[number]).all("result")]


def test_max_iterations(surface: Surface, server: FakeServer, asked: Any):
    server.route = lambda request: (
        text("Enough.") if sent(request).tool_choice == "none" else call("add", a=1, b=2)
    )
    assert ask(surface, asked, tools=[add], max_iterations=2) == "Enough."
    assert len(server.requests) == 3


def test_approve_and_events(surface: Surface, server: FakeServer, asked: Any):
    seen: list[str] = []
    server.replies(call("add", a=1, b=2), text("ok"))

    given = ask(
        surface,
        asked,
        tools=[add],
        approve=lambda call: f"no {call.name}",
        events=lambda event: seen.append(event.kind),
    )

    assert given == "ok"
    assert "no add" in results(server, 1)[0]
    assert seen == ["model_call", "model_answer", "tool_call", "tool_result", "model_call", "model_answer"]


def test_concurrent_tool_calls(surface: Surface, server: FakeServer, asked: Any):
    together = threading.Barrier(2, timeout=5)

    @tool
    def meet(name: str) -> str:
        """Meet."""
        together.wait()
        return name

    server.replies(calls([("meet", {"name": n}) for n in "ab"]), text("Met."))
    assert ask(surface, asked, tools=[meet], concurrent_tool_calls=True) == "Met."
    assert results(server, 1) == ["a", "b"]


def test_tool_timeout(surface: Surface, server: FakeServer, asked: Any):
    over = threading.Event()

    @tool
    def hang() -> None:
        """Hang."""
        over.wait(30)

    server.replies(call("hang"), text("Went on."))
    try:
        assert ask(surface, asked, tools=[hang], tool_timeout=0.05) == "Went on."
    finally:
        over.set()
    assert "longer than 0.05 seconds" in results(server, 1)[0]


def test_what_a_turn_does_not_say_the_session_does(surface: Surface, server: FakeServer):
    server.replies(call("add", a=1, b=2), text("ok"))
    session = BasicSession(server.llm(), tools=[add])
    session.tool_policy = ToolPolicy(max_iterations=1, approve=lambda call: "too dear")

    ask(surface, session, max_iterations=5)

    assert "too dear" in results(server, 1)[0]
    assert session.tool_policy.max_iterations == 1


async def tell(event: Any) -> None: ...


@pytest.mark.parametrize("options", [{"max_iterations": 0}, {"tool_timeout": -1}, {"events": tell}])
def test_what_cannot_be_is_refused_before_any_request(
    surface: Surface, server: FakeServer, asked: Any, options: dict[str, Any]
):
    with pytest.raises(ConfigurationError):
        ask(surface, asked, tools=[add], **options)
    assert server.requests == []
    with pytest.raises(ConfigurationError):  # at the call itself
        server.llm().agenerate("?", run_tools=True, tools=[add], **options)


def test_without_run_tools_they_would_have_no_effect(surface: Surface, server: FakeServer):
    with pytest.raises(ConfigurationError, match=r"max_iterations.*run_tools=True"):
        surface.generate(server.llm(), "?", tools=[add], max_iterations=2)
    assert server.requests == []


def test_f6_an_async_approve_is_refused_by_the_sync_surface(surface: Surface, server: FakeServer, asked: Any):
    async def approve(call: Any) -> bool:
        return True

    server.replies(call("add", a=1, b=2), text("ok"))
    if surface.name == "async":
        assert ask(surface, asked, tools=[add], approve=approve) == "ok"
        return
    with pytest.raises(AsyncToolError, match="approve"):
        ask(surface, asked, tools=[add], approve=approve)
    assert server.requests == []
