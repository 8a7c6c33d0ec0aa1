"""What is recorded is what is replayed, for HTTP and in-process providers, on both surfaces."""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import abstractcore
from abstractcore import (
    AbstractCoreError,
    BasicSession,
    ConfigurationError,
    IncompleteStreamError,
    RateLimitError,
    ServerError,
    StreamChunk,
    aio,
    create_llm,
)
from abstractcore.testing import (
    Cassette,
    CassetteError,
    CassetteMissError,
    FunctionLLM,
    ScriptedLLM,
    cassette,
    thinking,
    tool_call,
    wait,
)
from tests.engines.toy import Toy
from tests.fakes.any_wire import call, error, text, unfinished
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire
from tests.real.processes import absent

KEY = "sk-planted-0123456789"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "talk.jsonl"


class City(BaseModel):
    name: str


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def untimed(response: Any) -> dict[str, Any]:
    """All of a response but how long it took."""
    told = {name: getattr(response, name) for name in response.__slots__ if name != "gen_time"}
    return {**told, "warnings": list(response.warnings)}


def test_an_answer_is_replayed_as_it_was(
    surface: Surface, whole_or_stream: WholeOrStream, wire: Wire, server: FakeServer, tape: Path
) -> None:
    """The server is asked once, on every wire; usage, ids and the vendor's words are kept too."""
    server.replies(text("Hello, wörld.", usage={"input_tokens": 3, "output_tokens": 2}))
    llm = wire.llm(server)

    with cassette(tape) as recorded:
        first = whole_or_stream.ask(surface, llm, "Hi", temperature=0.5)
        assert recorded.is_recording
    with cassette(tape) as played:
        second = whole_or_stream.ask(surface, llm, "Hi", temperature=0.5)
        assert played.is_replaying

    assert untimed(second) == untimed(first)
    assert first.content == "Hello, wörld."
    assert len(server.requests) == 1
    assert (played.unused, len(played.recordings)) == (0, 1)


def test_a_stream_keeps_its_chunks(surface: Surface, server: FakeServer, tape: Path) -> None:
    server.replies(text("one two three four", piece=3))
    llm = server.llm()

    with cassette(tape):
        first = surface.stream(llm, "Hi", include=["generating", "thinking", "done"])
    with cassette(tape):
        second = surface.stream(llm, "Hi", include=["generating", "thinking", "done"])

    assert second == first
    assert len(first) > 5


def test_every_phase_is_kept(surface: Surface, tape: Path) -> None:
    pieces = [thinking("Hm."), "a", "", "b\u2028c", tool_call("add", a=1.5, b=[None, {"c": "ü"}]), "\ud83d"]
    llm = ScriptedLLM([pieces])

    with cassette(tape):
        first = surface.stream(llm, "Hi", include=["thinking", "generating", "tool_calling", "done"])
    with cassette(tape):
        second = surface.stream(llm, "Hi", include=["thinking", "generating", "tool_calling", "done"])

    assert second == first
    assert [chunk.content for chunk in second[:2]] == ["Hm.", "a"]


def test_a_model_in_this_process_is_not_loaded_for_a_replay(surface: Surface, tape: Path) -> None:
    """In-process engines go through the same place."""
    toy, other = Toy(), Toy()
    with toy.llm() as llm, cassette(tape):
        first = surface.stream(llm, "one two three")
    with other.llm() as llm, cassette(tape):
        surface.call(llm, "load")
        second = surface.stream(llm, "one two three")

    assert [chunk.content for chunk in second] == [chunk.content for chunk in first]
    assert len(first) > 2
    assert (toy.loads, other.loads) == (1, 0)


def test_a_real_engine_is_recorded(surface: Surface, tape: Path) -> None:
    if importlib.util.find_spec("openvino_genai") is None:
        absent("openvino_genai is not installed")
    model = str(Path(__file__).parent.parent / "models" / "tiny-llama-chat.gguf")
    with create_llm("openvino", model) as llm, cassette(tape):
        first = surface.stream(llm, "Hi", max_output_tokens=32, seed=1)
    with create_llm("openvino", model) as llm, cassette(tape):
        second = surface.stream(llm, "Hi", max_output_tokens=32, seed=1)

    assert second == first
    assert len(second) > 1


def test_a_tool_loop_is_replayed(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, tape: Path
) -> None:
    server.replies(call("add", a=1, b=2), call("add", a=3, b=4), text("3 and 7."))
    llm = server.llm()

    def ask() -> Any:
        return whole_or_stream.ask(surface, llm, "1+2? 3+4?", tools=[add], run_tools=True)

    with cassette(tape):
        first = ask()
    with cassette(tape):
        second = ask()

    assert untimed(second) == untimed(first)
    assert second.content == "3 and 7."
    assert len(server.requests) == 3


def test_sessions_clients_and_agents_are_replayed(surface: Surface, server: FakeServer, tape: Path) -> None:
    house = abstractcore if surface.name == "sync" else aio
    server.replies(text("I am Bob."), text("Bob."), call("add", a=1, b=2), text("3."))

    def program() -> list[Any]:
        llm = server.llm()
        session = BasicSession(llm, "Be short.")
        surface.generate(session, "Who are you?")
        surface.generate(session, "Name?")
        agent = house.Agent(house.client(llm), tools=[add])
        return [*(message["content"] for message in session.messages), surface.run(lambda: agent.run("1+2?"))]

    with cassette(tape):
        first = program()
    with cassette(tape) as played:
        second = program()

    assert second == first == ["Who are you?", "I am Bob.", "Name?", "Bob.", "3."]
    assert (len(server.requests), played.unused) == (4, 0)


def test_an_error_is_replayed_with_its_fields(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, tape: Path
) -> None:
    """B9."""
    server.replies(error(429, "slow down", headers=(("Retry-After", "30"), ("x-request-id", "r-1"))))
    llm = server.llm(max_retries=0)

    def raised() -> AbstractCoreError:
        with pytest.raises(RateLimitError) as failure:
            whole_or_stream.ask(surface, llm, "Hi")
        return failure.value

    with cassette(tape):
        first = raised()
    with cassette(tape):
        second = raised()

    assert {**vars(second), "partial": None} == {**vars(first), "partial": None}
    assert (first.retry_after, first.request_id, first.attempts) == (30.0, "r-1", 1)
    assert len(server.requests) == 1


def test_a_retry_is_replayed_and_nobody_waits(surface: Surface, server: FakeServer, tape: Path) -> None:
    server.replies(error(503, headers=(("Retry-After", "50"),)), text("Hello."))
    patient, hasty = server.llm(max_retries=1), server.llm(max_retries=0)
    with cassette(tape):
        with pytest.raises(ServerError):
            surface.generate(hasty, "Hi")
        surface.generate(hasty, "Hi")

    began = time.monotonic()
    with cassette(tape):
        assert surface.generate(patient, "Hi", timeout=55).content == "Hello."

    assert time.monotonic() - began < 25
    assert len(server.requests) == 2


def test_a_broken_stream_is_replayed(surface: Surface, server: FakeServer, tape: Path) -> None:
    """B5."""
    server.replies(unfinished("Par"))
    llm = server.llm(max_retries=0)

    def raised() -> Any:
        with surface.open_stream(llm, "Hi") as stream, pytest.raises(IncompleteStreamError) as failure:
            stream.rest()
        return failure.value

    with cassette(tape):
        first = raised()
    with cassette(tape):
        second = raised()

    assert first.partial.content == second.partial.content == "Par"
    assert str(second) == str(first)


def test_a_stream_that_was_left_ends_where_it_was_left(surface: Surface, tape: Path) -> None:
    llm = ScriptedLLM([["a", "b", wait(60), "c"]])
    for _ in range(2):
        with cassette(tape), surface.open_stream(llm, "Hi") as stream:
            assert [stream.next().content for _ in range(2)] == ["a", "b"]

    with cassette(tape), pytest.raises(CassetteMissError, match="line 2: the reader left this answer here"):
        surface.stream(llm, "Hi")


def test_a_stream_that_was_left_at_its_end_is_whole(surface: Surface, tape: Path) -> None:
    llm = ScriptedLLM(["a"])
    with cassette(tape), surface.open_stream(llm, "Hi") as stream:
        assert [stream.next().phase for _ in range(2)] == ["generating", "done"]

    with cassette(tape):
        assert [chunk.phase for chunk in surface.stream(llm, "Hi")] == ["generating", "done"]


def test_models_and_health_are_recorded(surface: Surface, server: FakeServer, tape: Path) -> None:
    llm = server.llm()
    with cassette(tape):
        first = surface.call(llm, "list_models")
    count = len(server.requests)
    with cassette(tape):
        assert surface.call(llm, "list_models") == first
        health = surface.call(llm, "health")

    assert not health
    assert isinstance(health.error, CassetteMissError)
    assert len(server.requests) == count == 1


def test_a_schema_is_replayed(surface: Surface, server: FakeServer, tape: Path) -> None:
    server.replies(text("No idea."), text('{"name": "Paris"}'))
    llm = server.llm()

    with cassette(tape):
        first = surface.generate(llm, "Where?", response_model=City)
    with cassette(tape):
        assert surface.generate(llm, "Where?", response_model=City) == first == City(name="Paris")

    assert len(server.requests) == 2


def test_the_order_of_different_requests_does_not_matter(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: request.prompt.upper())
    prompts = [f"prompt {number}" for number in range(20)]
    with cassette(tape):
        surface.gather(*[surface.later(llm, prompt) for prompt in prompts])
    seen = len(llm.requests)

    with cassette(tape) as played:
        answers = surface.gather(*[surface.later(llm, prompt) for prompt in reversed(prompts)])

    assert [answer.content for answer in answers] == [prompt.upper() for prompt in reversed(prompts)]
    assert (len(llm.requests), played.unused) == (seen, 0)


def test_equal_requests_are_answered_in_the_recorded_order_and_once_each(
    surface: Surface, tape: Path
) -> None:
    llm = ScriptedLLM(["one", "two"])
    with cassette(tape):
        surface.generate(llm, "Hi")
        surface.generate(llm, "Hi")

    with cassette(tape) as played:
        assert [surface.generate(llm, "Hi").content for _ in range(2)] == ["one", "two"]
        with pytest.raises(CassetteMissError, match="recorded twice and is asked once more"):
            surface.generate(llm, "Hi")

    assert played.unused == 0


ASKED: dict[str, Any] = {
    "prompt": "Hi",
    "system_prompt": "Be short.",
    "tools": [add],
    "tool_choice": "auto",
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "seed": 1,
    "stop": ["x"],
    "max_output_tokens": 10,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "thinking": True,
    "extra": {"a": {"b": 1}},
}
CHANGED: dict[str, Any] = {
    "prompt": "Hello",
    "system_prompt": "Be long.",
    "tools": None,
    "tool_choice": "none",
    "temperature": 0.6,
    "top_p": 0.6,
    "top_k": 6,
    "seed": 2,
    "stop": ["y"],
    "max_output_tokens": 11,
    "presence_penalty": 0.6,
    "frequency_penalty": 0.6,
    "thinking": "low",
    "extra": {"a": {"b": 2}},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_request_that_differs_in_one_thing_is_a_miss(surface: Surface, tape: Path, name: str) -> None:
    llm = FunctionLLM(lambda request: "Hello.")
    with cassette(tape):
        surface.generate(llm, **ASKED)

    with cassette(tape), pytest.raises(CassetteMissError) as failure:
        surface.generate(llm, **{**ASKED, name: CHANGED[name]})

    assert failure.value.diff
    assert len(llm.requests) == 1


def test_a_miss_shows_the_difference_to_the_nearest(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: "Hello.")
    with cassette(tape):
        surface.generate(llm, "Something else altogether", temperature=1.0, seed=3)
        surface.generate(llm, "What is new?", system_prompt="Be short.")

    with cassette(tape), pytest.raises(CassetteMissError) as failure:
        surface.generate(llm, "What is old?", system_prompt="Be short.")

    told = failure.value
    assert "--- recorded, line 3\n+++ asked now\n" in str(told)
    assert '-      "content": "What is new?",\n+      "content": "What is old?",\n' in told.diff
    assert told.nearest is not None
    assert told.nearest["messages"][1]["content"] == "What is new?"
    assert told.request["messages"][1]["content"] == "What is old?"
    assert told.path == str(tape)
    assert (told.provider, told.retryable, told.attempts) == ("function", False, 0)


def test_a_long_difference_is_cut_in_the_message(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: "Hello.")
    with cassette(tape):
        surface.generate(llm, "Hi")
    talk = [{"role": role, "content": str(n)} for n in range(50) for role in ("user", "assistant")]

    with cassette(tape), pytest.raises(CassetteMissError, match=r"… and \d+ lines more, in .diff") as failure:
        surface.generate(llm, "Hi", messages=talk)

    assert len(str(failure.value).split("\n")) < 70 < len(failure.value.diff.split("\n"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"extra": {"a": 1, "b": [2.0]}}, {"extra": {"b": [2], "a": 1.0}}),
        ({"tools": []}, {"tools": None}),
        (
            {"messages": [{"role": "user", "content": "a", "metadata": {"n": 1}}]},
            {"messages": [{"role": "user", "content": "a", "metadata": {"n": 2}}]},
        ),
    ],
)
def test_what_does_not_reach_the_model_does_not_matter(
    surface: Surface, tape: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    llm = ScriptedLLM(["Hello."])
    with cassette(tape):
        surface.generate(llm, "Hi", **first)

    with cassette(tape):
        assert surface.generate(llm, "Hi", **second).content == "Hello."


def test_whole_and_streamed_are_different_requests(surface: Surface, tape: Path) -> None:
    llm = ScriptedLLM(["Hello."])
    with cassette(tape):
        surface.generate(llm, "Hi")

    with cassette(tape), pytest.raises(CassetteMissError, match="stream"):
        surface.stream(llm, "Hi")


def test_no_key_and_no_header_is_written(
    surface: Surface, whole_or_stream: WholeOrStream, wire: Wire, server: FakeServer, tape: Path
) -> None:
    """The key is in the request's headers, the prompt, the answer, an error and `extra`."""
    secrets = {"X-Api-Token": "token-planted-9876543210"}
    llm = wire.llm(server, api_key=KEY, headers=secrets, max_retries=0)
    server.replies(text(f"Your key is {KEY}.", piece=5), error(400, f"{KEY} is wrong"), text("ok"))

    with cassette(tape):
        whole_or_stream.ask(surface, llm, f"Is {KEY} a key?")
        with pytest.raises(AbstractCoreError):
            whole_or_stream.ask(surface, llm, "Hi")
        whole_or_stream.ask(surface, llm, "Hi", extra={"gateway": {"api_key": "other-planted-42"}})

    data = tape.read_text(encoding="utf-8")
    sent = "\n".join(f"{request.headers}" for request in server.requests)
    assert KEY in sent
    assert "planted" not in data
    assert "Your key is ***." in data
    with cassette(tape):
        assert whole_or_stream.ask(surface, llm, f"Is {KEY} a key?").finish_reason == "stop"


def test_a_placeholder_of_a_key_changes_nothing(surface: Surface, server: FakeServer, tape: Path) -> None:
    """Recorded with one key, replayed with a word in its place, which the texts may well hold."""
    server.replies(text("this is a test"))
    with cassette(tape):
        surface.generate(server.llm(api_key=KEY), "test this")

    with cassette(tape):
        assert surface.generate(server.llm(api_key="test"), "test this").content == "this is a test"


def test_a_picture_is_told_by_its_digest(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: "A picture.")
    picture = b"\x89PNG\r\n\x1a\n" + bytes(3000)
    with cassette(tape):
        surface.generate(llm, "What is it?", media=picture)

    assert len(tape.read_bytes()) < 1500
    with cassette(tape):
        assert surface.generate(llm, "What is it?", media=picture).content == "A picture."
        with pytest.raises(CassetteMissError, match="sha256"):
            surface.generate(llm, "What is it?", media=picture + b"\0")


def test_the_file_is_readable(tape: Path) -> None:
    with cassette(tape):
        ScriptedLLM([["Grüß ", "Gott."]]).generate("Hi", stream=True).close()
        ScriptedLLM([["Grüß ", "Gott.", tool_call("add", a=1)]]).generate("Hi", seed=1)

    assert lines_of(tape)[0] == {"abstractcore_cassette": 1}
    assert lines_of(tape)[2] == {
        "request": {
            "provider": "scripted",
            "model": "scripted",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": False,
            "seed": 1,
        },
        "chunks": [
            {"generating": "Grüß "},
            {"generating": "Gott."},
            {"tool_calling": {"tool_call": {"id": "call_1_1", "name": "add", "arguments": {"a": 1}}}},
            {"done": {"finish_reason": "tool_calls", "metadata": {"model": "scripted"}}},
        ],
    }
    assert "Grüß" in tape.read_text(encoding="utf-8")


def test_each_call_is_in_the_file_when_it_ends(surface: Surface, tape: Path) -> None:
    """A program that is killed leaves whole lines."""
    llm = ScriptedLLM(["one", "two"])
    with cassette(tape):
        surface.generate(llm, "Hi")
        assert len(lines_of(tape)) == 2
        surface.generate(llm, "Hi")
        assert len(lines_of(tape)) == 3


def test_concurrent_calls_leave_whole_lines(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: [request.prompt, wait(0.001), "end"])
    with cassette(tape):
        surface.gather(*[surface.later(llm, f"prompt {number} " + "x" * 5000) for number in range(40)])

    assert len(lines_of(tape)) == 41


def test_the_modes(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: f"answer {len(llm.requests)}")

    def answer(mode: Any) -> str:
        with cassette(tape, mode):
            return surface.generate(llm, "Hi").content

    with pytest.raises(CassetteMissError, match="does not exist, and nothing is recorded now"):
        answer("replay")
    assert not tape.exists()
    assert answer("none") == "answer 1"
    assert not tape.exists()
    assert [answer(mode) for mode in ("auto", "auto", "replay", "none")] == ["answer 2"] * 3 + ["answer 3"]
    assert [answer(mode) for mode in ("record", "auto")] == ["answer 4"] * 2
    with pytest.raises(ConfigurationError, match="mode must be one of"):
        answer("recrod")


def test_a_cassette_without_calls_writes_nothing(tape: Path) -> None:
    with cassette(tape):
        pass

    assert not tape.exists()


def test_it_ends_with_its_block(surface: Surface, tape: Path) -> None:
    llm = FunctionLLM(lambda request: f"answer {len(llm.requests)}")
    with cassette(tape):
        surface.generate(llm, "Hi")

    with pytest.raises(ValueError, match="mine"), cassette(tape):
        raise ValueError("mine")

    assert surface.generate(llm, "Hi").content == "answer 2"


def test_it_can_be_entered_again_but_not_twice(tape: Path) -> None:
    kept = cassette(tape)
    llm = ScriptedLLM(["one"])
    with kept:
        llm.generate("Hi")
        with pytest.raises(CassetteError, match="open already"):
            kept.__enter__()
    for _ in range(2):
        with kept:
            assert llm.generate("Hi").content == "one"


def test_the_inner_cassette_answers(surface: Surface, tmp_path: Path) -> None:
    llm = FunctionLLM(lambda request: request.prompt)
    with cassette(tmp_path / "outer.jsonl") as outer:
        surface.generate(llm, "1")
        with cassette(tmp_path / "inner.jsonl") as inner:
            surface.generate(llm, "2")
        surface.generate(llm, "3")

    assert [len(each.recordings) for each in (outer, inner)] == [2, 1]


def test_a_thread_of_the_program_is_inside(tape: Path) -> None:
    """It begins without the context of the thread that started it."""
    llm = FunctionLLM(lambda request: f"answer {len(llm.requests)}")

    def in_a_thread(call: Callable[[], Any]) -> list[str]:
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(call().content))
        thread.start()
        thread.join()
        return answers

    with cassette(tape):
        in_a_thread(lambda: llm.generate("Hi"))
        in_a_thread(lambda: asyncio.run(llm.agenerate("Hi")))
    with cassette(tape):
        assert in_a_thread(lambda: llm.generate("Hi")) == ["answer 1"]
        assert in_a_thread(lambda: asyncio.run(llm.agenerate("Hi"))) == ["answer 2"]


async def test_a_task_has_its_own_cassette(tmp_path: Path) -> None:
    llm = FunctionLLM(lambda request: request.prompt)
    begun = asyncio.Barrier(3)

    async def program(name: str) -> Cassette:
        async with cassette(tmp_path / f"{name}.jsonl") as kept:
            await begun.wait()
            await llm.agenerate(name)
            return kept

    async def beside() -> None:
        await begun.wait()
        await llm.agenerate("nobody's")

    one, two, _ = await asyncio.gather(program("one"), program("two"), beside())

    assert [each.request["messages"][0]["content"] for each in one.recordings] == ["one"]
    assert [each.request["messages"][0]["content"] for each in two.recordings] == ["two"]


def test_a_thread_beside_two_cassettes_must_say_which(tmp_path: Path) -> None:
    llm = FunctionLLM(lambda request: request.prompt)
    outcomes: list[Any] = []

    def work() -> None:
        try:
            outcomes.append(llm.generate("Hi").content)
        except ConfigurationError as failure:
            outcomes.append(str(failure))

    with cassette(tmp_path / "one.jsonl"), cassette(tmp_path / "two.jsonl") as inner:
        for target in (work, partial(contextvars.copy_context().run, work)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    assert "several recordings are open" in outcomes[0]
    assert outcomes[1:] == ["Hi"]
    assert len(inner.recordings) == 1


def test_what_outlives_its_block_is_in_no_cassette(tmp_path: Path) -> None:
    """Its context still names the one that is closed; the one that is open now is somebody else's."""
    llm = FunctionLLM(lambda request: request.prompt)
    with cassette(tmp_path / "one.jsonl") as one:
        context = contextvars.copy_context()
    with cassette(tmp_path / "two.jsonl") as two:
        assert context.run(llm.generate, "Hi").content == "Hi"

    assert (one.recordings, two.recordings) == ([], [])


async def test_a_cancelled_call_is_recorded_as_left(tape: Path) -> None:
    llm = ScriptedLLM([["a", wait(60), "b"]])
    with cassette(tape) as kept, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await llm.agenerate("Hi")

    assert [(recording.left, recording.chunks) for recording in kept.recordings] == [
        (True, [StreamChunk("generating", "a")])
    ]


DAMAGED = {
    "empty": ("", "line 1 is damaged"),
    "another file": ('{"a": 1}\n', "is not a cassette of abstractcore"),
    "of the future": ('{"abstractcore_cassette": 2}\n', "is of version 2; this abstractcore reads version 1"),
    "cut off": ('{"abstractcore_cassette": 1}\n{"request": {"provi', "line 2 is damaged"),
    "no request": ('{"abstractcore_cassette": 1}\n{"chunks": []}\n', "line 2 is damaged: KeyError"),
    "no chunk": ('{"abstractcore_cassette": 1}\n{"request": {}, "chunks": [{"sung": "la"}]}\n', "line 2"),
    "no list": ('{"abstractcore_cassette": 1}\n[]\n', "line 2 is damaged: TypeError"),
    "no error": (
        '{"abstractcore_cassette": 1}\n{"request": {}, "chunks": [], "error": {"kind": "annotations"}}\n',
        "line 2 is damaged",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_names_its_line(tmp_path: Path, name: str) -> None:
    data, said = DAMAGED[name]
    path = tmp_path / "damaged.jsonl"
    path.write_text(data, encoding="utf-8")

    with pytest.raises(CassetteError, match=said) as failure, cassette(path):
        pass

    assert str(path) in str(failure.value)


def test_an_error_of_another_module_is_replayed_as_what_it_is_of_ours(surface: Surface, tape: Path) -> None:
    class PluginError(ServerError):
        """A provider that somebody else wrote has errors of its own."""

    llm = ScriptedLLM([PluginError("odd", status_code=599)])
    with cassette(tape), pytest.raises(PluginError):
        surface.generate(llm, "Hi")

    with cassette(tape), pytest.raises(ServerError, match="odd") as failure:
        surface.generate(llm, "Hi")

    assert (type(failure.value), failure.value.status_code) == (ServerError, 599)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(CassetteError, match="cannot be written anew"), cassette(tmp_path, "record"):
        pass
    with pytest.raises(CassetteError, match="cannot be read"), cassette(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with cassette(tmp_path / "file" / "talk.jsonl"), pytest.raises(CassetteError, match="cannot be written"):
        ScriptedLLM(["one"]).generate("Hi")
