"""What is special to MLX: its batch, samplers and KV cache, on the Model class that the worker runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pytest

from abstractcore.engines.runtime import Prompt

from .conftest import needs

TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat"
QUESTIONS = ("hello", "think", "emoji", "Count to twenty.", "What is the capital of France?")
COUNT = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20"
OPTIONS: Mapping[str, Any] = {
    "path": str(TINY),
    "context_length": 2048,
    "deterministic": True,
    "device": None,
    "dtype": None,
    "cache_gb": 1,
    "max_batch": 16,
    "threads": None,
    "prefix_cache": True,
    "max_context": None,
    "adapters": (),
    "draft_model": None,
}


class Runner:
    """The worker's batch over a model, and what came of each of its jobs."""

    def __init__(self, model: Any) -> None:
        from abstractcore.engines.worker.batch import Batch

        self.model = model
        self.batch = Batch(model)
        self.texts: dict[int, str] = {}
        self.cached: dict[int, int] = {}
        self.lengths: dict[int, int] = {}
        self.ends: dict[int, str] = {}
        self.order: list[int] = []
        self._numbers = iter(range(10_000))

    def add(self, question: str | Sequence[Mapping[str, Any]], **fields: Any) -> int:
        """Add a job, and give its number."""
        messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
        number = next(self._numbers)
        self.texts[number] = ""
        self._take(self.batch.add(number, asdict(Prompt(messages=messages, **fields))))
        return number

    def step(self) -> None:
        self._take(self.batch.step())

    def run(self) -> None:
        """Step until every job has ended."""
        for _ in range(5000):
            if len(self.ends) == len(self.texts):
                return
            self.step()
        raise AssertionError("a job does not end")

    def cancel(self, number: int) -> None:
        self.batch.cancel(number)
        self.ends[number] = "cancelled"

    def answer(self, question: str | Sequence[Mapping[str, Any]], **fields: Any) -> str:
        number = self.add(question, **fields)
        self.run()
        return self.texts[number]

    def _take(self, events: Sequence[Any]) -> None:
        for kind, number, *fields in events:
            if kind == "accepted":
                self.lengths[number], self.cached[number] = fields[0], fields[3]
            elif kind == "failed":
                self.ends[number] = fields[0]
            else:
                self.order.append(number)
                self.texts[number] += fields[0]
                if fields[2] is not None:
                    self.ends[number] = fields[2]


@pytest.fixture(scope="session")
def load_mlx() -> Callable[..., Any]:
    """Make a Model in this process."""
    needs("mlx_lm")
    with pytest.MonkeyPatch.context() as patch:
        # mlx-lm lowers the number of files that its process may open, for good.
        patch.setattr("resource.setrlimit", lambda *_: None)
        from abstractcore.engines.worker.mlx import Model

    def make(**options: Any) -> Any:
        return Model({**OPTIONS, **options})

    return make


@pytest.fixture(scope="session")
def model(load_mlx: Callable[..., Any]) -> Any:
    """The tiny model, for tests that look at no KV cache but their own."""
    return load_mlx(prefix_cache=False)


@pytest.fixture
def runner(model: Any) -> Iterator[Runner]:
    runner = Runner(model)
    yield runner
    assert not model._running, "a job was left in the batch"


@pytest.fixture(scope="session")
def alone(model: Any) -> dict[str, str]:
    """The greedy answer to each question, asked alone."""
    return {question: Runner(model).answer(question) for question in QUESTIONS}


# ---- the batch ----


def test_a_greedy_answer_is_the_runtimes_own(load_mlx: Callable[..., Any], alone: dict[str, str]) -> None:
    from mlx_lm.generate import stream_generate
    from mlx_lm.utils import load

    network, tokenizer, *_ = load(str(TINY))
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Count to twenty."}], add_generation_prompt=True, return_dict=False
    )
    said = "".join(one.text for one in stream_generate(network, tokenizer, ids, max_tokens=200))

    assert said.removesuffix("<|im_end|>") == alone["Count to twenty."] == COUNT


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


def test_a_cancelled_job_leaves_the_batch_at_once(runner: Runner, alone: dict[str, str]) -> None:
    """CONTRACT I1: its slot and its KV cache are free."""
    kept, gone, unread = (runner.add("Count to twenty.") for _ in range(3))
    runner.step()
    runner.cancel(unread)
    while not runner.texts[gone]:
        runner.step()
    rows_before = runner.model._generator.prompt_cache_nbytes
    runner.cancel(gone)
    length = len(runner.texts[gone])
    runner.step()

    assert runner.model._generator.prompt_cache_nbytes == rows_before // 2
    runner.run()
    assert (runner.texts[kept], len(runner.texts[gone])) == (alone["Count to twenty."], length)
    runner.cancel(kept)  # over, and not known any more


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


@pytest.mark.parametrize("top_p", [0.3, 0.7, 1.0])
def test_top_p_keeps_the_fewest_tokens_that_hold_its_mass(load_mlx: Callable[..., Any], top_p: float) -> None:
    import mlx.core as mx

    from abstractcore.engines.worker.mlx_sampling import sampler

    probabilities = [0.5, 0.25, 0.15, 0.1]
    least = {0.3: 1, 0.7: 2, 1.0: 4}[top_p]
    prompt = {"sampling": {"temperature": 1.0, "top_p": top_p, "seed": 3}, "extra": {}}
    draw = sampler(prompt, {})
    drawn = {draw(mx.log(mx.array([probabilities]))).item() for _ in range(200)}

    assert drawn == set(range(least))


def test_the_models_own_generation_config_fills_what_is_left_open(load_mlx: Callable[..., Any]) -> None:
    from abstractcore.engines.worker.mlx_sampling import greedy, sampler

    def made(sampling: dict[str, Any], recommended: dict[str, Any]) -> Any:
        return sampler({"sampling": sampling, "extra": {}}, recommended)

    assert made({}, {"temperature": 0.7}) is greedy, "it does not say do_sample"
    assert made({}, {"do_sample": True, "temperature": 0.7, "top_k": 20})._top_k == 20
    assert made({"top_k": 5}, {"do_sample": True, "top_k": 20})._top_k == 5
    assert made({"temperature": 0}, {"do_sample": True}) is greedy
    assert made({"top_p": 0.5}, {})._top_p == 0.5


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


def test_penalties_count_the_answer_and_repetition_the_prompt_too(load_mlx: Callable[..., Any]) -> None:
    import mlx.core as mx

    from abstractcore.engines.worker.mlx_sampling import Penalties

    penalties = Penalties([0], 5, presence=1.0, frequency=0.5, repetition=2.0)
    logits = mx.array([[4.0, 4.0, 4.0, -4.0, 4.0]])
    changed = [penalties(mx.array([0, 1, 3, 3][:seen]), logits).tolist() for seen in (1, 2, 3, 4)]

    assert changed[0] == [[2.0, 4.0, 4.0, -4.0, 4.0]], "0 is in the prompt, and no answer is there"
    assert changed[1] == [[2.0, 0.5, 4.0, -4.0, 4.0]]
    assert changed[3] == [[2.0, 0.5, 4.0, -10.0, 4.0]]


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
def reusing(load_mlx: Callable[..., Any]) -> Runner:
    return Runner(load_mlx())


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


# ---- memory ----


BLOCK = 256 * 512 / 2**30
"""What a row of the tiny model takes, in GB: 512 bytes a token, and room for 256 tokens at a time."""


def test_what_runs_and_what_is_kept_stay_within_the_budget(load_mlx: Callable[..., Any]) -> None:
    """CONTRACT I: kept prefixes leave for rows, and a row waits until there is room for it."""
    runner = Runner(load_mlx(cache_gb=3 * BLOCK))
    for place in range(12):
        runner.answer(f"{place} hello", max_output_tokens=8)
    prefixes, generator = runner.model._prefixes, runner.model._generator
    assert len(prefixes) == 12
    numbers = [runner.add("Count to twenty.") for _ in range(4)]
    used: list[int] = []
    kept: list[int] = []
    while len(runner.ends) < 16:
        runner.step()
        used.append(generator.prompt_cache_nbytes)
        kept.append(prefixes.size_bytes)

    assert max(map(sum, zip(used, kept, strict=True))) <= 3 * 256 * 512
    assert max(used) >= 2 * 256 * 512, "two rows ran side by side"
    assert min(kept) < kept[0]
    assert [runner.texts[number] for number in numbers] == [COUNT] * 4


def test_a_full_cache_ends_the_youngest_row_alone(load_mlx: Callable[..., Any]) -> None:
    """FAULTS 1.11: OutOfMemoryError for that request; the others go on."""
    runner = Runner(load_mlx(cache_gb=3 * BLOCK))
    forever = {"extra": {"ignore_eos": True}, "max_output_tokens": 400}
    old, young = (runner.add("Count to twenty.", **forever) for _ in range(2))
    runner.run()

    assert (runner.ends[old], runner.ends[young]) == ("length", "OutOfMemoryError")
    assert runner.order.count(old) == 400


def test_a_prompt_that_no_budget_holds_is_refused_before_it_is_read(load_mlx: Callable[..., Any]) -> None:
    """FAULTS 1.11"""
    runner = Runner(load_mlx(cache_gb=BLOCK))
    number = runner.add("word " * 600)

    assert runner.ends == {number: "OutOfMemoryError"}


# ---- loading ----


def test_max_context_bounds_a_prompt_and_an_answer(load_mlx: Callable[..., Any]) -> None:
    runner = Runner(load_mlx(max_context=100))
    long = runner.add("word " * 100)
    cut = runner.add("Count to twenty.", extra={"ignore_eos": True})
    runner.run()

    assert runner.ends == {long: "ContextLengthError", cut: "length"}
    assert runner.lengths[cut] + runner.order.count(cut) == 100


def test_a_quantised_model_loads(load_mlx: Callable[..., Any], tmp_path: Path) -> None:
    from mlx_lm.utils import load, quantize_model, save

    network, tokenizer, config = cast("tuple[Any, Any, Any]", load(str(TINY), return_config=True))
    network, config = quantize_model(network, config, group_size=32, bits=8)
    save(tmp_path, TINY, network, tokenizer, config)
    runner = Runner(load_mlx(path=str(tmp_path), deterministic=False))

    assert runner.answer("Count to twenty.") == COUNT
    assert runner.answer("What is the capital of France?") == "The capital of France is Paris."


def test_an_adapter_changes_what_a_model_says(
    load_mlx: Callable[..., Any], tmp_path: Path, alone: dict[str, str]
) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load

    network, _, *_ = load(str(TINY))
    shape = {"rank": 4, "scale": 20.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj"]}
    linear_to_lora_layers(network, 2, shape)
    weights: Any = tree_flatten(network.parameters())
    added = {name: value for name, value in weights if "lora" in name}
    told = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": shape}
    (tmp_path / "adapter_config.json").write_text(json.dumps(told))

    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), added)  # lora_b is zero: it says nothing yet
    assert Runner(load_mlx(adapters=(str(tmp_path),))).answer("hello") == alone["hello"]

    added = {name: mx.ones_like(value) if "lora_b" in name else value for name, value in added.items()}
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), added)
    assert Runner(load_mlx(adapters=(str(tmp_path),))).answer("hello", max_output_tokens=40) != alone["hello"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adapters": ("/nowhere",)}, "adapters.safetensors is missing"),
        ({"adapters": ("/one", "/two")}, "one adapter at a time"),
        ({"dtype": "bfloat16"}, "deterministic=True computes in float32"),
    ],
    ids=["no-adapter", "two-adapters", "dtype"],
)
def test_what_cannot_be_loaded_is_said(
    load_mlx: Callable[..., Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        load_mlx(**options)


@pytest.mark.parametrize(
    "change",
    [{"model_file": "evil.py"}, {"model_type": "no_such"}, {"hidden_size": None}, {"hidden_size": 128}],
    ids=["code", "architecture", "no-size", "other-size"],
)
def test_a_folder_that_does_not_fit_is_refused_and_none_of_its_code_runs(
    load_mlx: Callable[..., Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    """FAULTS 1.11: no remote code, ever."""
    for file in TINY.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    told = {**json.loads((TINY / "config.json").read_text()), **change}
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")

    with pytest.raises((ValueError, RuntimeError, LookupError)):
        load_mlx(path=str(tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_dtype_is_what_the_model_computes_in(load_mlx: Callable[..., Any], dtype: str) -> None:
    model = load_mlx(dtype=dtype, deterministic=False)

    assert model._loaded.token_bytes == 256
    assert Runner(model).answer("Count to twenty.") == COUNT
