"""What is special to HuggingFace: its architectures, its files, and answers that are transformers' own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.engines.runtime import Prompt
from abstractcore.errors import ModelLoadError

from .conftest import needs
from .gguf_parts import split_gguf
from .runner import COUNT, QUESTIONS, TINY, Runner, load_model, solo_answers, tiny_model

pytest.importorskip("torch", reason="the extra huggingface is not installed")

import torch
import transformers
from safetensors.torch import load_file, save_file

from .huggingface_models import APART, HEAD, MERGED, PROMPTS, answers, generated, save


@pytest.fixture
def load() -> Callable[..., Any]:
    """Make a Model in this process."""
    return partial(load_model, "huggingface")


@pytest.fixture
def runner() -> Runner:
    return Runner(tiny_model("huggingface"))


@pytest.fixture
def alone() -> dict[str, str]:
    return solo_answers("huggingface")


# ---- transformers' own answers ----


def test_a_greedy_answer_is_the_runtimes_own(runner: Runner, alone: dict[str, str]) -> None:
    """CONTRACT I1"""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(TINY)
    for question in QUESTIONS:
        ids = runner.model.read(asdict(Prompt(messages=[{"role": "user", "content": question}]))).ids
        said = tokenizer.decode(generated(TINY, ids, max_new_tokens=100))

        assert said.removesuffix("<|im_end|>") == alone[question]


@pytest.mark.parametrize("kind", MERGED)
def test_rows_of_many_kinds_of_layers_run_in_one_batch(
    load: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """CONTRACT I1, I2: a late join, a window that moved on and a prefix from the cache change no token."""
    model = load(path=str(save(MERGED[kind](), tmp_path)))
    prompts = [*PROMPTS, [*PROMPTS[1], 7, 9, 11]]
    given, cached = answers(model, prompts)

    assert model._rows.is_merged
    assert given == [generated(tmp_path, ids, max_new_tokens=20) for ids in prompts]
    assert cached == [0, 0, 0, len(PROMPTS[1])]


@pytest.mark.parametrize("kind", APART)
def test_a_state_that_cannot_be_padded_takes_turns(
    load: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    """CONTRACT I1: each answer is the runtime's own, and the one beside another says so."""
    model = load(path=str(save(APART[kind](), tmp_path)))
    given, cached = answers(model, PROMPTS)

    assert not model._rows.is_merged
    assert given == [generated(tmp_path, ids, max_new_tokens=20) for ids in PROMPTS]
    assert cached == [0, 0, 0]
    prompt = asdict(Prompt(messages=[{"role": "user", "content": "hello"}]))
    assert model.read(prompt).unsaid == ()
    model.start(9, [5, 6], prompt, 5)
    assert "cannot be batched" in model.read(prompt).unsaid[0]
    model.cancel(9)


# ---- sampling ----


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.7},
        {"temperature": 1.3, "top_k": 0},
        {"temperature": 1.0, "top_k": 40, "top_p": 0.8},
        {"temperature": 2.0, "top_k": 0, "top_p": 0.5},
        {"temperature": 0.9, "top_k": 0, "min_p": 0.05},
        {"temperature": 0.9, "top_k": 100, "top_p": 0.9, "min_p": 0.02},
    ],
    ids=str,
)
def test_the_shares_are_those_of_transformers_warpers(sampling: dict[str, float]) -> None:
    from abstractcore.engines.worker.huggingface_sampling import settings, shares

    extra = {"min_p": sampling["min_p"]} if "min_p" in sampling else {}
    given = {name: value for name, value in sampling.items() if name != "min_p"}
    defaults = transformers.GenerationConfig()
    how = settings({"sampling": given, "extra": extra}, defaults, torch.device("cpu"))
    logits = torch.randn(512, generator=torch.Generator().manual_seed(5)) * 4
    odds, tokens = shares(logits, how)
    ours = torch.zeros(512).index_put((torch.arange(512) if tokens is None else tokens,), odds / odds.sum())

    warpers = [transformers.TemperatureLogitsWarper(how.temperature)]
    if top_k := given.get("top_k", 50):
        warpers.append(transformers.TopKLogitsWarper(int(top_k)))
    if "top_p" in given:
        warpers.append(transformers.TopPLogitsWarper(given["top_p"]))
    if extra:
        warpers.append(transformers.MinPLogitsWarper(extra["min_p"]))
    theirs = logits[None]
    for warper in warpers:
        theirs = warper(torch.zeros(1, 1, dtype=torch.long), theirs)

    assert torch.allclose(ours, torch.softmax(theirs[0], -1), atol=1e-6)


def test_a_draw_follows_its_shares() -> None:
    from abstractcore.engines.worker.huggingface_sampling import Sampler, settings

    prompt = {"sampling": {"temperature": 1.0, "seed": 3}, "extra": {}}
    cpu = torch.device("cpu")
    sampler = Sampler(prompt, settings(prompt, transformers.GenerationConfig(), cpu), [2], None, cpu)
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    drawn = [int(sampler.pick(logits, [1], 0)) for _ in range(2000)]

    assert [drawn.count(token) / 2000 for token in range(4)] == pytest.approx(
        [0.5, 0.25, 0.15, 0.1], abs=0.04
    )


def test_the_models_own_generation_config_fills_what_is_left_open() -> None:
    from abstractcore.engines.worker.huggingface_sampling import settings

    def made(sampling: dict[str, Any], **own: Any) -> Any:
        defaults = transformers.GenerationConfig(**own)
        return settings({"sampling": sampling, "extra": {}}, defaults, torch.device("cpu"))

    assert made({}).is_greedy
    assert made({}, do_sample=True, temperature=0.6, top_k=20, top_p=0.95) == replace(
        made({"temperature": 0.6, "top_k": 20, "top_p": 0.95})
    )
    assert made({"top_k": 5}, do_sample=True, top_k=20).top_k == 5
    assert made({"temperature": 0}, do_sample=True).is_greedy
    assert not made({"top_p": 0.5}).is_greedy
    assert len(made({}, repetition_penalty=1.05).processors) == 1


def test_penalties_count_the_answer_and_repetition_the_prompt_too() -> None:
    from abstractcore.engines.worker.huggingface_sampling import Sampler, settings

    prompt = {
        "sampling": {"presence_penalty": 1.0, "frequency_penalty": 0.5},
        "extra": {"repetition_penalty": 2.0},
    }
    cpu = torch.device("cpu")
    sampler = Sampler(prompt, settings(prompt, transformers.GenerationConfig(), cpu), [2], None, cpu)
    logits = torch.tensor([4.0, 4.0, 4.0, -4.0])

    assert sampler._shaped(logits.clone(), [0], 0).tolist() == [2.0, 4.0, 4.0, -4.0]
    assert sampler._shaped(logits.clone(), [0, 1, 3, 3], 3).tolist() == [2.0, 0.5, 4.0, -10.0]


# ---- loading ----


def test_a_gguf_file_answers_as_its_folder_does(load: Callable[..., Any], alone: dict[str, str]) -> None:
    needs("gguf")
    needs("accelerate")
    runner = Runner(load(path=str(TINY.with_suffix(".gguf"))))
    numbers = {question: runner.add(question) for question in QUESTIONS}
    runner.run()

    assert {question: runner.texts[number] for question, number in numbers.items()} == alone


def test_a_gguf_model_in_several_files_is_refused(load: Callable[..., Any], tmp_path: Path) -> None:
    """transformers would load the first, and make up what the others hold."""
    needs("gguf")
    first, *_ = split_gguf(TINY.with_suffix(".gguf"), tmp_path / "tiny.gguf")

    with pytest.raises(ValueError, match="several files"):
        load(path=str(first))


def test_weights_that_are_not_there_are_not_made_up(load: Callable[..., Any], tmp_path: Path) -> None:
    """FAULTS 1.11: transformers says so in its log alone."""
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "model.safetensors")
    (gone,) = [name for name in weights if "layers.0" in name and "q_proj" in name]
    del weights[gone]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})

    with pytest.raises(ValueError, match=f"not all there: {gone} missing"):
        load(path=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "dtype"),
    [({"dtype": "bfloat16", "deterministic": False}, "bfloat16"), ({"deterministic": True}, "float32")],
    ids=["asked", "deterministic"],
)
def test_a_dtype_is_what_the_model_computes_in(
    load: Callable[..., Any], tmp_path: Path, options: dict[str, Any], dtype: str
) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    runner = Runner(load(path=str(tmp_path), **options))
    number = runner.add("Count to twenty.")
    runner.step()

    assert runner.model._running[0].number == number
    assert runner.model._rows._cache.layers[0].keys.dtype == getattr(torch, dtype)
    runner.run()
    assert runner.texts[number] == COUNT


@pytest.mark.filterwarnings("ignore")  # torchao announces what it will change
def test_a_quantised_checkpoint_answers(load: Callable[..., Any], tmp_path: Path) -> None:
    """CONTRACT H2: as transformers loads it; in a batch, and with a kept KV cache."""
    needs("torchao")
    from torchao.quantization import Int8WeightOnlyConfig

    how = transformers.TorchAoConfig(Int8WeightOnlyConfig())
    transformers.AutoModelForCausalLM.from_pretrained(TINY, quantization_config=how).save_pretrained(tmp_path)
    for name in HEAD:
        shutil.copy(TINY / name, tmp_path)
    runner = Runner(load(path=str(tmp_path), deterministic=False))
    numbers = [runner.add("Count to twenty.") for _ in range(2)]
    runner.run()
    again = runner.add("Count to twenty.")
    runner.run()

    network = runner.model._rows._forward._model
    assert "torchao" in type(network.model.layers[0].self_attn.q_proj.weight.data).__module__
    assert [runner.texts[number] for number in (*numbers, again)] == [COUNT] * 3
    assert runner.cached[again] > 0


@pytest.mark.filterwarnings("ignore")  # peft asks what transformers calls old
def test_an_adapter_changes_what_a_model_says(
    load: Callable[..., Any], tmp_path: Path, alone: dict[str, str]
) -> None:
    needs("peft")
    import peft

    network = transformers.AutoModelForCausalLM.from_pretrained(TINY)
    shape = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    peft.get_peft_model(network, shape).save_pretrained(tmp_path)
    runner = Runner(load(adapters=(str(tmp_path),)))

    assert runner.answer("Count to twenty.", max_output_tokens=60) != alone["Count to twenty."]

    weights = tmp_path / "adapter_model.safetensors"
    torch.save({}, tmp_path / "adapter_model.bin")
    weights.unlink()
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is missing"):
        load(adapters=(str(tmp_path),))


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self._trace,))


def test_a_folder_with_pickles_alone_is_refused(load: Callable[..., Any], tmp_path: Path) -> None:
    """FAULTS 1.11: no pickle is read, whoever looks at the folder."""
    folder, trace = tmp_path / "model", tmp_path / "trace"
    shutil.copytree(TINY, folder)
    (folder / "model.safetensors").unlink()
    torch.save(Trap(trace), folder / "pytorch_model.bin")
    llm = create_llm("huggingface", str(folder))

    with pytest.raises(OSError, match="safetensors"):
        load(path=str(folder))
    with pytest.raises(ModelLoadError, match="safetensors"):
        llm.load()
    assert not trace.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert trace.exists(), "the trap works"


@pytest.mark.parametrize("model_type", ["llama", "unheard_of"])
def test_code_in_a_folder_is_not_run(load: Callable[..., Any], tmp_path: Path, model_type: str) -> None:
    """FAULTS 1.11: a model that transformers knows loads without it, another is refused."""
    folder, trace = tmp_path / "model", tmp_path / "trace"
    shutil.copytree(TINY, folder)
    (folder / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Config: pass\nclass Evil: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
    told = json.loads((folder / "tokenizer_config.json").read_text())
    told["auto_map"] = {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))

    if model_type == "llama":
        assert Runner(load(path=str(folder))).answer("Count to twenty.") == COUNT
    else:
        with pytest.raises(ValueError, match="trust_remote_code"):
            load(path=str(folder))
    assert not trace.exists()


def test_an_adapter_that_lies_in_a_models_folder_is_refused(load: Callable[..., Any], tmp_path: Path) -> None:
    """Its configuration may name another model, which would be loaded in place of this one."""
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere/else"}')

    with pytest.raises(ValueError, match="adapters="):
        load(path=str(tmp_path))


def test_an_unknown_device_is_refused(load: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        load(device="nonsense")
