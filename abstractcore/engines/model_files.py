"""What stands at a model's path, looked at before anything native opens it.

Knows the files of GGUF, OpenVINO and safetensors models. Reads no code and fetches nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstractcore.engines.gguf import read_gguf
from abstractcore.engines.parts import parts_of
from abstractcore.engines.safetensors import check_weights
from abstractcore.errors import ModelLoadError

_OPENVINO_FILES = (
    "openvino_model.xml",
    "openvino_model.bin",
    "openvino_tokenizer.xml",
    "openvino_tokenizer.bin",
    "openvino_detokenizer.xml",
    "openvino_detokenizer.bin",
)
_VISION_FILES = (
    "openvino_language_model.xml",
    "openvino_language_model.bin",
    "openvino_vision_embeddings_model.xml",
    "openvino_text_embeddings_model.xml",
    "preprocessor_config.json",
    *_OPENVINO_FILES[2:],
)
_ENDINGS = (".gguf", ".safetensors", ".xml", ".bin")
_CONFIG_BYTES = 1024 * 1024
_HUB_ID = re.compile(r"(?!\.)[\w.-]+/[\w.-]+(:[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model that is there: the longest prompt and answer together, where it says so, and its size."""

    path: str
    context_length: int | None
    size_bytes: int


def format_at(path: str) -> str | None:
    """Tell by the files' names what stands at *path*: one of the formats of `look_at`, None for none."""
    place = Path(path)
    if place.is_file():
        return "gguf"
    if (place / _OPENVINO_FILES[0]).exists():
        return "openvino"
    if (place / _VISION_FILES[0]).exists():
        return "openvino_vision"
    if any(place.glob("*.safetensors")):
        return "safetensors"
    return None


def format_of(name: str) -> str | None:
    """Tell the format of a path or of an id on the hub; None where it cannot be told without the network."""
    if not is_hub_id(name):
        return format_at(name)
    repository, _, variant = name.partition(":")
    if variant:
        return "gguf"
    folder = cached_snapshot(repository)
    if folder is None:
        return None
    return format_at(str(folder)) or ("gguf" if any(folder.rglob("*.gguf")) else None)


def is_hub_id(name: str) -> bool:
    """Tell whether *name* is `owner/name` or `owner/name:variant`, and neither a path nor one mistyped."""
    if _HUB_ID.fullmatch(name) is None or name.endswith(_ENDINGS):
        return False
    return not (os.path.exists(name) or os.path.isdir(name.partition("/")[0]))


def look_at(path: str, formats: Collection[str], *, embeds: bool = False) -> ModelFiles:
    """Check the model at *path*, which must have one of *formats*. Raises ModelLoadError, naming it.

    One that *embeds* writes no text, and so needs no detokenizer.
    """
    place = Path(path)
    if not place.exists():
        raise ModelLoadError(f"there is no model at {path}")
    found = format_at(path)
    if found is None or found not in formats:
        raise ModelLoadError(f"{path} is {_KINDS[found]}; this engine reads {_named(formats)}")
    return _openvino_embedder(place) if embeds and found == "openvino" else _LOOKS[found](place)


def is_embedder(path: str) -> bool:
    """Tell whether *path* is a folder of an embedding model, as sentence-transformers writes one."""
    return (Path(path) / "modules.json").is_file()


def cached_models(formats: Collection[str]) -> list[str]:
    """List the ids in the local cache of the Hugging Face hub whose weights have one of *formats*.

    The cache: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    found: list[str] = []
    for entry in sorted(_hub_cache().glob("models--*--*")):
        name = entry.name.removeprefix("models--").replace("--", "/", 1)
        folder = cached_snapshot(name)
        if folder is None:
            continue
        kinds = {format_at(str(folder)), "gguf" if any(folder.rglob("*.gguf")) else None}
        if kinds.intersection(formats):
            found.append(name)
    return found


def cached_snapshot(name: str) -> Path | None:
    """Give the folder in the hub's local cache that has the files of the model *name*, if there is one."""
    entry = _hub_cache() / f"models--{name.replace('/', '--')}"
    try:
        folder = entry / "snapshots" / (entry / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return folder if folder.is_dir() else None


def _hub_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(base, "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def _named(formats: Collection[str]) -> str:
    return " and ".join(_KINDS[form] for form in formats)


def _gguf(place: Path) -> ModelFiles:
    parts = [place.with_name(name) for name in parts_of(place.name)]
    if place != parts[0]:
        raise ModelLoadError(f"{place} is one part of a model: name the first, {parts[0].name}")
    if missing := [part.name for part in parts if not part.is_file()]:
        raise ModelLoadError(f"{place} is one of {len(parts)} files, and {missing[0]} is missing")
    try:
        metadata, *_ = [read_gguf(part) for part in parts]
    except (ValueError, OSError) as failure:
        raise ModelLoadError(f"{place} cannot be loaded: {_words(failure)}") from failure
    length = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    size = sum(part.stat().st_size for part in parts)
    return ModelFiles(str(place), length if isinstance(length, int) else None, size)


def _openvino(place: Path) -> ModelFiles:
    files = _OPENVINO_FILES if (place / _OPENVINO_FILES[0]).exists() else _VISION_FILES
    return _whole_openvino(place, files)


def _openvino_embedder(place: Path) -> ModelFiles:
    return _whole_openvino(place, _OPENVINO_FILES[:4])


def _whole_openvino(place: Path, files: Collection[str]) -> ModelFiles:
    missing = [name for name in files if not (place / name).is_file()]
    if missing:
        raise ModelLoadError(
            f"{place} is no whole OpenVINO model: {', '.join(missing)} missing. "
            "`optimum-cli export openvino` writes all of them"
        )
    return _folder(place)


def _safetensors(place: Path) -> ModelFiles:
    if not (place / "config.json").is_file():
        raise ModelLoadError(f"{place} is no whole model: config.json is missing")
    try:
        check_weights(place)
    except (ValueError, OSError) as failure:
        raise ModelLoadError(f"{place} cannot be loaded: {_words(failure)}") from failure
    return _folder(place)


def _folder(place: Path) -> ModelFiles:
    size = sum(entry.stat().st_size for entry in os.scandir(place) if entry.is_file())
    return ModelFiles(str(place), _context_length(place / "config.json"), size)


def _context_length(config: Path) -> int | None:
    if not config.is_file():
        return None
    try:
        with config.open("rb") as file:
            told: Any = json.loads(file.read(_CONFIG_BYTES))
    except (ValueError, RecursionError, OSError) as failure:
        raise ModelLoadError(f"{config} cannot be read: {_words(failure)}") from failure
    text = told.get("text_config", told) if isinstance(told, dict) else {}
    length = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return length if isinstance(length, int) and length > 0 else None


def _words(failure: Exception) -> str:
    return failure.strerror or type(failure).__name__ if isinstance(failure, OSError) else str(failure)


_KINDS: Mapping[str | None, str] = {
    "gguf": "a GGUF file",
    "openvino": "an OpenVINO folder",
    "openvino_vision": "an OpenVINO folder of a model that reads images",
    "safetensors": "a folder of safetensors weights",
    None: "no model that is known here",
}
_LOOKS: Mapping[str, Callable[[Path], ModelFiles]] = {
    "gguf": _gguf,
    "openvino": _openvino,
    "openvino_vision": _openvino,
    "safetensors": _safetensors,
}
