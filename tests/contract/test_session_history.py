"""CONTRACT C6, C7: a history cut and summarised, and handed to another provider."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from abstractcore import BasicSession, ConfigurationError, ServerError
from tests.fakes.any_wire import call, calls, error, text
from tests.fakes.openai_chat import reply
from tests.fakes.replies import WaitFor
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import check_is_valid, sent

RESULT = {"role": "tool", "content": "sunny", "tool_call_id": "call_0"}


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


def test_c6_a_fork_goes_its_own_way(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    session = BasicSession(server.llm(), "Kind.", temperature=0.5)
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


def test_c6_tokens_are_counted(surface: Surface, server: FakeServer):
    server.replies(text("Hi."))
    session = BasicSession(server.llm(), "Kind.")
    empty = session.count_tokens()

    surface.generate(session, "hello " * 100)

    assert 150 <= session.count_tokens() - empty <= 250
    assert session.usage.total_tokens == 12


def talked(server: FakeServer, **options: Any) -> BasicSession:
    session = BasicSession(server.llm(), "Kind.", **options)
    for number in range(6):
        session.add_message("user", f"question {number}")
        session.add_message("assistant", f"answer {number}")
    return session


def test_c6_compact_replaces_old_turns_by_a_summary(surface: Surface, server: FakeServer):
    server.replies(text("They asked four things."), text("Hi."))
    session = talked(server)
    kept = session.messages

    surface.call(session, "compact", keep=4)

    asked = server.requests[0].messages
    assert [m.content for m in asked[:-1]] == [f"{w} {n}" for n in range(4) for w in ("question", "answer")]
    assert "Summarize" in asked[-1].content
    assert session.messages is kept
    assert len(session.messages) == 5
    assert session.messages[0]["role"] == "system"
    assert "They asked four things." in str(session.messages[0]["content"])
    assert session.usage.total_tokens == 12

    surface.generate(session, "next")
    first, *rest = server.requests[1].messages
    assert first.content.startswith("Kind.\n\nSummary")
    assert [message.role for message in rest] == ["user", "assistant"] * 2 + ["user"]


def test_c6_a_failed_compact_leaves_the_history_as_it_was(surface: Surface, server: FakeServer):
    server.replies(error(501))
    session = talked(server)
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
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("A summary."), text("Hi."))
    session = talked(server, auto_compact=True, compact_above=20)

    answer = whole_or_stream.ask(surface, session, "next")

    assert answer.content == "Hi."
    assert len(server.requests) == 2
    assert "A summary." in server.requests[1].messages[0].content
    assert server.requests[1].messages[-1].content == "next"


async def test_c6_acompact_never_stands_on_the_loop_s_back(server: FakeServer):
    import asyncio

    gate = threading.Event()
    server.replies(text("A summary.").after(WaitFor(gate)))
    session = talked(server)

    task = asyncio.create_task(session.acompact(keep=2))
    await server.until(lambda server: server.hanging == 1)
    assert len(session.messages) == 12
    gate.set()
    await task

    assert len(session.messages) == 3
    await server.llms[0].aclose()


# ---- C7 --------------------------------------------------------------------------------------

TOOL = {"name": "get_weather", "description": "", "parameters": {"type": "object", "properties": {}}}
DETAILS = [{"type": "reasoning.encrypted", "data": "signed", "index": 0}]
ROWS = ("openai", "anthropic", "ollama", "lmstudio", "openrouter", "vllm", "deepseek", "mistral")


@pytest.mark.parametrize("after", ROWS)
def test_c7_another_provider_in_mid_conversation_gets_a_valid_request(
    surface: Surface, server: FakeServer, after: str
):
    """Tool turns are translated; the reasoning and signatures of the first one stay here."""
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "Look it up.",
        "reasoning_details": DETAILS,
        "tool_calls": [
            {
                "id": "call_0",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
            }
        ],
    }
    server.replies(reply(message, finish_reason="tool_calls"), text("Sunny."), text("Still sunny."))
    session = BasicSession(server.llm("openrouter"), "Kind.", tools=[TOOL])
    surface.generate(session, "Weather?")
    session.messages.append(RESULT)  # pyright: ignore[reportArgumentType]
    surface.generate(session, messages=[{"role": "user", "content": "So?"}])

    session.provider = server.llm(after, model="other-model")
    answer = surface.generate(session, "And now?")

    last = sent(server.requests[-1])
    assert (answer.content, answer.provider, last.model) == ("Still sunny.", after, "other-model")
    check_is_valid(last.items)
    said = [kind for kind in last.kinds if kind != "reasoning"]
    assert (last.system, said) == ("Kind.", ["user", "call", "result", "user", "assistant", "user"])
    (made,) = last.all("call")
    assert (made.id, made.arguments) == ("call_0", {"city": "Oslo"})
    assert ("signed" in server.requests[-1].body.decode()) == (after == "openrouter")


def test_c7_a_tool_call_makes_the_round_trip_through_the_messages(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(calls([("get_weather", {"city": "Zürich"}), ("now", "{bad")]), text("Sunny."))
    session = BasicSession(server.llm(), tools=[TOOL])

    answer = whole_or_stream.ask(surface, session, "Weather?")
    for made in answer.tool_calls:
        session.messages.append({"role": "tool", "content": "sunny", "tool_call_id": made.id})
    session.messages[:] = json.loads(json.dumps(session.messages))
    whole_or_stream.ask(surface, session, "So?")

    check_is_valid(sent(server.requests[1]).items)
    first, second = server.requests[1].messages[1].tool_calls
    assert json.loads(first.function.arguments) == {"city": "Zürich"}
    assert (first.id, first.type, first.function.name) == ("call_0", "function", "get_weather")
    assert second.function.arguments == "{bad"


ORPHANS: dict[str, list[Any]] = {
    "a call without a result": [("user", None), ("assistant", ["a"])],
    "one of two results": [("user", None), ("assistant", ["a", "b"]), ("tool", "a")],
    "a result without a call": [("user", None), ("tool", "a"), ("assistant", None)],
    "a result before its call": [("user", None), ("tool", "a"), ("assistant", ["a"])],
    "a result after another turn": [("user", None), ("assistant", ["a"]), ("user", None), ("tool", "a")],
    "the same result twice": [("user", None), ("assistant", ["a"]), ("tool", "a"), ("tool", "a")],
    "results of an older turn": [("user", None), ("assistant", ["a"]), ("assistant", ["b"]), ("tool", "a")],
}


def written(role: str, about: Any) -> Any:
    message: dict[str, Any] = {
        "role": role,
        "content": "" if role == "assistant" and about else f"{role} words",
    }
    if role == "tool":
        message["tool_call_id"] = about
    elif about:
        message["tool_calls"] = [{"id": name, "name": "f", "arguments": {}} for name in about]
    return message


@pytest.mark.parametrize("name", list(ORPHANS))
def test_c7_orphaned_tool_calls_never_reach_the_wire(surface: Surface, server: FakeServer, name: str):
    """The history keeps what a user or a fault left in it; what is sent is valid."""
    server.replies(text("Hi."))
    session = BasicSession(server.llm())
    session.messages.extend(written(*each) for each in ORPHANS[name])
    before = json.dumps(session.messages)

    surface.generate(session, "next")

    check_is_valid(sent(server.requests[0]).items)
    assert json.dumps(session.messages[: len(ORPHANS[name])]) == before


def test_c7_a_call_that_was_never_answered_does_not_stop_the_next_turn(surface: Surface, server: FakeServer):
    server.replies(call("get_weather"), text("Never mind."))
    session = BasicSession(server.llm(), tools=[TOOL])
    surface.generate(session, "Weather?")

    assert surface.generate(session, "Something else.").content == "Never mind."
    check_is_valid(sent(server.requests[1]).items)
    assert session.messages[1].get("tool_calls")
