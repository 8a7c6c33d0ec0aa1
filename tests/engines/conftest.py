"""What the tests of the engines may ask for: the toy runtime, and the tiny model on OpenVINO."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm

from .toy import Toy

TINY = Path(__file__).parent.parent / "models" / "tiny-llama-chat.gguf"


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def llm(toy: Toy, opened_llms: list[Any]) -> Any:
    """An LLM over the toy."""
    opened_llms.append(toy.llm())
    return opened_llms[-1]


@pytest.fixture
def needs_openvino() -> None:
    if importlib.util.find_spec("openvino_genai") is None:
        pytest.skip("openvino_genai is not installed")


@pytest.fixture
def open_tiny(needs_openvino: None, opened_llms: list[Any]) -> Callable[..., Any]:
    """Make an LLM of the tiny model with options of its own."""

    def make(**options: Any) -> Any:
        llm = create_llm("openvino", str(TINY), **options)
        opened_llms.append(llm)
        return llm

    return make


@pytest.fixture
def open_model(opened_llms: list[Any]) -> Callable[..., Any]:
    """Make an LLM of an engine and a model, which the end of the test closes."""

    def make(engine: str, model: str, **options: Any) -> Any:
        llm = create_llm(engine, model, **options)
        opened_llms.append(llm)
        return llm

    return make


@pytest.fixture(scope="session")
def tiny_worker() -> Iterator[None]:
    """Keep one worker with the tiny model for all tests that take its usual options."""
    if importlib.util.find_spec("openvino_genai") is None:
        pytest.skip("openvino_genai is not installed")
    with create_llm("openvino", str(TINY)) as keeper:
        keeper.load()
        yield


@pytest.fixture
def tiny(tiny_worker: None, open_tiny: Callable[..., Any]) -> Any:
    """An LLM of the tiny model; the worker is shared with other tests."""
    return open_tiny()


@pytest.fixture
def workers() -> Callable[[], set[int]]:
    """The ids of this process's children, zombies too."""

    def of_this_process() -> set[int]:
        me = os.getpid()
        tasks = Path(f"/proc/{me}/task")
        if not tasks.exists():
            pytest.skip("there is no /proc to see child processes in")
        children: set[int] = set()
        for task in tasks.iterdir():
            children |= {int(pid) for pid in (task / "children").read_text().split()}
        return children

    return of_this_process
