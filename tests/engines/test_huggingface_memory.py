"""What HuggingFace's rows hold: the budget, jobs that wait for room, and a device without memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.runtime import Prompt

from .runner import COUNT, QUESTIONS, Runner, load_model, solo_answers, tiny_model

pytest.importorskip("torch", reason="the extra huggingface is not installed")

import torch

from .huggingface_models import APART, PROMPTS, answers, generated, save


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


def test_a_cancelled_row_is_gone_after_a_step(runner: Runner) -> None:
    """CONTRACT I1: the batch is narrower, and a batch without rows holds nothing."""
    kept, gone = (runner.add("Count to twenty.") for _ in range(2))
    while not runner.texts[gone]:
        runner.step()
    layer = runner.model._rows._cache.layers[0]
    assert layer.keys.shape[0] == 2
    runner.cancel(gone)
    length = len(runner.texts[gone])
    runner.step()
    layer = runner.model._rows._cache.layers[0]
    assert layer.keys.shape[0] == 1
    runner.run()

    assert (runner.texts[kept], len(runner.texts[gone])) == (COUNT, length)
    assert not runner.model._rows._cache.layers


def test_an_idle_model_holds_what_its_store_does_and_no_more(load: Callable[..., Any]) -> None:
    """CONTRACT I: the bytes of the store are those of its tensors."""
    runner = Runner(load())
    for question in QUESTIONS:
        runner.answer(question)
    store = runner.model._prefixes

    held = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors(store)}
    assert sum(held.values()) == store.size_bytes > 0


def tensors(store: Any) -> list[Any]:
    return [one for entry in store._entries for pair in entry.cache.layers for one in pair]


TOKEN_GB = 512 / 2**30
"""What a token of the tiny model takes."""


def test_rows_that_do_not_fit_wait_and_lose_nothing(load: Callable[..., Any]) -> None:
    """CONTRACT I: the youngest makes room, is read again later, and its text is the same."""
    runner = Runner(load(cache_gb=150 * TOKEN_GB))
    numbers = [runner.add("Count to twenty.") for _ in range(4)]
    widths: list[int] = []
    while len(runner.ends) < len(numbers):
        runner.step()
        widths.append(len(runner.model._running))
        assert runner.model._prefixes.size_bytes + runner.model._size_bytes() <= 154 * 512

    assert max(widths) > 1
    assert [runner.texts[number] for number in numbers] == [COUNT] * 4


def test_one_row_that_fills_the_whole_cache_ends(load: Callable[..., Any]) -> None:
    """FAULTS 1.11: OutOfMemoryError for that request; the next one is answered."""
    runner = Runner(load(cache_gb=100 * TOKEN_GB))
    endless = runner.add("Count to twenty.", extra={"ignore_eos": True})
    runner.run()
    long = runner.add("word " * 600)
    runner.run()

    assert (runner.ends[endless], runner.ends[long]) == ("OutOfMemoryError",) * 2
    assert runner.answer("hello").startswith("Hello!")


def test_the_first_prompt_of_a_model_is_bounded_like_any_other(load: Callable[..., Any]) -> None:
    """FAULTS 1.11: OutOfMemoryError before any of it is read."""
    runner = Runner(load(cache_gb=100 * TOKEN_GB))
    read: list[int] = []
    runner.model._rows.read = lambda sequence, ids: read.extend(ids)
    long = runner.add("word " * 600)
    runner.run()

    assert runner.ends == {long: "OutOfMemoryError"}
    assert not read


@pytest.mark.parametrize("kind", ["convolutions and attention", "no positions"])
def test_rows_that_take_turns_are_bounded_too(load: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    """CONTRACT I, FAULTS 1.11: they wait for each other and lose nothing; one that never fits ends."""
    folder = save(APART[kind](), tmp_path)
    whole = load(path=str(folder))
    state, token = whole._rows.row_bytes, whole._rows.token_bytes
    model = load(path=str(folder), cache_gb=(3 * state + 52 * token) / 2**30)
    widths: list[int] = []
    waited: list[int] = []
    step = model.step

    def counted() -> Any:
        outputs = step()
        widths.append(len(model._running))
        waited.append(len(model._waiting))
        assert model._size_bytes() <= model._budget_bytes + 3 * token
        return outputs

    model.step = counted
    given, _ = answers(model, PROMPTS)
    model.start(9, [5] * 500, asdict(Prompt(messages=[])), 5)
    outputs = model.step()

    assert max(widths) > 1
    assert max(waited) > 0
    assert given == [generated(tmp_path, ids, max_new_tokens=20) for ids in PROMPTS]
    assert [output.refused.kind for output in outputs] == ["OutOfMemoryError"]


def test_a_recurrent_state_counts_for_each_row(load: Callable[..., Any], tmp_path: Path) -> None:
    """CONTRACT I: it is as large for one token as for a thousand."""
    model = load(path=str(save(APART["recurrent"](), tmp_path)))

    assert model._rows.row_bytes > 0
    assert model._rows.token_bytes == 0


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "OutOfMemoryError"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), "OutOfMemoryError"),
        (IndexError("index out of range in self"), "EngineError"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else one,
)
def test_a_prompt_that_cannot_be_read_fails_alone(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, failure: Exception, kind: str
) -> None:
    """CONTRACT I1; FAULTS 1.11"""
    rows = runner.model._rows
    read = rows.read

    def fails(sequence: Any, ids: Sequence[int]) -> Any:
        if len(ids) > 50:
            raise failure
        return read(sequence, ids)

    good = runner.add("Count to twenty.")
    runner.step()
    monkeypatch.setattr(rows, "read", fails)
    failed = runner.add("word " * 60)
    runner.run()

    assert runner.ends == {good: "stop", failed: kind}
    assert runner.texts[good] == COUNT


def test_no_memory_for_a_step_ends_its_rows_and_the_model_goes_on(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 1.11: on a CPU it is a RuntimeError with these words."""

    def fails(tokens: Sequence[int]) -> Any:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory")

    numbers = [runner.add(question) for question in QUESTIONS[:2]]
    runner.step()
    with monkeypatch.context() as patch:
        patch.setattr(runner.model._rows, "decode", fails)
        runner.step()

    assert [runner.ends[number] for number in numbers] == ["OutOfMemoryError"] * 2
    assert runner.answer("Count to twenty.") == COUNT
