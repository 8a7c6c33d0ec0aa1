"""CONTRACT C6: a history is forked, cut, counted and summarised."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from abstractcore import BasicSession, ConfigurationError, ResponseError, ServerError
from tests.fakes.any_wire import error, text
from tests.fakes.replies import WaitFor
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire


def filled(llm: Any = None) -> BasicSession:
    session = BasicSession(llm, "You are kind. 日本語", temperature=0.5, seed=7)
    session.add_message("user", "Weather? \x00 🙂", source="phone")
    session.messages.append(
        {
            "role": "assistant",
            "content": "",
            "reasoning": "Look it up.",
            "tool_calls": [{"id": "call_0", "name": "get_weather", "arguments": {"city": "Zürich"}}],
            "provider_data": {"openai_chat": {"reasoning_details": [{"type": "x", "data": "s1"}]}},
        }
    )
    session.messages.append({"role": "tool", "content": "sunny", "tool_call_id": "call_0"})
    session.add_message("assistant", "Sunny.")
    return session


# ---- C6 --------------------------------------------------------------------------------------


def test_c6_a_fork_goes_its_own_way(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server), "Kind.", temperature=0.5)
    surface.generate(session, "hello")

    other = session.fork()
    surface.generate(other, "aside")
    other.messages[0]["content"] = "changed"

    assert len(session.messages) == 2
    assert session.messages[0]["content"] == "hello"
    assert len(other.messages) == 4
    assert (other.provider, other.system_prompt, other.temperature) == (session.provider, "Kind.", 0.5)


def test_c6_clear_forgets_the_messages_alone(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    session = BasicSession(server.llm(), "Kind.")
    surface.generate(session, "hello")
    kept = session.messages

    session.clear()

    assert session.messages == []
    assert session.messages is kept
    assert session.system_prompt == "Kind."
    assert session.usage.total_tokens is None


def test_c6_get_history_is_a_copy_with_or_without_the_system_prompt():
    session = filled()

    whole, without = session.get_history(), session.get_history(include_system=False)
    whole[1]["content"] = "changed"

    assert whole[0] == {"role": "system", "content": "You are kind. 日本語"}
    assert [message["role"] for message in without] == ["user", "assistant", "tool", "assistant"]
    assert session.messages[0]["content"] == "Weather? \x00 🙂"


def test_c6_add_message_checks_what_it_adds():
    session = BasicSession()

    added = session.add_message("user", "hello", source="phone")

    assert session.messages == [added]
    assert (added["role"], added["content"], added.get("metadata")) == ("user", "hello", {"source": "phone"})
    with pytest.raises(ConfigurationError):
        session.add_message("narrator", "hello")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError):
        session.add_message("user", 3)  # pyright: ignore[reportArgumentType]
    assert len(session.messages) == 1


def test_c6_tokens_are_counted(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server), "Kind.")
    empty = session.count_tokens()

    surface.generate(session, "hello " * 100)

    assert 150 <= session.count_tokens() - empty <= 250
    assert session.usage.total_tokens == 12


def talked(server: FakeServer, wire: Wire, **options: Any) -> BasicSession:
    session = BasicSession(wire.llm(server), "Kind.", **options)
    for number in range(6):
        session.add_message("user", f"question {number}")
        session.add_message("assistant", f"answer {number}")
    return session


def test_c6_compact_replaces_old_turns_by_a_summary(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("They asked four things."), text("Hi."))
    session = talked(server, wire)
    kept = session.messages

    surface.call(session, "compact", keep=4)

    *old, (role, order) = wire.sent(server.requests[0]).turns
    assert [said for _, said in old] == [f"{w} {n}" for n in range(4) for w in ("question", "answer")]
    assert (role, "Summarize" in order) == ("user", True)
    assert session.messages is kept
    assert len(session.messages) == 5
    assert session.messages[0]["role"] == "system"
    assert "They asked four things." in str(session.messages[0]["content"])
    assert session.usage.total_tokens == 12

    surface.generate(session, "next")
    (_, system), *rest = wire.sent(server.requests[1]).turns
    assert system.startswith("Kind.\n\nSummary")
    assert [role for role, _ in rest] == ["user", "assistant"] * 2 + ["user"]


def test_c6_a_failed_compact_leaves_the_history_as_it_was(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(error(501))
    session = talked(server, wire)
    before = list(session.messages)

    with pytest.raises(ServerError):
        surface.call(session, "compact", keep=4)

    assert session.messages == before


def test_c6_a_short_history_is_not_compacted(surface: Surface, server: FakeServer):
    session = BasicSession(server.llm())
    session.add_message("user", "hello")

    surface.call(session, "compact")

    assert server.requests == []


def test_c6_auto_compact_summarises_before_the_turn(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("A summary."), text("Hi."))
    session = talked(server, wire, auto_compact=True, compact_above=20)

    answer = whole_or_stream.ask(surface, session, "next")

    assert answer.content == "Hi."
    assert len(server.requests) == 2
    (_, system), *_, (_, last) = wire.sent(server.requests[1]).turns
    assert ("A summary." in system, last) == (True, "next")


def test_c3_a_turn_that_fails_after_its_compaction_leaves_the_history_as_it_was(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(text("A summary."), error(501), text("A summary."), text("Hi."))
    session = talked(server, wire, auto_compact=True, compact_above=20)
    before = list(session.messages)

    with pytest.raises(ServerError):
        surface.generate(session, "next")
    assert session.messages == before

    assert surface.generate(session, "next").content == "Hi."
    assert "A summary." in str(session.messages[0]["content"])
    assert len(session.messages) < len(before)


def test_c6_a_summary_that_says_nothing_replaces_nothing(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text(" "), text(" "), text("Hi."))
    session = talked(server, wire, auto_compact=True, compact_above=20)
    before = list(session.messages)

    with pytest.raises(ResponseError, match="summary"):
        surface.call(session, "compact", keep=4)
    assert session.messages == before
    assert surface.generate(session, "next").content == "Hi."
    assert session.messages[: len(before)] == before


async def test_c6_acompact_never_stands_on_the_loop_s_back(server: FakeServer, wire: Wire):
    import asyncio

    gate = threading.Event()
    server.replies(text("A summary.").after(WaitFor(gate)))
    session = talked(server, wire)

    task = asyncio.create_task(session.acompact(keep=2))
    await server.until(lambda server: server.hanging == 1)
    assert len(session.messages) == 12
    gate.set()
    await task

    assert len(session.messages) == 3
    await server.llms[0].aclose()
