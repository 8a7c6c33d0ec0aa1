"""CONTRACT C1 to C4: a session's turns and its history."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import Any

import pytest

from abstractcore import (
    AuthenticationError,
    BasicSession,
    ConfigurationError,
    IncompleteStreamError,
    RequestTimeoutError,
)
from tests.fakes import faults
from tests.fakes.any_wire import call, error, text, unfinished
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire


def spoken(session: BasicSession) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in session.messages]


def hangs_after(words: str) -> Reply:
    return unfinished(words, ending="hang")


# ---- C1 --------------------------------------------------------------------------------------


def test_c1_the_arguments_have_their_names_and_defaults():
    names = inspect.signature(BasicSession.__init__).parameters
    wanted = ["provider", "system_prompt", "tools", "temperature", "seed", "auto_compact"]

    assert list(names)[1:7] == wanted
    assert [names[name].default for name in wanted] == [None, None, None, None, None, False]


def test_c1_settings_of_the_session_reach_every_request(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server), "Be brief.", temperature=0.5, seed=7)

    surface.generate(session, "hello")
    surface.generate(session, "again", temperature=0, system_prompt="Be long.")

    first, second = (wire.sent(request) for request in server.requests)
    seed = None if "seed" in wire.lacks else 7
    assert (first.system, first.sampling["temperature"], first.sampling.get("seed")) == (
        "Be brief.",
        0.5,
        seed,
    )
    assert (second.system, second.sampling["temperature"], second.sampling.get("seed")) == (
        "Be long.",
        0,
        seed,
    )
    assert session.system_prompt == "Be brief."


def test_c1_a_turn_is_recorded_whole_or_streamed(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(text("Hello, Alice."), text("Alice."))
    session = BasicSession(wire.llm(server), "You are kind.")

    whole_or_stream.ask(surface, session, "I am Alice.")
    answer = whole_or_stream.ask(surface, session, "Who am I?")

    assert answer.content == "Alice."
    turns = [("user", "I am Alice."), ("assistant", "Hello, Alice."), ("user", "Who am I?")]
    assert spoken(session) == [*turns, ("assistant", "Alice.")]
    assert wire.sent(server.requests[1]).turns == [("system", "You are kind."), *turns]
    assert (session.usage.input_tokens, session.usage.output_tokens) == (10, 14)


def test_c1_a_stream_records_the_reply_when_it_ends(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("one two three", piece=4))
    session = BasicSession(wire.llm(server))

    with surface.open_stream(session, "count", include="generating") as stream:
        stream.next()
        assert session.messages == []
        stream.rest()
        assert spoken(session) == [("user", "count"), ("assistant", "one two three")]


def test_c1_include_drops_chunks_and_no_history(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Yes.", reasoning="Hm."))
    session = BasicSession(wire.llm(server))

    chunks = surface.stream(session, "so?", include=["thinking"])

    assert {chunk.phase for chunk in chunks} == {"thinking"}
    assert spoken(session)[1] == ("assistant", "Yes.")
    assert session.messages[1].get("reasoning") == "Hm."


def test_c1_without_a_provider_a_turn_is_refused(surface: Surface):
    with pytest.raises(ConfigurationError, match="no provider"):
        surface.generate(BasicSession(), "hello")


def test_c1_unknown_arguments_are_answered_with_the_close_match(surface: Surface, server: FakeServer):
    with pytest.raises(TypeError, match=r"'sytem_prompt'\. Did you mean 'system_prompt'"):
        BasicSession(server.llm(), sytem_prompt="x")
    with pytest.raises(TypeError, match=r"'temprature'\. Did you mean 'temperature'"):
        surface.generate(BasicSession(server.llm()), "hello", temprature=1)


def test_c1_a_provider_by_name_is_refused_with_the_way_to_make_one():
    with pytest.raises(ConfigurationError, match="create_llm"):
        BasicSession("openai")  # pyright: ignore[reportArgumentType]


# ---- C2 --------------------------------------------------------------------------------------


def test_c2_messages_are_plain_json_and_hold_no_wire_shape(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    server.replies(call("get_weather", city="Paris"))
    session = BasicSession(wire.llm(server))

    whole_or_stream.ask(surface, session, "Weather?")

    assert json.loads(json.dumps(session.messages)) == session.messages
    user, assistant = session.messages
    assert set(user) == {"role", "content", "timestamp"}
    assert assistant.get("tool_calls") == [
        {"id": "call_0", "name": "get_weather", "arguments": {"city": "Paris"}}
    ]
    known = [
        "role",
        "content",
        "tool_calls",
        "tool_call_id",
        "reasoning",
        "name",
        "timestamp",
        "metadata",
        "provider_data",
    ]
    assert set(assistant) <= set(known)


def test_c2_messages_can_be_edited(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server))
    surface.generate(session, "hello")

    session.messages[0]["content"] = "good day"
    session.messages.append({"role": "user", "content": "extra"})
    del session.messages[1]
    surface.generate(session, "again")

    assert wire.sent(server.requests[1]).turns == [("user", w) for w in ("good day", "extra", "again")]


def test_c2_metadata_and_timestamps_stay_here(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server))
    session.add_message("user", "hello", source="phone")
    session.add_message("assistant", "Hello.")

    surface.generate(session, "again")

    assert b"timestamp" not in server.requests[0].body
    assert b"phone" not in server.requests[0].body
    assert session.messages[0].get("metadata") == {"source": "phone"}
    assert all(message.get("timestamp") for message in session.messages)


def test_c2_the_caller_s_messages_are_recorded_as_copies(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server))
    given = [{"role": "user", "content": "one"}]

    surface.generate(session, "two", messages=given)
    given[0]["content"] = "changed"

    assert spoken(session) == [("user", "one"), ("user", "two"), ("assistant", "Hi.")]


# ---- C3 --------------------------------------------------------------------------------------

BROKEN: dict[str, Any] = {
    "an error": (lambda: error(401), AuthenticationError),
    "a timeout": (faults.hangs, RequestTimeoutError),
    "a cut stream": (lambda: unfinished("one", ending="close"), IncompleteStreamError),
}


@pytest.mark.parametrize(
    ("name", "whole_or_stream"),
    [("an error", "whole"), ("a timeout", "whole"), *((name, "stream") for name in BROKEN)],
    indirect=["whole_or_stream"],
)
def test_c3_after_a_failed_turn_the_history_is_as_it_was(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, name: str
):
    """A whole answer cannot be cut as a stream is: it comes or it fails."""
    reply, kind = BROKEN[name]
    server.replies(text("Hi."), reply(), text("Still here."))
    session = BasicSession(wire.llm(server))
    whole_or_stream.ask(surface, session, "hello")
    before = (list(session.messages), session.usage)

    with pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, session, "again", timeout=0.2)

    assert (session.messages, session.usage) == before
    assert raised.value.partial is not None
    assert raised.value.partial.content == ("one" if name == "a cut stream" else "")
    assert whole_or_stream.ask(surface, session, "once more").content == "Still here."
    turns = [("user", "hello"), ("assistant", "Hi."), ("user", "once more")]
    assert wire.sent(server.requests[-1]).turns == turns


def test_c3_a_stream_left_early_records_nothing(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(hangs_after("one two"), text("Hi."))
    session = BasicSession(wire.llm(server))

    _, stream = surface.take(session, 1, "count")
    surface.wait_for(server, lambda server: server.disconnects == 1)

    assert session.messages == []
    assert stream.partial.content.startswith("one ")
    assert surface.generate(session, "hello").content == "Hi."


async def test_c3_a_cancelled_turn_records_nothing(server: FakeServer, wire: Wire):
    server.replies(faults.hangs(), text("Hi."))
    session = BasicSession(wire.llm(server))
    task = asyncio.create_task(session.agenerate("hello"))
    await server.until(lambda server: server.hanging == 1)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert session.messages == []
    await server.until(lambda server: server.disconnects == 1)
    assert (await session.agenerate("again")).content == "Hi."
    await server.llms[0].aclose()


class _Watched(list[Any]):
    """A list that counts how it is changed."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.changes.append(type(key).__name__)
        super().__setitem__(key, value)

    def append(self, value: Any) -> None:
        self.changes.append("append")
        super().append(value)

    def extend(self, values: Any) -> None:
        self.changes.append("extend")
        super().extend(values)


def test_c3_the_list_is_changed_in_place_by_one_slice_assignment(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    server.replies(text("Hi."))
    session = BasicSession(server.llm())
    session.messages = shared = _Watched()

    whole_or_stream.ask(surface, session, "hello")

    assert session.messages is shared
    assert shared.changes == ["slice"]
    assert len(shared) == 2
