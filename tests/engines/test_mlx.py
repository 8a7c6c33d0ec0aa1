"""What is special to MLX: its batch, samplers and KV cache, on the Model class that the worker runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from .runner import COUNT, TINY, Runner, load_model, solo_answers, tiny_model


@pytest.fixture
def load_mlx() -> Callable[..., Any]:
    """Make a Model in this process."""
    return partial(load_model, "mlx")


@pytest.fixture
def model() -> Any:
    """The tiny model, for tests that look at no KV cache but their own."""
    return tiny_model("mlx")


@pytest.fixture
def runner(model: Any) -> Iterator[Runner]:
    runner = Runner(model)
    yield runner
    assert not model._running, "a job was left in the batch"


@pytest.fixture
def alone() -> dict[str, str]:
    """The greedy answer to each question, asked alone."""
    return solo_answers("mlx")


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


# ---- sampling ----


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


def test_penalties_count_the_answer_and_repetition_the_prompt_too(load_mlx: Callable[..., Any]) -> None:
    import mlx.core as mx

    from abstractcore.engines.worker.mlx_sampling import Penalties

    penalties = Penalties([0], 5, presence=1.0, frequency=0.5, repetition=2.0)
    logits = mx.array([[4.0, 4.0, 4.0, -4.0, 4.0]])
    changed = [penalties(mx.array([0, 1, 3, 3][:seen]), logits).tolist() for seen in (1, 2, 3, 4)]

    assert changed[0] == [[2.0, 4.0, 4.0, -4.0, 4.0]], "0 is in the prompt, and no answer is there"
    assert changed[1] == [[2.0, 0.5, 4.0, -4.0, 4.0]]
    assert changed[3] == [[2.0, 0.5, 4.0, -10.0, 4.0]]


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


@pytest.mark.parametrize("kind", ["Evil", "PreTrainedTokenizerFast"], ids=["needed", "beside"])
def test_code_beside_a_tokenizer_is_never_run(
    load_mlx: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """FAULTS 1.11: a folder that needs its code is refused, one that only has some loads without."""
    for file in TINY.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    told = json.loads((TINY / "tokenizer_config.json").read_text())
    told |= {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": kind}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\nclass Evil: ...")

    if kind == "Evil":
        with pytest.raises(ValueError, match="custom code"):
            load_mlx(path=str(tmp_path))
    else:
        assert Runner(load_mlx(path=str(tmp_path))).answer("Count to twenty.") == COUNT
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_dtype_is_what_the_model_computes_in(load_mlx: Callable[..., Any], dtype: str) -> None:
    model = load_mlx(dtype=dtype, deterministic=False)

    assert model._loaded.token_bytes == 256
    assert Runner(model).answer("Count to twenty.") == COUNT
