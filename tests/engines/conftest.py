"""What the tests of the engines may ask for: the toy runtime, and the tiny model on every engine."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm
from tests.fakes.processes import children
from tests.real.processes import absent

from .toy import Toy

CONVERTED = Path(sys.prefix) / "all-minilm-openvino"
"""Where the Makefile puts an embedding model."""
TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat.gguf"


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def llm(toy: Toy, opened_llms: list[Any]) -> Any:
    """An LLM over the toy."""
    opened_llms.append(toy.llm())
    return opened_llms[-1]


@dataclass(frozen=True)
class Row:
    """One engine: the package that it needs, and the tiny model as it reads it."""

    name: str
    package: str
    model: str
    tells_cached: bool = True
    """Whether its runtime says how much of a prompt came out of the KV cache."""
    is_batched: bool = True
    counted: str = "threads"
    """An option of it that is a number."""


OPENVINO = Row("openvino", "openvino_genai", str(TINY), tells_cached=False)
MLX = Row("mlx", "mlx_lm", str(TINY.with_suffix("")), counted="max_batch")
HUGGINGFACE = Row("huggingface", "torch", str(TINY.with_suffix("")))
LLAMACPP = Row("llamacpp", "llama_cpp", str(TINY), is_batched=False)
ROWS = [OPENVINO, MLX, HUGGINGFACE, pytest.param(LLAMACPP, marks=pytest.mark.slow)]


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def engine(request: pytest.FixtureRequest) -> Row:
    """Each engine in turn. A file about one of them has a fixture of this name of its own."""
    needs(request.param.package)
    return request.param


def needs(package: str) -> None:
    """Skip where a package is missing, unless this is CI, which has them all."""
    if importlib.util.find_spec(package) is None:
        absent(f"{package} is not installed")


@pytest.fixture
def needs_openvino() -> None:
    needs("openvino_genai")


@pytest.fixture
def open_model(opened_llms: list[Any]) -> Callable[..., Any]:
    """Make an LLM of an engine and a model, which the end of the test closes."""

    def make(engine: str, model: str, **options: Any) -> Any:
        llm = create_llm(engine, model, **options)
        opened_llms.append(llm)
        return llm

    return make


@pytest.fixture
def open_tiny(engine: Row, open_model: Callable[..., Any]) -> Callable[..., Any]:
    """Make an LLM of the tiny model with options of its own."""
    return partial(open_model, engine.name, engine.model)


@pytest.fixture(scope="session")
def keepers() -> Iterator[dict[str, Any]]:
    """For each engine and options that a test has used, an LLM that keeps the worker for the others."""
    kept: dict[str, Any] = {}
    yield kept
    for llm in kept.values():
        llm.close()


@pytest.fixture
def open_kept(engine: Row, keepers: dict[str, Any], open_tiny: Callable[..., Any]) -> Callable[..., Any]:
    """Make an LLM of the tiny model whose worker lives on for other tests that ask for the same options."""

    def make(**options: Any) -> Any:
        kept = f"{engine.name} {sorted(options.items())}"
        if kept not in keepers:
            keepers[kept] = create_llm(engine.name, engine.model, **options)
            keepers[kept].load()
        return open_tiny(**options)

    return make


@pytest.fixture
def tiny(open_kept: Callable[..., Any]) -> Any:
    """An LLM of the tiny model; the worker is shared with other tests."""
    return open_kept()


@pytest.fixture
def workers() -> Callable[[], set[int]]:
    """The ids of this process's children, zombies too."""

    if not Path("/proc/self/stat").exists():
        pytest.skip("there is no /proc to see child processes in")
    return children
