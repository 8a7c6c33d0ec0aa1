"""CONTRACT C7: one conversation goes from wire to wire, and each request is valid on its own."""

from __future__ import annotations

import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, create_llm
from tests.codecs.vendor_types import assert_accepted
from tests.fakes import anthropic_messages, openai_chat, openai_responses
from tests.fakes.any_wire import call, calls, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import WIRES, Wire, check_is_valid, sent

TINY = Path(__file__).parents[1] / "models" / "tiny-llama-chat.gguf"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"name": "get_weather", "description": "Tell the weather.", "parameters": PARAMETERS}
# What a wire's own reasoning is sealed with: it goes back to that wire, and to no other.
SEALS = {
    "openai_responses": openai_responses.ENCRYPTED,
    "anthropic_messages": anthropic_messages.SIGNATURE,
}


class Talk:
    """A conversation with a tool: a question is answered by a thought and a call, a result by words."""

    def __init__(self, surface: Surface, server: FakeServer, way: WholeOrStream) -> None:
        self.surface = surface
        self.server = server
        self.way = way
        self.session = BasicSession(None, "Kind.", tools=[TOOL])
        server.route = lambda request: (
            text("Sunny.", reasoning="So it says.")
            if sent(request).kinds[-1] == "result"
            else calls([("get_weather", {"city": "Oslo"})], content="Let me look.", reasoning="Look it up.")
        )

    def turn(self, wire: Wire) -> None:
        """One question on *wire*: the call, its result, the answer; both requests are what the wire takes."""
        self.session.provider = wire.llm(self.server)
        before = len(self.server.requests)
        asked = self.way.ask(self.surface, self.session, "Weather?")
        result = {"role": "tool", "content": "sun", "tool_call_id": asked.tool_calls[0].id}
        answer = self.way.ask(self.surface, self.session, messages=[result])

        assert (answer.content, answer.provider) == ("Sunny.", wire.provider)
        for request in self.server.requests[before:]:
            assert_accepted(wire.name, request.json)
            check_is_valid(wire.sent(request).items)
            assert wire.sent(request).system == "Kind."

    def seals(self) -> dict[str, int]:
        """How often each wire's seal stands in the last request."""
        body = self.server.requests[-1].body.decode()
        return {name: count for name, seal in SEALS.items() if (count := body.count(seal))}

    def questions(self) -> int:
        said = sent(self.server.requests[-1]).turns
        return sum(role == "user" for role, _ in said)


@pytest.mark.parametrize("after", list(WIRES))
def test_c7_from_each_wire_to_each_and_back(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, wire: Wire, after: str
):
    """Calls and results are translated; what is sealed stays at home, and is there at the return."""
    talk = Talk(surface, server, whole_or_stream)

    for step in (wire, WIRES[after], wire):
        talk.turn(step)

    ours = 5 if after == wire.name else 3  # two answers of each turn, but for the last one's second
    assert talk.seals() == ({wire.name: ours} if wire.name in SEALS else {})
    assert talk.questions() == 3
    assert len({item.id for item in sent(server.requests[-1]).all("call")}) == 3


def test_c7_one_conversation_travels_over_every_wire_and_back(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    talk = Talk(surface, server, whole_or_stream)
    there = [WIRES[n] for n in ("openai_responses", "anthropic_messages", "ollama_chat", "openai_chat")]

    for step in there:
        talk.turn(step)
    _local_turn(talk)
    for step in reversed(there):
        talk.turn(step)

    assert talk.seals() == {"openai_responses": 3}
    assert talk.questions() == len(there) * 2 + (not _no_engine())
    assert json.loads(json.dumps(talk.session.messages)) == talk.session.messages


def _no_engine() -> bool:
    from abstractcore.engines.catalog import ENGINES

    return "openvino" not in ENGINES or importlib.util.find_spec("openvino_genai") is None


def _local_turn(talk: Talk) -> None:
    """A turn of the model in this process, where its engine is installed."""
    if _no_engine():
        return
    talk.session.provider = llm = create_llm("openvino", str(TINY), max_output_tokens=8)
    talk.server.llms.append(llm)

    assert talk.way.ask(talk.surface, talk.session, "Say hello in five words.").provider == "openvino"


# ---- the rows of one wire ----------------------------------------------------------------------

DETAILS = [{"type": "reasoning.encrypted", "data": "signed", "index": 0}]
ROWS = ("openai", "anthropic", "ollama", "lmstudio", "openrouter", "vllm", "deepseek", "mistral")


@pytest.mark.parametrize("after", ROWS)
def test_c7_another_provider_in_mid_conversation_gets_a_valid_request(
    surface: Surface, server: FakeServer, after: str
):
    """OpenRouter's reasoning details are no other row's, though some speak the same wire."""
    message = {
        "role": "assistant",
        "content": None,
        "reasoning": "Look it up.",
        "reasoning_details": DETAILS,
        "tool_calls": openai_chat.tool_calls([("get_weather", {"city": "Oslo"})]),
    }
    asked = openai_chat.reply(message, finish_reason="tool_calls")
    server.replies(asked, text("Sunny."), text("Still sunny."))
    session = BasicSession(server.llm("openrouter"), "Kind.", tools=[TOOL])
    surface.generate(session, "Weather?")
    result = {"role": "tool", "content": "sunny", "tool_call_id": "call_0"}
    surface.generate(session, messages=[result, {"role": "user", "content": "So?"}])

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


@pytest.mark.parametrize(("before", "after"), [*pairwise(WIRES), *pairwise(reversed(WIRES))])
def test_c7_a_switch_between_a_call_and_its_result_is_valid(
    surface: Surface, server: FakeServer, before: str, after: str
):
    server.replies(calls([("get_weather", {"city": "Oslo"})], reasoning="Look it up."), text("Sunny."))
    session = BasicSession(WIRES[before].llm(server), tools=[TOOL])
    made = surface.generate(session, "Weather?").tool_calls[0]

    session.provider = WIRES[after].llm(server)
    result = {"role": "tool", "content": "sun", "tool_call_id": made.id}
    answer = surface.generate(session, messages=[result])

    assert answer.content == "Sunny."
    assert_accepted(after, server.requests[1].json)
    check_is_valid(WIRES[after].sent(server.requests[1]).items)
    assert not any(seal.encode() in server.requests[1].body for seal in SEALS.values())


@pytest.mark.parametrize(("model", "is_told"), [("claude-haiku-4-5", False), ("claude-opus-4-7", True)])
def test_c7_an_older_claude_begins_to_think_only_after_another_wire_s_call_was_answered(
    surface: Surface, server: FakeServer, model: str, is_told: bool
):
    """Up to 4.5 it refuses to think where the call that waits was made without a thought of its own."""
    server.replies(calls([("get_weather", {"city": "Oslo"})], reasoning="Look it up."), text("Sunny."))
    session = BasicSession(server.llm("ollama"), tools=[TOOL])
    made = surface.generate(session, "Weather?", thinking=True).tool_calls[0]

    session.provider = server.llm("anthropic", model=model)
    result = {"role": "tool", "content": "sun", "tool_call_id": made.id}
    answer = surface.generate(session, messages=[result], thinking=True)
    surface.generate(session, "And tomorrow?", thinking=True)

    _, amid, after = (request.json for request in server.requests)
    assert ("thinking" in amid, "thinking" in after) == (is_told, True)
    assert bool(answer.warnings) != is_told


# ---- tool calls in a history -------------------------------------------------------------------


def test_c7_a_tool_call_makes_the_round_trip_through_the_messages(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
):
    wanted = [("get_weather", {"city": "Zürich"}), ("now", {})]
    server.replies(calls(wanted), text("Sunny."))
    session = BasicSession(wire.llm(server), tools=[TOOL])

    answer = whole_or_stream.ask(surface, session, "Weather?")
    for made in answer.tool_calls:
        session.messages.append({"role": "tool", "content": "sunny", "tool_call_id": made.id})
    session.messages[:] = json.loads(json.dumps(session.messages))
    whole_or_stream.ask(surface, session, "So?")

    items = wire.sent(server.requests[1]).items
    check_is_valid(items)
    made = [(item.id, item.name, item.arguments) for item in items if item.kind == "call"]
    assert made == [("call_0", *wanted[0]), ("call_1", *wanted[1])]


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses"])
def test_c7_arguments_go_back_as_the_model_wrote_them(surface: Surface, server: FakeServer, name: str):
    server.replies(calls([("now", "{bad")]), text("Sunny."))
    session = BasicSession(WIRES[name].llm(server), tools=[TOOL])
    made = surface.generate(session, "Weather?").tool_calls[0]

    result = {"role": "tool", "content": "no", "tool_call_id": made.id}
    surface.generate(session, messages=[result])

    assert [item.arguments for item in sent(server.requests[1]).all("call")] == ["{bad"]


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
def test_c7_orphaned_tool_calls_never_reach_the_wire(
    surface: Surface, server: FakeServer, wire: Wire, name: str
):
    """The history keeps what a user or a fault left in it; what is sent is valid."""
    server.replies(text("Hi."))
    session = BasicSession(wire.llm(server))
    session.messages.extend(written(*each) for each in ORPHANS[name])
    before = json.dumps(session.messages)

    surface.generate(session, "next")

    check_is_valid(wire.sent(server.requests[0]).items)
    assert json.dumps(session.messages[: len(ORPHANS[name])]) == before


def test_c7_a_call_that_was_never_answered_does_not_stop_the_next_turn(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(call("get_weather"), text("Never mind."))
    session = BasicSession(wire.llm(server), tools=[TOOL])
    surface.generate(session, "Weather?")

    assert surface.generate(session, "Something else.").content == "Never mind."
    check_is_valid(wire.sent(server.requests[1]).items)
    assert session.messages[1].get("tool_calls")
