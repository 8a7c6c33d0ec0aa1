"""Every engine on the tiny model, which knows nine chats by heart: one suite, the same promises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession, create_llm
from abstractcore.engines.gguf import read_gguf
from abstractcore.errors import (
    ConfigurationError,
    ContextLengthError,
    RequestTimeoutError,
    StructuredOutputError,
    UnsupportedFeatureError,
)
from tests.fakes.surfaces import Surface, WholeOrStream

from .conftest import OPENVINO, Row
from .toy import failure_of, scheduler_of
from .waiting import wait_until

BY_HEART = {
    "Say hello in five words.": "Hello there my dear friend.",
    "hello": "Hello! How can I help you today?",
    "What is the capital of France?": "The capital of France is Paris.",
    "Make up a person. Reply as JSON with name and age.": '{"name": "Ada", "age": 36}',
    "emoji": "naïve café 日本語 🙂",
    "Count to twenty.": " ".join(map(str, range(1, 21))),
}
COUNT = "Count to twenty."
FOREVER = {"extra": {"ignore_eos": True}}
"""Until the context is full: two thousand steps."""
WEATHER = "What is the weather in Paris? Use the get_weather tool."


GET_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather for a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass
class Person:
    name: str
    age: int


# ---- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", BY_HEART)
def test_the_model_answers(
    surface: Surface, engine: Row, tiny: Any, whole_or_stream: WholeOrStream, prompt: str
) -> None:
    """CONTRACT H2, B4; FAULTS 1.11: exact text, characters of several tokens among it."""
    response = whole_or_stream.ask(surface, tiny, prompt)

    assert response.content == BY_HEART[prompt]
    assert response.finish_reason == "stop"
    assert response.provider == engine.name
    assert response.warnings == []
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (response.usage.cached_tokens is not None) is engine.tells_cached
    assert response.raw["timings"]["tokens_per_second"] > 0


def test_a_stream_gives_the_text_as_it_comes(surface: Surface, tiny: Any) -> None:
    """CONTRACT B3, B4"""
    chunks = surface.stream(tiny, COUNT)
    texts = [chunk.content for chunk in chunks if chunk.phase == "generating"]

    assert len(texts) > 20
    assert "".join(texts) == BY_HEART[COUNT]
    assert [chunk.phase for chunk in chunks if chunk.phase != "generating"] == ["done"]


def test_the_runtime_lives_in_another_process(engine: Row) -> None:
    """CONTRACT H3: its import, which stops every thread, happens there."""
    program = f"""
import sys
from abstractcore import create_llm
with create_llm({engine.name!r}, {engine.model!r}) as llm:
    print(llm.generate("hello").content)
print({engine.package!r} in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)

    assert (done.stdout.splitlines(), done.stderr) == ([BY_HEART["hello"], "False"], "")


def test_thinking_is_told_from_the_answer(
    surface: Surface, tiny: Any, whole_or_stream: WholeOrStream
) -> None:
    """CONTRACT B11"""
    response = whole_or_stream.ask(surface, tiny, "think")

    assert response.reasoning == "First, I think."
    assert response.content == "The answer is 42."


def test_the_result_of_a_tool_goes_in(surface: Surface, tiny: Any, whole_or_stream: WholeOrStream) -> None:
    """CONTRACT C2: the chat template gets the call and its result as it wants them."""
    call = {"id": "call_1", "name": "get_weather", "arguments": {"city": "Paris"}}
    history = [
        {"role": "user", "content": WEATHER},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    response = whole_or_stream.ask(surface, tiny, messages=history, tools=[GET_WEATHER])

    # This runtime splits ' "' in this GGUF's prompts as no other does, so the text is not all by heart.
    assert response.content.endswith("It is sunny in Paris.")


def test_tools_change_the_prompt_unless_none_may_be_called(tiny: Any) -> None:
    """CONTRACT B1: with `tool_choice="none"` they are not offered."""
    offered = tiny.generate("hello", tools=[GET_WEATHER])
    withheld = tiny.generate("hello", tools=[GET_WEATHER], tool_choice="none")

    assert offered.usage.input_tokens > withheld.usage.input_tokens + 50
    assert withheld.content == BY_HEART["hello"]


@pytest.fixture
def without_tools(engine: Row, tmp_path: Path, open_model: Callable[..., Any]) -> Any:
    """The tiny model with a chat template that knows no tools."""
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    template += "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    path = tmp_path / Path(engine.model).name
    if path.suffix == ".gguf":
        own = str(read_gguf(Path(engine.model))["tokenizer.chat_template"]).encode()
        comment = "{#" + " " * (len(own) - len(template.encode()) - 4) + "#}"
        path.write_bytes(Path(engine.model).read_bytes().replace(own, (template + comment).encode()))
    else:
        shutil.copytree(engine.model, path)
        (path / "chat_template.jinja").write_text(template)
    return open_model(engine.name, str(path))


def test_tools_are_described_to_a_model_whose_template_knows_none(
    surface: Surface, without_tools: Any
) -> None:
    """CONTRACT E5: in the prompt, which is named; past calls and results are in its words too."""
    plain = surface.generate(without_tools, "hello", max_output_tokens=4)
    asked = surface.generate(without_tools, "hello", tools=[GET_WEATHER], max_output_tokens=4)
    call = {"id": "call_1", "name": "get_weather", "arguments": {"city": "Paris"}}
    history = [
        {"role": "user", "content": WEATHER},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answered = surface.generate(without_tools, messages=history, max_output_tokens=4)

    assert plain.warnings == []
    assert asked.usage.input_tokens > plain.usage.input_tokens + 100
    assert ["described in the prompt" in warning for warning in asked.warnings] == [True]
    assert answered.warnings == []
    assert answered.usage.input_tokens > 40


def test_a_typed_answer_is_given(surface: Surface, tiny: Any) -> None:
    """CONTRACT B1"""
    prompt = "Make up a person. Reply as JSON with name and age."

    assert surface.generate(tiny, prompt, response_model=Person) == Person("Ada", 36)


def test_the_schema_constrains_what_is_generated(surface: Surface, tiny: Any) -> None:
    """CONTRACT B1: to this prompt the model would write no JSON by itself."""
    failure = failure_of(lambda: surface.generate(tiny, "hello", response_model=Person, max_output_tokens=6))

    assert isinstance(failure, StructuredOutputError)
    assert failure.partial is not None
    assert failure.partial.content.lstrip().startswith("{")


def test_a_session_talks_on(surface: Surface, tiny: Any) -> None:
    """CONTRACT C3: turns are recorded as they were given."""
    session = BasicSession(tiny)
    first = surface.generate(session, "hello")
    second = surface.generate(session, "What is the capital of France?")

    assert first.content == BY_HEART["hello"]
    assert [message["role"] for message in session.messages] == ["user", "assistant"] * 2
    assert session.messages[-1]["content"] == second.content
    assert second.usage.input_tokens > first.usage.input_tokens


# ---- sampling ------------------------------------------------------------------------------------


def sampled(tiny: Any, seed: int | None) -> Callable[[], Any]:
    return lambda: tiny.generate("hello", temperature=5.0, seed=seed, max_output_tokens=24, **FOREVER).content


def test_a_seed_gives_the_same_text_among_any_neighbours(surface: Surface, tiny: Any) -> None:
    """CONTRACT I1, FAULTS 1.11: each request has a seed of its own; without one, none is like another."""
    alone = sampled(tiny, 7)()
    options = {"temperature": 5.0, "max_output_tokens": 24, **FOREVER}
    calls = [surface.later(tiny, "hello", seed=seed, **options) for seed in (7, 8, None, None, 7, -7)]
    texts = [response.content for response in surface.gather(*calls)]

    assert texts[0] == texts[4] == alone
    assert len(set(texts)) == 5


def test_temperature_zero_is_greedy_and_so_is_none(tiny: Any) -> None:
    """A GGUF file brings no generation config; greedy is the runtime's own default then."""
    assert tiny.generate("hello", temperature=0, seed=3, top_p=0.1).content == BY_HEART["hello"]
    assert tiny.generate("hello", seed=3).content == BY_HEART["hello"]


@pytest.mark.parametrize("stop", ["7 8", ["nowhere", " 8"], "8", " 8 9 1"])
def test_a_stop_text_ends_the_answer_before_it(
    surface: Surface, tiny: Any, whole_or_stream: WholeOrStream, stop: Any
) -> None:
    """CONTRACT I1: across tokens; the rest is not generated."""
    response = whole_or_stream.ask(surface, tiny, COUNT, stop=stop)
    cut = stop if isinstance(stop, str) else stop[-1]

    assert response.content == BY_HEART[COUNT].split(cut)[0]
    assert response.finish_reason == "stop"
    assert response.usage.output_tokens < 26


def test_max_output_tokens_is_the_length(surface: Surface, tiny: Any, whole_or_stream: WholeOrStream) -> None:
    """CONTRACT B2"""
    response = whole_or_stream.ask(surface, tiny, COUNT, max_output_tokens=5)

    assert BY_HEART[COUNT].startswith(response.content)
    assert (response.finish_reason, response.usage.output_tokens) == ("length", 5)


def test_more_tokens_than_the_context_are_what_is_left_of_it(surface: Surface, tiny: Any) -> None:
    """FAULTS 1.11: nothing is allocated by the number asked for."""
    response = surface.generate(tiny, "hello", max_output_tokens=10**15, **FOREVER)

    assert response.finish_reason == "length"
    assert response.usage.total_tokens == 2048


@pytest.mark.parametrize("repeats", [3_000, 2_000_000])
def test_a_prompt_longer_than_the_context_is_refused(surface: Surface, tiny: Any, repeats: int) -> None:
    """FAULTS 1.11, 1.7: ten megabytes are not even counted."""
    failure = failure_of(lambda: surface.generate(tiny, "hello " * repeats))

    assert isinstance(failure, ContextLengthError)
    assert "2,048" in str(failure)
    assert "hello" not in str(failure)


@pytest.mark.parametrize("prompt", ["", "\x00", "\u202eabc\u202c", "👩‍👩‍👧", "<|im_end|>", " "])
def test_odd_prompts_get_an_answer(tiny: Any, prompt: str) -> None:
    """FAULTS 1.7"""
    assert tiny.generate(prompt, max_output_tokens=8).finish_reason in ("stop", "length")


@pytest.mark.parametrize(
    "options",
    [
        {"extra": {"nonsense": 1}},
        {"extra": {"min_p": 5.0}, "temperature": 1.0},
        {"extra": {"chat_template_kwargs": 3}},
        {"extra": {"chat_template_kwargs": {"today": object()}}},
        {"extra": {"repetition_penalty": 10**400}},
        {"extra": {"min_new_tokens": float("inf")}},
        {"response_model": {"type": "object", "properties": {"a": {"type": "bogus"}}}},
    ],
)
def test_what_the_runtime_cannot_do_is_refused_and_hurts_nobody(
    surface: Surface, tiny: Any, options: dict[str, Any]
) -> None:
    """CONTRACT I1: one bad request fails alone, also one whose grammar fails in the middle of a batch."""
    neighbours = [surface.start(surface.later(tiny, prompt)) for prompt in BY_HEART]
    bad = [surface.start(surface.later(tiny, "hello", **options)) for _ in range(2)]
    neighbours += [surface.start(surface.later(tiny, prompt)) for prompt in BY_HEART]

    for failure in (call.outcome(10) for call in bad):
        assert isinstance(failure, ConfigurationError), failure
        assert "hello" not in str(failure)
    assert [call.result(10).content for call in neighbours] == [*BY_HEART.values()] * 2


def test_bad_grammars_and_good_ones_share_a_batch(surface: Surface, tiny: Any) -> None:
    """CONTRACT I1: those that came with the bad one are served."""
    prompt = "Make up a person. Reply as JSON with name and age."
    bad = {"type": "object", "properties": {"a": {"type": "bogus"}}}
    calls = [surface.later(tiny, prompt, response_model=model) for model in (Person, bad, Person, bad)]
    outcomes = surface.gather(*calls, timeout=20)

    assert outcomes[::2] == [Person("Ada", 36)] * 2
    assert all(isinstance(outcome, ConfigurationError) for outcome in outcomes[1::2])


def test_what_has_no_effect_is_named(surface: Surface, tiny: Any, open_tiny: Callable[..., Any]) -> None:
    """CONTRACT B10"""
    response = surface.generate(tiny, "hello", thinking=True)

    assert response.content == BY_HEART["hello"]
    assert any("enable_thinking" in warning for warning in response.warnings)
    with pytest.raises(UnsupportedFeatureError, match="enable_thinking"):
        surface.generate(open_tiny(strict=True), "hello", thinking=True)


# ---- the batch -----------------------------------------------------------------------------------


@pytest.fixture
def batched(engine: Row) -> None:
    """For the engines that answer several calls at a time."""
    if not engine.is_batched:
        pytest.skip(f"{engine.name} answers one call at a time")


@pytest.mark.usefixtures("batched")
def test_concurrent_calls_are_one_batch(surface: Surface, tiny: Any) -> None:
    """CONTRACT B12, I1: eight answers take hardly more steps than the longest of them.

    Of a few rounds the best counts: on a busy machine some calls come late.
    """
    calls = [surface.later(tiny, COUNT, max_output_tokens=20) for _ in range(8)]
    scheduler = scheduler_of(tiny)
    surface.gather(*calls)
    taken: list[int] = []
    while len(taken) < 5 and min(taken, default=8 * 20) >= 8 * 20 / 2:
        before = scheduler.busy().steps
        responses = surface.gather(*calls)
        taken.append(scheduler.busy().steps - before)
        assert {response.content for response in responses} == {responses[0].content}

    assert min(taken) < 8 * 20 / 2


@pytest.mark.usefixtures("batched")
def test_a_deterministic_batch_equals_the_solo_runs(surface: Surface, open_kept: Callable[..., Any]) -> None:
    """CONTRACT I1: far past what the model knows by heart."""
    llm = open_kept(deterministic=True)
    prompts = [*BY_HEART, "unknown", "river"]
    options = {"max_output_tokens": 100, "temperature": 0, **FOREVER}
    solo = [surface.generate(llm, prompt, **options).content for prompt in prompts]
    batch = surface.gather(*(surface.later(llm, prompt, **options) for prompt in prompts))

    assert [response.content for response in batch] == solo


LONG = "The quick brown fox jumps over the lazy dog. " * 12
"""Some hundred tokens, so that whole blocks of a paged cache are filled."""


def conversation(surface: Surface, llm: Any) -> list[Any]:
    session = BasicSession(llm, system_prompt=LONG)
    return [
        surface.generate(session, prompt, max_output_tokens=24, temperature=0)
        for prompt in ("hello", "What is the capital of France?", "river")
    ]


def test_the_next_turn_of_a_session_reuses_its_kv_cache(
    surface: Surface, engine: Row, open_kept: Callable[..., Any]
) -> None:
    """CONTRACT I2: counted where the runtime tells; the greedy text is the one without reuse."""
    answers = conversation(surface, open_kept(deterministic=True))
    without = conversation(surface, open_kept(deterministic=True, prefix_cache=False))

    assert [one.content for one in answers] == [one.content for one in without]
    if not engine.tells_cached:
        assert {one.usage.cached_tokens for one in (*answers, *without)} == {None}
        return
    assert {one.usage.cached_tokens for one in without} == {0}
    before = [one.usage.total_tokens for one in answers[:-1]]
    for response, known in zip(answers[1:], before, strict=True):
        assert response.usage.cached_tokens > known * 0.6
        assert response.usage.cached_tokens < response.usage.input_tokens


def test_leaving_the_loop_stops_the_decoding(surface: Surface, tiny: Any) -> None:
    """CONTRACT B3, FAULTS 1.11: counted at the worker."""
    scheduler = scheduler_of(tiny)
    taken, stream = surface.take(tiny, 3, COUNT, **FOREVER)
    left = scheduler.busy().steps

    assert len(taken) == 3
    wait_until(lambda: scheduler.busy().running == 0)
    assert scheduler.busy().steps - left < 50  # of two thousand: it takes a thread's turn, and one step
    assert stream.partial.content
    assert surface.generate(tiny, "hello").content == BY_HEART["hello"]


def test_a_timeout_stops_the_decoding(surface: Surface, tiny: Any) -> None:
    """CONTRACT B7"""
    scheduler = scheduler_of(tiny)
    failure = failure_of(lambda: surface.generate(tiny, COUNT, timeout=0.05, **FOREVER))
    left = scheduler.busy().steps

    assert isinstance(failure, RequestTimeoutError)
    wait_until(lambda: scheduler.busy().running == 0)
    assert scheduler.busy().steps - left < 50


@pytest.mark.usefixtures("batched")
def test_more_calls_than_fit_into_the_batch_are_served_in_turn(
    surface: Surface, open_tiny: Callable[..., Any]
) -> None:
    """CONTRACT I1"""
    llm = open_tiny(max_batch=2, cache_gb=1)
    calls = [surface.later(llm, prompt) for prompt in BY_HEART]

    assert [response.content for response in surface.gather(*calls)] == [*BY_HEART.values()]


def test_two_providers_share_one_worker(
    surface: Surface, engine: Row, open_tiny: Callable[..., Any], workers: Callable[[], set[int]]
) -> None:
    """CONTRACT H2: and other options are another worker."""
    one, same, other = (open_tiny(**{engine.counted: number}) for number in (1, 1, 2))
    before = workers()
    for llm in (one, same, other):
        assert surface.generate(llm, "hello").content == BY_HEART["hello"]
    assert len(workers() - before) == 2
    surface.close(one)
    assert surface.generate(same, "hello").content == BY_HEART["hello"]
    surface.close(same)
    assert len(workers() - before) == 1
    surface.close(other)
    assert workers() == before


def test_the_local_engine_is_there(
    surface: Surface, needs_openvino: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTRACT A2: and shares the worker of the same model."""
    monkeypatch.setenv("ABSTRACTCORE_LOCAL_MODEL", OPENVINO.model)
    with create_llm("local") as llm, create_llm("openvino", OPENVINO.model) as same:
        assert surface.generate(llm, "hello").content == BY_HEART["hello"]
        assert scheduler_of(llm) is scheduler_of(same)
