"""Models named by their id on the hub: out of the cache without any network, else fetched, and never code."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.engines.bar import TerminalBar
from abstractcore.engines.model_files import is_hub_id
from abstractcore.engines.runtime import Stage
from abstractcore.errors import ModelLoadError, UnknownProviderError
from abstractcore.models import list_models
from tests.fakes.surfaces import Surface
from tests.real.processes import absent

from .conftest import CONVERTED, TINY, needs
from .fake_hub import COMMIT, FakeHub
from .gguf_parts import split_gguf
from .toy import failure_of

TINY_FOLDER = TINY.with_suffix("")
NAME = "owner/tiny"
HELLO = "Hello! How can I help you today?"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that nobody can reach."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return cache


def put_into(cache: Path, name: str, *files: Path) -> None:
    """Lay files into the cache as huggingface_hub does."""
    entry = cache / f"models--{name.replace('/', '--')}"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text(COMMIT)
    snapshot = entry / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file in files:
        shutil.copy(file, snapshot)


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that has the tiny model, with code and a pickle beside its weights."""
    folder = tmp_path / "on the hub"
    shutil.copytree(TINY_FOLDER, folder)
    (folder / "modeling_tiny.py").write_text("raise SystemExit('remote code ran')")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    hub = FakeHub(NAME, folder)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    yield hub
    hub.close()


@pytest.fixture(params=["mlx", "huggingface"])
def of_folders(request: pytest.FixtureRequest) -> str:
    """An engine that reads folders of safetensors weights."""
    package = {"mlx": "mlx_lm", "huggingface": "torch"}[request.param]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    return request.param


def test_a_model_in_the_cache_needs_no_network(
    surface: Surface, of_folders: str, cache: Path, open_model: Callable[..., Any]
) -> None:
    """CONTRACT H2: the id is enough."""
    put_into(cache, NAME, *TINY_FOLDER.iterdir())

    assert surface.generate(open_model(of_folders, NAME), "hello").content == HELLO


def test_a_gguf_in_the_cache_needs_no_network(
    surface: Surface, needs_openvino: None, cache: Path, open_model: Callable[..., Any]
) -> None:
    """CONTRACT H2: the variant names one file of several."""
    put_into(cache, NAME, TINY)
    path = next(cache.rglob("*.gguf"))
    path.rename(path.with_name("tiny-F16.gguf"))
    path.with_name("tiny-Q2_K.gguf").write_bytes(b"broken")

    assert surface.generate(open_model("openvino", f"{NAME}:f16"), "hello").content == HELLO
    failure = failure_of(lambda: surface.generate(open_model("openvino", f"{NAME}:q8_0"), "hello"))
    assert isinstance(failure, ModelLoadError)


def test_a_model_of_the_hub_is_fetched_without_its_code(
    surface: Surface, of_folders: str, hub: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    """FAULTS 1.11: the user named it, so the network is used; code and pickles stay where they are."""
    stages: list[Stage] = []
    llm = open_model(of_folders, NAME)
    surface.call(llm, "load", stages.append)

    assert surface.generate(llm, "hello").content == HELLO
    assert any("asking the hub" in stage for stage in stages)
    fetched = {file.name for file in cache.rglob("*") if file.is_file()}
    assert "model.safetensors" in fetched
    assert not {"modeling_tiny.py", "pytorch_model.bin"} & fetched
    asked = len(hub.asked)
    surface.close(llm)
    assert surface.generate(open_model(of_folders, NAME), "hello").content == HELLO
    assert hub.asked[asked:] == []


def test_an_embedding_model_is_fetched_with_the_steps_after_it(
    surface: Surface, hub: FakeHub, cache: Path, open_model: Callable[..., Any], tmp_path: Path
) -> None:
    """The second time it comes out of the cache, though it has no detokenizer."""
    needs("openvino_genai")
    if not CONVERTED.is_dir():
        absent("all-MiniLM-L6-v2 is not here: make .venv/.embeddings")
    shutil.rmtree(hub.folder)
    shutil.copytree(CONVERTED, hub.folder)

    vectors = surface.call(open_model("openvino", NAME), "embed", ["a", "b"])

    assert vectors.dimensions == 384
    asked = len(hub.asked)
    assert surface.call(open_model("openvino", NAME, threads=1), "embed", "a").dimensions == 384
    assert hub.asked[asked:] == []


def fetched_from(cache: Path) -> set[str]:
    return {file.relative_to(file.parents[-1]).name for file in cache.rglob("*") if file.is_symlink()}


def test_weights_that_no_engine_loads_are_not_fetched(
    hub: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    """CONTRACT H2: some repositories have the same weights two and three times."""
    needs("mlx_lm")
    (hub.folder / "original").mkdir()
    for name in ("consolidated.safetensors", "original/other.safetensors", "model.fp16.safetensors"):
        shutil.copy(hub.folder / "model.safetensors", hub.folder / name)
    (hub.folder / "original" / "params.json").write_text("{}")

    assert open_model("mlx", NAME).generate("hello").content == HELLO
    assert {name for name in fetched_from(cache) if name.endswith(".safetensors")} == {"model.safetensors"}
    assert "params.json" not in fetched_from(cache)


def test_a_tokenizer_that_a_cut_off_download_lacks_is_fetched(
    hub: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    """CONTRACT H2"""
    needs("mlx_lm")
    put_into(cache, NAME, *(file for file in TINY_FOLDER.iterdir() if file.name != "tokenizer.json"))

    assert open_model("mlx", NAME).generate("hello").content == HELLO


@pytest.fixture
def many_ggufs(hub: FakeHub) -> FakeHub:
    """The hub's model in three GGUF files beside others that are none of it, and beside safetensors."""
    needs("gguf")
    split_gguf(TINY, hub.folder / "parts" / "tiny-F16.gguf")
    for name in ("tiny-BF16.gguf", "mmproj-F16.gguf", "tiny-Q2_K.gguf"):
        (hub.folder / name).write_bytes(b"broken")
    return hub


@pytest.mark.parametrize("engine", ["openvino", pytest.param("llamacpp", marks=pytest.mark.slow)])
def test_all_parts_of_the_chosen_file_are_fetched(
    engine: str, many_ggufs: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    """CONTRACT H2: the variant is a whole word, and means GGUF whatever else is there."""
    needs({"openvino": "openvino_genai", "llamacpp": "llama_cpp"}[engine])
    parts = {f"tiny-F16-0000{number}-of-00003.gguf" for number in (1, 2, 3)}

    with open_model(engine, f"{NAME}:f16") as llm:
        assert llm.generate("hello").content == HELLO
    assert fetched_from(cache) == parts
    lost = next(cache.rglob("tiny-F16-00002-of-00003.gguf"))
    lost.resolve().unlink()
    lost.unlink()
    assert open_model(engine, f"{NAME}:F16").generate("hello").content == HELLO
    assert fetched_from(cache) == parts


def test_a_variant_is_no_folder_of_safetensors(
    hub: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    needs("mlx_lm")
    failure = failure_of(lambda: open_model("mlx", f"{NAME}:Q4_K_M").load())

    assert isinstance(failure, ModelLoadError)
    assert "Q4_K_M" in str(failure)
    assert not fetched_from(cache)


def test_a_variant_of_a_repository_with_both_is_the_gguf_file(
    hub: FakeHub, cache: Path, open_model: Callable[..., Any]
) -> None:
    needs("torch")
    needs("gguf")
    shutil.copy(TINY, hub.folder / "tiny.F16.gguf")

    assert open_model("huggingface", f"{NAME}:F16").generate("hello").content == HELLO
    assert fetched_from(cache) == {"tiny.F16.gguf"}


def test_an_id_that_nobody_has_is_an_error_that_names_it(
    surface: Surface, of_folders: str, cache: Path, open_model: Callable[..., Any]
) -> None:
    """FAULTS 1.11"""
    failure = failure_of(lambda: surface.generate(open_model(of_folders, "owner/nothing"), "hello"))

    assert isinstance(failure, ModelLoadError)
    assert "owner/nothing" in str(failure)
    assert "hub" in str(failure)


def test_a_hub_that_has_pickles_only_gives_none(
    surface: Surface, of_folders: str, hub: FakeHub, open_model: Callable[..., Any]
) -> None:
    """FAULTS 1.11: safetensors alone."""
    (hub.folder / "model.safetensors").unlink()
    failure = failure_of(lambda: surface.generate(open_model(of_folders, NAME), "hello"))

    assert isinstance(failure, ModelLoadError)
    assert "safetensors" in str(failure)


def test_the_cache_is_listed_without_any_network(cache: Path) -> None:
    """CONTRACT H2: each engine lists what it can load."""
    put_into(cache, NAME, *TINY_FOLDER.iterdir())
    put_into(cache, "owner/other--name", TINY)
    put_into(cache, "owner/pickles", TINY_FOLDER / "config.json")

    assert [name for name in list_models("mlx") if name.startswith("owner/")] == [NAME]
    assert [name for name in list_models("llamacpp") if name.startswith("owner/")] == ["owner/other--name"]
    assert {NAME, "owner/other--name"} <= set(list_models("huggingface"))


def test_local_takes_an_engine_that_reads_what_the_cache_has(cache: Path, of_folders: str) -> None:
    """CONTRACT A2: an id alone does not say which weights it stands for."""
    put_into(cache, NAME, *TINY_FOLDER.iterdir())

    with create_llm("local", NAME) as llm:
        assert llm.provider in ("mlx", "huggingface")


def test_local_takes_an_engine_of_gguf_files_for_one(
    cache: Path, needs_openvino: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CONTRACT A2: also on a Mac, where folders are MLX's; a variant says it before anything is there."""
    put_into(cache, NAME, TINY)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")

    for name in (NAME, f"{NAME}:Q4_K_M", "owner/elsewhere:Q4_K_M"):
        with create_llm("local", name) as llm:
            assert llm.provider == "openvino"


def test_a_service_is_no_engine() -> None:
    with pytest.raises(UnknownProviderError, match="openvino"):
        list_models("openai")


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        ("a/b", True),
        ("a/b:Q4_K_M", True),
        ("./a/b", False),
        ("../b", False),
        ("/a/b", False),
        ("b", False),
        ("models/typo.gguf", False),
    ],
)
def test_what_an_id_looks_like(name: str, is_id: bool) -> None:
    assert is_hub_id(name) is is_id


def test_a_path_that_is_there_is_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert not is_hub_id("a/b")
    assert not is_hub_id("a/mistyped")


class Screen:
    """A terminal, or something that is none."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self.written = ""

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        raise OSError


def test_a_bar_shows_how_far_a_load_is() -> None:
    screen = Screen(is_terminal=True)
    bar = TerminalBar(screen)  # type: ignore[arg-type]
    bar(Stage.of("downloading", 0.5))
    bar(Stage.of("ready", 1.0))

    assert f"[{'#' * 12}{'.' * 12}] 50%" in screen.written
    assert screen.written.endswith("ready\n")


def test_nothing_is_drawn_where_there_is_no_terminal() -> None:
    screen = Screen(is_terminal=False)
    TerminalBar(screen)(Stage.of("downloading", 0.5))  # type: ignore[arg-type]

    assert screen.written == ""
