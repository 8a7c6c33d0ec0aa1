"""What the engines with a batch of our own promise, on the Model class that the worker runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest

from abstractcore.engines.runtime import Prompt

from .runner import COUNT, QUESTIONS, Runner, load_model, solo_answers, tiny_model


@pytest.fixture(params=["mlx", "huggingface"])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def load(engine: str) -> Callable[..., Any]:
    """Make a Model in this process."""
    return partial(load_model, engine)


@pytest.fixture
def model(engine: str) -> Any:
    """The tiny model, for tests that look at no KV cache but their own."""
    return tiny_model(engine)


@pytest.fixture
def runner(model: Any) -> Iterator[Runner]:
    runner = Runner(model)
    yield runner
    assert not model._running, "a job was left in the batch"


@pytest.fixture
def alone(engine: str) -> dict[str, str]:
    """The greedy answer to each question, asked alone."""
    return solo_answers(engine)


# ---- the batch ----


def test_the_text_of_each_row_is_that_of_its_solo_run(runner: Runner, alone: dict[str, str]) -> None:
    """CONTRACT I1"""
    numbers = {question: runner.add(question) for question in QUESTIONS}
    runner.run()

    assert {question: runner.texts[number] for question, number in numbers.items()} == alone
    assert set(runner.ends.values()) == {"stop"}


def test_a_job_joins_late_and_changes_nobodys_text(runner: Runner, alone: dict[str, str]) -> None:
    """CONTRACT I1"""
    first = runner.add("Count to twenty.")
    while len(runner.texts[first]) < 10:
        runner.step()
    late = runner.add("hello")
    runner.run()

    assert runner.texts == {first: alone["Count to twenty."], late: alone["hello"]}
    assert runner.order.index(late) < len(runner.order) - 1 - runner.order[::-1].index(first), (
        "they overlapped"
    )


def test_a_long_prompt_is_read_beside_the_decoding(runner: Runner) -> None:
    """CONTRACT I1: no more than a piece of it between two tokens of a neighbour."""
    writer = runner.add("Count to twenty.")
    while not runner.texts[writer]:
        runner.step()
    reader = runner.add("word " * 600)
    assert runner.lengths[reader] > 1000
    steps = 0
    while reader not in runner.order:
        written = len(runner.order)
        runner.step()
        steps += 1
        assert len(runner.order) > written or writer in runner.ends
    runner.cancel(reader)
    runner.run()

    assert steps > runner.lengths[reader] // 256


def test_max_output_tokens_and_stop_texts_end_one_row(runner: Runner, alone: dict[str, str]) -> None:
    short = runner.add("Count to twenty.", max_output_tokens=4)
    stopped = runner.add("Count to twenty.", stop=("5",))
    whole = runner.add("Count to twenty.")
    runner.run()

    assert (runner.ends[short], runner.order.count(short)) == ("length", 4)
    assert (runner.ends[stopped], runner.texts[stopped]) == ("stop", "1 2 3 4 ")
    assert runner.texts[whole] == COUNT


# ---- sampling ----


HOT = {"temperature": 1.5}


def test_a_seeded_answer_is_the_same_whoever_its_neighbours_are(runner: Runner) -> None:
    """CONTRACT I1"""
    sampling = {"temperature": 3.0, "top_p": 0.99, "top_k": 400, "seed": 7}
    solo = runner.answer("hello", sampling=sampling, max_output_tokens=30)
    neighbours = [runner.add(question, sampling=HOT) for question in QUESTIONS]
    while not all(runner.texts[number] for number in neighbours):
        runner.step()
    batched = runner.add("hello", sampling=sampling, max_output_tokens=30)
    other = runner.add("hello", sampling={**sampling, "seed": 8}, max_output_tokens=30)
    runner.run()

    assert runner.texts[batched] == solo
    assert runner.texts[other] != solo


def test_answers_without_a_seed_differ(runner: Runner) -> None:
    numbers = [runner.add("hello", sampling={"temperature": 3.0}, max_output_tokens=20) for _ in range(3)]
    runner.run()

    assert len({runner.texts[number] for number in numbers}) == 3


@pytest.mark.parametrize(
    "narrow",
    [
        {"sampling": {"temperature": 0}},
        {"sampling": {"temperature": 1e-300}},
        {"sampling": {**HOT, "top_k": 1}},
        {"sampling": {**HOT, "top_p": 1e-9}},
        {"sampling": HOT, "extra": {"min_p": 1}},
    ],
    ids=["temperature-0", "temperature-tiny", "top_k", "top_p", "min_p"],
)
def test_each_way_to_narrow_the_choice_ends_at_the_greedy_text(
    runner: Runner, alone: dict[str, str], narrow: dict[str, Any]
) -> None:
    sampled = runner.add("Count to twenty.", **narrow)
    beside = runner.add("hello", sampling={**HOT, "seed": 1}, max_output_tokens=5)
    runner.run()

    assert runner.texts[sampled] == alone["Count to twenty."]
    assert runner.ends[beside] == "length" or runner.texts[beside]


@pytest.mark.parametrize(
    "penalty",
    [{"sampling": {"presence_penalty": 1000}}, {"sampling": {"frequency_penalty": 1000}}],
    ids=["presence", "frequency"],
)
def test_a_penalty_keeps_tokens_from_coming_back(runner: Runner, penalty: dict[str, Any]) -> None:
    number = runner.add("Count to twenty.", max_output_tokens=20, **penalty)
    plain = runner.add("Count to twenty.")
    runner.run()

    assert runner.texts[number].startswith("1 2")
    assert runner.texts[number].count(" ") == 1
    assert runner.texts[plain] == COUNT


def test_a_penalty_of_zero_or_one_changes_nothing(runner: Runner) -> None:
    sampling = {"presence_penalty": 0.0, "frequency_penalty": 0}

    assert runner.answer("Count to twenty.", sampling=sampling, extra={"repetition_penalty": 1}) == COUNT


def test_an_answer_goes_on_past_its_end_when_asked_to(runner: Runner, alone: dict[str, str]) -> None:
    ignoring = runner.add("hello", extra={"ignore_eos": True}, max_output_tokens=40)
    longer = runner.add("hello", extra={"min_new_tokens": 30}, max_output_tokens=60)
    runner.run()

    assert (runner.ends[ignoring], runner.order.count(ignoring)) == ("length", 40)
    assert runner.texts[ignoring].startswith(alone["hello"])
    assert runner.order.count(longer) > 30


# ---- one bad request ----


@pytest.mark.parametrize(
    "bad",
    [
        {"extra": {"mystery": 1}},
        {"extra": {"min_p": 2}},
        {"extra": {"repetition_penalty": "a lot"}},
        {"schema": '{"type": "bogus"}'},
    ],
    ids=["unknown", "out-of-range", "no-number", "schema"],
)
def test_a_bad_request_fails_alone(runner: Runner, bad: dict[str, Any]) -> None:
    """CONTRACT I1"""
    good = runner.add("Count to twenty.")
    runner.step()
    failed = runner.add("hello", **bad)
    runner.run()

    assert (runner.ends[failed], runner.texts[good]) == ("ConfigurationError", COUNT)


def test_a_grammar_that_breaks_while_it_runs_ends_its_row_alone(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTRACT I1"""
    from abstractcore.engines.runtime import Refused
    from abstractcore.engines.worker import grammar

    def breaks(self: Any, token: int) -> None:
        raise Refused("ConfigurationError", "no further")

    good = runner.add("Count to twenty.")
    poisoned = runner.add("hello", schema='{"type": "string"}')
    with monkeypatch.context() as patch:
        patch.setattr(grammar.Grammar, "accept", breaks)
        runner.run()

    assert runner.ends == {good: "stop", poisoned: "ConfigurationError"}
    assert runner.texts[good] == COUNT


def test_a_token_that_the_model_has_not_is_refused(model: Any) -> None:
    """Reading beside the end of a weight gives anything at all."""
    from abstractcore.engines.runtime import Refused

    with pytest.raises(Refused) as refused:
        model.start(1, [1, 512], asdict(Prompt(messages=[])), 5)

    assert refused.value.kind == "ConfigurationError"


# ---- structured output ----


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 11}], ids=["greedy", "hot"])
@pytest.mark.parametrize(
    "extra", [{}, {"min_new_tokens": 40}, {"ignore_eos": True}], ids=lambda one: str(one)
)
def test_a_schema_gives_valid_json(runner: Runner, sampling: dict[str, Any], extra: dict[str, Any]) -> None:
    """A model that knows no such question answers as the schema wants it, and ends there."""
    held = runner.add("hello", schema=json.dumps(PERSON), sampling=sampling, extra=extra)
    free = runner.add("Count to twenty.")
    runner.run()

    assert runner.ends[held] == "stop"
    person = json.loads(runner.texts[held])
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)
    assert runner.texts[free] == COUNT


# ---- KV reuse ----


def history(runner: Runner, question: str, answer: str) -> list[Mapping[str, Any]]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "Count to twenty."},
    ]


@pytest.fixture
def reusing(load: Callable[..., Any]) -> Runner:
    return Runner(load())


def test_the_next_turn_reads_only_what_is_new(reusing: Runner, runner: Runner) -> None:
    """CONTRACT I2"""
    first = reusing.add("hello")
    reusing.run()
    turn = history(reusing, "hello", reusing.texts[first])
    second = reusing.add(turn)
    reusing.run()

    assert reusing.cached[first] == 0
    assert reusing.lengths[first] < reusing.cached[second] < reusing.lengths[second]
    assert reusing.texts[second] == runner.answer(turn)
    assert runner.cached == {0: 0}


def test_a_turn_that_ends_by_a_stop_text_is_reused_too(reusing: Runner, runner: Runner) -> None:
    """CONTRACT I2"""
    reusing.answer("Count to twenty.", stop=("5",))
    turn = history(reusing, "Count to twenty.", "1 2 3 4 ")
    second = reusing.add(turn)
    reusing.run()

    assert reusing.cached[second] > reusing.lengths[0]
    assert reusing.texts[second] == runner.answer(turn)


def test_a_template_that_drops_old_thinking_reuses_what_stands_before_it(
    reusing: Runner, runner: Runner
) -> None:
    """CONTRACT I2: the stored cache is cut where the new prompt parts from it."""
    first = reusing.add("think")
    reusing.run()
    whole = reusing.texts[first]
    assert whole.startswith("<think>")
    turn = history(reusing, "think", whole.partition("</think>")[2])
    second = reusing.add(turn)
    reusing.run()

    assert reusing.lengths[first] - 3 <= reusing.cached[second] <= reusing.lengths[first]
    assert reusing.texts[second] == runner.answer(turn)


def test_the_same_prompt_again_reads_its_last_token_alone(reusing: Runner, alone: dict[str, str]) -> None:
    for _ in range(3):
        assert reusing.answer("hello") == alone["hello"]

    assert [reusing.cached[number] for number in range(3)] == [0, *[reusing.lengths[0] - 1] * 2]
    assert len(reusing.model._prefixes) == 1


def test_rows_that_share_a_prefix_run_side_by_side(reusing: Runner, alone: dict[str, str]) -> None:
    """What one row writes into its copy reaches neither the store nor another row."""
    reusing.answer("hello")
    numbers = {question: reusing.add(question) for question in (*QUESTIONS, "hello")}
    reusing.run()

    assert {question: reusing.texts[number] for question, number in numbers.items()} == alone
    assert all(reusing.cached[number] for number in numbers.values())


def test_a_cancelled_prompt_has_not_been_read_in_vain(reusing: Runner) -> None:
    long = reusing.add("word " * 600)
    for _ in range(3):
        reusing.step()
    reusing.cancel(long)
    again = reusing.add("word " * 600)
    reusing.cancel(again)

    assert 256 < reusing.cached[again] < reusing.lengths[again]


def test_prefix_cache_false_keeps_nothing(runner: Runner) -> None:
    for _ in range(2):
        runner.answer("hello")

    assert runner.cached == {0: 0, 1: 0}


# ---- loading ----


def test_max_context_bounds_a_prompt_and_an_answer(load: Callable[..., Any]) -> None:
    runner = Runner(load(max_context=100))
    long = runner.add("word " * 100)
    cut = runner.add("Count to twenty.", extra={"ignore_eos": True})
    runner.run()

    assert runner.ends == {long: "ContextLengthError", cut: "length"}
    assert runner.lengths[cut] + runner.order.count(cut) == 100
