"""What OpenVINO alone has: folders, LoRA adapters, a draft model, and its own prefix cache."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore.errors import (
    AbstractCoreError,
    ConfigurationError,
    ModelLoadError,
    StructuredOutputError,
    UnsupportedFeatureError,
)
from tests.fakes.surfaces import Surface

from .conftest import TINY
from .test_every_engine import BY_HEART, COUNT, FOREVER, Person
from .toy import failure_of, scheduler_of
from .waiting import wait_until

FOLDER = TINY.with_name("tiny-llama-chat-openvino")
FIFTY = {"max_output_tokens": 50, "temperature": 0, **FOREVER}

Open = Callable[..., Any]


@pytest.fixture
def open_folder(needs_openvino: None, open_model: Open) -> Open:
    """Make an LLM of the tiny model's OpenVINO folder."""
    return partial(open_model, "openvino", str(FOLDER))


@pytest.fixture
def open_gguf(needs_openvino: None, open_model: Open) -> Open:
    """Make an LLM of the tiny model's GGUF file."""
    return partial(open_model, "openvino", str(TINY))


# ---- a folder ------------------------------------------------------------------------------------


def test_a_folder_answers_as_the_file_does(surface: Surface, open_folder: Open) -> None:
    """CONTRACT H2, I1: as `optimum-cli export openvino` writes it, in one batch."""
    llm = open_folder()
    responses = surface.gather(*(surface.later(llm, prompt) for prompt in BY_HEART))

    assert [response.content for response in responses] == [*BY_HEART.values()]
    prompt = "Make up a person. Reply as JSON with name and age."
    assert surface.generate(llm, prompt, response_model=Person) == Person("Ada", 36)


def test_local_takes_a_folder(surface: Surface, needs_openvino: None, open_model: Open) -> None:
    """CONTRACT A2"""
    llm = open_model("local", str(FOLDER))

    assert surface.generate(llm, "hello").content == BY_HEART["hello"]
    assert scheduler_of(llm).name == "openvino"


@pytest.mark.parametrize("name", ["openvino_model.bin", "openvino_tokenizer.xml"])
def test_a_damaged_folder_is_refused(
    open_model: Open, needs_openvino: None, tmp_path: Path, name: str
) -> None:
    """FAULTS 1.11: in words that name the path."""
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    (folder / name).write_bytes((folder / name).read_bytes()[:1000])
    failure = failure_of(open_model("openvino", str(folder)).load)

    assert isinstance(failure, ModelLoadError)
    assert str(folder) in str(failure)


# ---- LoRA adapters -------------------------------------------------------------------------------

SHAPES = {"self_attn.q_proj": (64, 64), "mlp.down_proj": (128, 64)}
"""The inputs and outputs of what the adapters here change."""


def lora(file: Path, *, seed: int = 0, scale: float = 0.4, rank: int = 2, module: str = "") -> Path:
    """Write a LoRA adapter of random numbers, as PEFT names its tensors."""
    draw = random.Random(seed)
    header: dict[str, Any] = {}
    body = b""
    shapes = {module: (64, 64)} if module else SHAPES
    for layer in range(2):
        for name, (inputs, outputs) in shapes.items():
            for half, shape in (("lora_A", (rank, inputs)), ("lora_B", (outputs, rank))):
                numbers = array("f", (draw.gauss(0, scale) for _ in range(shape[0] * shape[1]))).tobytes()
                key = f"base_model.model.model.layers.{layer}.{name}.{half}.weight"
                ends = [len(body), len(body) + len(numbers)]
                header[key] = {"dtype": "F32", "shape": shape, "data_offsets": ends}
                body += numbers
    words = json.dumps(header).encode()
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(words)) + words + body)
    return file


def peft(folder: Path, **config: Any) -> Path:
    """Write a PEFT adapter's folder."""
    lora(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, **config}))
    return folder


def answers(surface: Surface, llm: Any) -> list[str]:
    return [surface.generate(llm, prompt, **FIFTY).content for prompt in ("hello", COUNT)]


def test_an_adapter_changes_what_is_said(surface: Surface, open_folder: Open, tmp_path: Path) -> None:
    """CONTRACT H2: and is part of what makes two models the same."""
    path = lora(tmp_path / "one.safetensors")
    silent = lora(tmp_path / "silent.safetensors", scale=0.0)
    plain, adapted, again = open_folder(), open_folder(adapters=[path]), open_folder(adapters=str(path))
    said = answers(surface, plain)

    assert answers(surface, adapted) == answers(surface, again) != said
    assert answers(surface, open_folder(adapters=silent)) == said
    assert scheduler_of(adapted) is scheduler_of(again) is not scheduler_of(plain)


def test_two_adapters_add_up(surface: Surface, open_folder: Open, tmp_path: Path) -> None:
    one, other = lora(tmp_path / "one.safetensors"), lora(tmp_path / "other.safetensors", seed=1)
    texts = [answers(surface, open_folder(adapters=paths)) for paths in ([one], [other], [one, other])]

    assert len({json.dumps(text) for text in texts}) == 3


def test_the_factor_of_a_peft_folder_counts(surface: Surface, open_folder: Open, tmp_path: Path) -> None:
    """The weights file does not hold it."""
    one = answers(surface, open_folder(adapters=peft(tmp_path / "one", lora_alpha=2)))
    four = answers(surface, open_folder(adapters=peft(tmp_path / "four", lora_alpha=8)))

    assert one == answers(surface, open_folder(adapters=tmp_path / "one" / "adapter_model.safetensors"))
    assert one == answers(surface, open_folder(adapters=lora(tmp_path / "bare" / "bare.safetensors")))
    assert four != one


def cut_off(folder: Path) -> Path:
    file = lora(folder / "cut.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    return file


def pickled(folder: Path) -> Path:
    file = folder / "adapter_model.bin"
    file.write_bytes(b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.")
    return file


BAD_ADAPTERS = {
    "missing": (lambda folder: folder / "missing.safetensors", "No such file"),
    "cut off": (cut_off, "cut off"),
    "a pickle": (pickled, "no safetensors file"),
    "for another model": (
        lambda folder: lora(folder / "far.safetensors", module="attn.c_attn"),
        "attn.c_attn",
    ),
    "with DoRA": (lambda folder: peft(folder / "dora", lora_alpha=2, use_dora=True), "use_dora"),
}


@pytest.mark.parametrize("kind", BAD_ADAPTERS)
def test_an_adapter_that_does_not_fit_is_refused(
    surface: Surface, open_folder: Open, tmp_path: Path, kind: str
) -> None:
    """FAULTS 1.11: the runtime itself would leave it out, or read past its end."""
    make, word = BAD_ADAPTERS[kind]
    failure = failure_of(lambda: surface.call(open_folder(adapters=make(tmp_path)), "load"))

    assert isinstance(failure, ModelLoadError)
    assert word in str(failure)


def test_a_gguf_file_takes_no_adapters(surface: Surface, open_gguf: Open, tmp_path: Path) -> None:
    """The runtime would leave them out without a word."""
    llm = open_gguf(adapters=lora(tmp_path / "one.safetensors"))
    failure = failure_of(lambda: surface.call(llm, "load"))

    assert isinstance(failure, ConfigurationError)
    assert "GGUF" in str(failure)


# ---- a draft model -------------------------------------------------------------------------------


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A draft model that guesses wrong: the same one, with other weights."""
    folder = shutil.copytree(FOLDER, tmp_path / "stranger")
    where = re.search(r'offset="(\d+)"[^>]* size="65536"', (folder / "openvino_model.xml").read_text())
    assert where is not None, "there is no matrix of 512 tokens by 64 numbers of two bytes"
    weights = bytearray((folder / "openvino_model.bin").read_bytes())
    begin = int(where[1])
    table = [weights[at : at + 128] for at in range(begin, begin + 65536, 128)]
    weights[begin : begin + 65536] = b"".join(reversed(table))  # each token's row is another's
    (folder / "openvino_model.bin").write_bytes(weights)
    return folder


def batch(surface: Surface, llm: Any, **options: Any) -> list[str]:
    calls = [surface.later(llm, prompt, **FIFTY, **options) for prompt in BY_HEART]
    return [response.content for response in surface.gather(*calls, timeout=30)]


def test_a_draft_model_changes_no_text_and_saves_steps(surface: Surface, open_gguf: Open) -> None:
    """CONTRACT I1: greedy, alone and in a batch."""
    plain, drafted = open_gguf(deterministic=True), open_gguf(deterministic=True, draft_model=FOLDER)
    texts = batch(surface, plain)

    assert batch(surface, drafted) == texts
    before = scheduler_of(drafted).busy().steps
    assert surface.generate(drafted, COUNT, **FIFTY).content == texts[list(BY_HEART).index(COUNT)]
    assert scheduler_of(drafted).busy().steps - before < 25


def test_a_draft_model_that_guesses_wrong_changes_no_text(
    surface: Surface, open_folder: Open, stranger: Path
) -> None:
    plain, drafted = open_folder(deterministic=True), open_folder(deterministic=True, draft_model=stranger)

    assert batch(surface, drafted) == batch(surface, plain)
    assert batch(surface, drafted, frequency_penalty=0.5) == batch(surface, plain, frequency_penalty=0.5)
    assert scheduler_of(drafted).busy().steps > 100  # or the stranger would be none


def test_a_request_says_how_far_the_draft_model_guesses(surface: Surface, open_gguf: Open) -> None:
    llm = open_gguf(draft_model=FOLDER)

    def steps(guesses: int) -> int:
        before = scheduler_of(llm).busy().steps
        response = surface.generate(llm, COUNT, extra={"num_assistant_tokens": guesses})
        assert response.content == BY_HEART[COUNT]
        return int(scheduler_of(llm).busy().steps - before)

    assert steps(8) < steps(1)


def test_with_a_draft_model_a_cancel_frees_the_place(surface: Surface, open_gguf: Open) -> None:
    """FAULTS 1.11: its neighbours go on, and new ones come in."""
    llm = open_gguf(draft_model=FOLDER, max_batch=3)
    neighbour = surface.start(surface.later(llm, COUNT))
    surface.take(llm, 2, COUNT, **FOREVER)
    late = surface.start(surface.later(llm, "hello"))

    assert neighbour.result(10).content == BY_HEART[COUNT]
    assert late.result(10).content == BY_HEART["hello"]
    wait_until(lambda: scheduler_of(llm).busy().running == 0)
    assert batch(surface, llm) == batch(surface, llm)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"temperature": 0.7}, UnsupportedFeatureError),
        ({"top_p": 0.9}, UnsupportedFeatureError),
        ({"top_k": 1}, UnsupportedFeatureError),
        ({"extra": {"num_assistant_tokens": 0}}, ConfigurationError),
        ({"extra": {"num_assistant_tokens": "four"}}, ConfigurationError),
    ],
)
def test_what_a_draft_model_cannot_is_refused_alone(
    surface: Surface, open_gguf: Open, options: dict[str, Any], error: type[AbstractCoreError]
) -> None:
    """CONTRACT I1: in the runtime each of these would end the whole batch, or give the draft model's text."""
    llm = open_gguf(draft_model=FOLDER)
    neighbour = surface.start(surface.later(llm, COUNT))
    failure = failure_of(lambda: surface.generate(llm, "hello", **options))

    assert isinstance(failure, error)
    assert neighbour.result(10).content == BY_HEART[COUNT]


def test_a_schema_holds_with_a_draft_model(surface: Surface, open_gguf: Open, stranger: Path) -> None:
    """CONTRACT B1"""
    prompt = "Make up a person. Reply as JSON with name and age."
    for draft in (FOLDER, stranger):
        llm = open_gguf(draft_model=draft, deterministic=True)
        assert surface.generate(llm, prompt, response_model=Person) == Person("Ada", 36)
        failure = failure_of(
            partial(surface.generate, llm, "hello", response_model=Person, max_output_tokens=6)
        )
        assert isinstance(failure, StructuredOutputError)
        assert failure.partial is not None
        assert failure.partial.content.lstrip().startswith("{")


@pytest.mark.parametrize("draft", [TINY, TINY.with_suffix(""), TINY.with_name("nowhere")])
def test_a_draft_model_is_an_openvino_folder(surface: Surface, open_gguf: Open, draft: Path) -> None:
    """FAULTS 1.11: the error names the draft's path, since the model itself is good."""
    failure = failure_of(lambda: surface.call(open_gguf(draft_model=draft), "load"))

    assert isinstance(failure, ModelLoadError)
    assert str(draft) in str(failure)


def test_adapters_and_a_draft_model_go_together(surface: Surface, open_folder: Open, tmp_path: Path) -> None:
    options = {"adapters": lora(tmp_path / "one.safetensors"), "deterministic": True}

    assert batch(surface, open_folder(**options, draft_model=FOLDER)) == batch(
        surface, open_folder(**options)
    )


# ---- memory --------------------------------------------------------------------------------------

FULL = """
import json, sys
import openvino_genai
from abstractcore.engines.worker import openvino, openvino_load
from abstractcore.engines.worker.batch import Batch

def few_blocks(options, device, properties):
    config = openvino_genai.SchedulerConfig()
    config.num_kv_blocks, config.cache_size = int(sys.argv[2]), 0
    config.enable_prefix_caching = options["prefix_cache"]
    return openvino_genai.ContinuousBatchingPipeline(options["path"], config, device, properties)

openvino_load._pipeline = few_blocks
options = {"path": sys.argv[1], "context_length": 2048, "device": None, "threads": None}
options |= {"deterministic": True, "prefix_cache": sys.argv[3] == "True", "adapters": (), "draft_model": None}
batch = Batch(openvino.Model(options))
texts, errors = {}, {}

def ask(number, text, sampling, most=None, **extra):
    message = {"role": "user", "content": text}
    asked = {"tools": (), "template": {}, "schema": None, "stop": (), "max_output_tokens": most}
    hear(batch.add(number, {**asked, "messages": [message], "sampling": sampling, "extra": extra}))

def hear(events):
    for kind, number, *told in events:
        if kind == "delta":
            texts[number] = texts.get(number, "") + told[0]
        elif kind == "failed":
            errors[number] = told[0]

ask(1, "hello", {}, ignore_eos=True)
ask(2, "Count to twenty.", {})
ask(3, "hello", {"temperature": 5.0, "seed": 7}, 60, ignore_eos=True)
ask(4, "hello " * 300, {})
ask(5, "hello", {})
for _ in range(600):
    hear(batch.step())
print(json.dumps([texts, errors]))
"""


@pytest.mark.parametrize("prefix_cache", [True, False])
def test_when_the_cache_is_full_only_those_fail_that_cannot_fit(
    needs_openvino: None, prefix_cache: bool
) -> None:
    """FAULTS 1.11: of five calls, one never ends and one is longer than the whole cache.

    The runtime drops all five at once. What it dropped begins again and goes on where it was.
    """

    def run(blocks: int) -> tuple[dict[str, str], dict[str, str]]:
        command = [sys.executable, "-c", FULL, str(TINY), str(blocks), str(prefix_cache)]
        told = subprocess.run(command, capture_output=True, check=True, text=True, timeout=50).stdout
        texts, errors = json.loads(told.splitlines()[-1])
        return texts, errors

    texts, errors = run(4)
    roomy, none = run(400)

    assert errors == {"1": "OutOfMemoryError", "4": "OutOfMemoryError"}
    assert none == {}
    assert {number: texts[number] for number in "235"} == {number: roomy[number] for number in "235"}
    assert texts["2"] == BY_HEART[COUNT]
    assert roomy["1"].startswith(texts["1"])


# ---- the prefix cache ----------------------------------------------------------------------------


def conversation(surface: Surface, llm: Any) -> list[str]:
    """Five turns over a few hundred tokens; what was answered."""
    messages: list[dict[str, Any]] = []
    said: list[str] = []
    for number in range(5):
        messages.append({"role": "user", "content": f"{number} " + "Hello there my dear friend. " * 6})
        said.append(surface.generate(llm, messages=messages, **FIFTY).content)
        messages.append({"role": "assistant", "content": said[-1]})
    return said


def test_the_prefix_cache_changes_no_text(surface: Surface, open_gguf: Open) -> None:
    """CONTRACT I2: with `deterministic=True`."""
    kept, not_kept = open_gguf(deterministic=True), open_gguf(deterministic=True, prefix_cache=False)
    said = conversation(surface, kept)

    assert conversation(surface, kept) == said  # once more, now all of it out of the cache
    assert conversation(surface, not_kept) == said


def test_the_next_turn_reads_its_new_tokens_only(surface: Surface, open_gguf: Open) -> None:
    """CONTRACT I2: counted in steps, each of which reads at most 256 tokens of a prompt."""

    def steps_to_read(llm: Any, text: str) -> int:
        before = scheduler_of(llm).busy().steps
        response = surface.generate(llm, text, max_output_tokens=1)
        assert response.usage.input_tokens > 1024
        assert response.usage.cached_tokens is None  # the runtime does not tell
        return int(scheduler_of(llm).busy().steps - before)

    long = f"{surface} " + "The quick brown fox jumps over the lazy dog. " * 110  # no other test has read it
    kept, not_kept = open_gguf(), open_gguf(prefix_cache=False)

    assert [steps_to_read(not_kept, long + end) for end in ("", " So?")] == [steps_to_read(kept, long)] * 2
    assert steps_to_read(kept, long + " So?") == 1
