"""An architecture that a runtime does not know: told before the runtime is imported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.worker import architectures
from abstractcore.engines.worker.architectures import check_architecture
from abstractcore.errors import ModelLoadError
from tests.fakes.surfaces import Surface

from .conftest import TINY, needs
from .runner import PACKAGES
from .toy import failure_of

ENGINES = ("mlx", "huggingface")


def folder_of(tmp_path: Path, model_type: object, **more: object) -> str:
    shutil.copytree(TINY.with_suffix(""), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "model_type": model_type, **more}))
    return str(tmp_path / "model")


def gguf_of(tmp_path: Path, architecture: bytes) -> str:
    path = tmp_path / "model.gguf"
    path.write_bytes(TINY.read_bytes().replace(b"llama", architecture))
    return str(path)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unknown_architecture_is_told_before_the_runtime_starts(
    surface: Surface, engine: str, open_model: Callable[..., Any], tmp_path: Path
) -> None:
    """FAULTS 1.11: within two seconds, which torch alone takes to be imported."""
    needs(PACKAGES[engine])
    path = folder_of(tmp_path, "abacus", auto_map={"AutoConfig": "evil.Config"})
    stages: list[str] = []
    failure = failure_of(lambda: surface.call(open_model(engine, path), "load", stages.append))

    assert isinstance(failure, ModelLoadError)
    assert path in str(failure)
    assert "knows no architecture 'abacus'" in str(failure)
    assert "never run" in str(failure)
    assert stages == []


def test_an_unknown_gguf_architecture_is_told_so_too(open_model: Callable[..., Any], tmp_path: Path) -> None:
    """FAULTS 1.11"""
    needs("torch")
    failure = failure_of(lambda: open_model("huggingface", gguf_of(tmp_path, b"lxama")).load())

    assert isinstance(failure, ModelLoadError)
    assert "knows no architecture 'lxama'" in str(failure)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("known", ["llama", "mistral", "qwen3_next", "gemma3_text", "phi3"])
def test_what_a_runtime_knows_passes(engine: str, known: str, tmp_path: Path) -> None:
    needs(PACKAGES[engine])

    check_architecture(engine, folder_of(tmp_path, known))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("odd", [None, 7, ["llama"]])
def test_a_config_that_says_nothing_is_the_runtimes_to_judge(
    engine: str, odd: object, tmp_path: Path
) -> None:
    check_architecture(engine, folder_of(tmp_path, odd))


@pytest.mark.parametrize("engine", ENGINES)
def test_tables_that_have_moved_refuse_nothing(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later release may lay them elsewhere."""
    monkeypatch.setattr(architectures, "_FOLDERS", {engine: ("json", ("*.py",))})

    check_architecture(engine, folder_of(tmp_path, "abacus"))
