"""Models that are named by their id on the Hugging Face hub: out of the local cache, else downloaded.

Weights, configuration and tokenizer only: no code and no pickle is ever fetched. `HF_HOME`,
`HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean to huggingface_hub.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from abstractcore.engines.model_files import cached_snapshot, format_at, look_at
from abstractcore.engines.parts import parts_of
from abstractcore.errors import ModelLoadError

Tell = Callable[[str, float | None], None]
"""Takes a stage, and the share of it that is done."""

_USUAL_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
# Configuration, chat template and tokenizer.
_BESIDE = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken")
_OPENVINO = ("openvino_*.xml", "openvino_*.bin")
_OPENVINO_MARKS = frozenset({"openvino_model.xml", "openvino_language_model.xml"})
_STEP = re.compile(r"\d+_\w+/[\w.-]+\.(json|safetensors)")
_USUAL_QUANTISATION = "Q4_K_M"
_SECONDS = 10.0


def find_model(name: str, formats: Collection[str], tell: Tell, *, embeds: bool = False) -> str:
    """Give the path of the model *name*, `owner/name` or `owner/name:Q4_K_M` for one file of several.

    Raises LookupError when it is neither in the cache nor on the hub, or has none of *formats*.
    """
    repository, _, variant = name.partition(":")
    return _cached(repository, formats, variant, embeds) or _download(repository, formats, variant, tell)


def _cached(repository: str, formats: Collection[str], variant: str, embeds: bool) -> str | None:
    """Give the model if the cache has it whole: a download may have been cut off."""
    folder = cached_snapshot(repository)
    found = folder and _model_in(folder, formats, variant)
    try:
        return look_at(found, formats, embeds=embeds).path if found else None
    except ModelLoadError:
        return None


def _download(repository: str, formats: Collection[str], variant: str, tell: Tell) -> str:
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        raise LookupError("ids of the hub need huggingface_hub: pip install huggingface_hub") from None
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    hub: Any = HfApi()
    fetch: Any = snapshot_download
    failures: Any = (httpx.HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError)
    tell(f"asking the hub for {repository}", None)
    try:
        info = hub.model_info(repository, timeout=_SECONDS)
        wanted = _wanted([file.rfilename for file in info.siblings or ()], formats, variant)
        names = [glob.escape(name) for name in wanted]
        folder = Path(fetch(repository, allow_patterns=names, tqdm_class=_bar(repository, tell)))
    except failures as failure:
        words = str(failure).strip().splitlines() or [type(failure).__name__]
        raise LookupError(f"it is not in the local cache, and the hub gives none: {words[0]}") from failure
    if found := _model_in(folder, formats, variant):
        return found
    raise LookupError(_none_of(formats, variant))


def _wanted(files: Sequence[str], formats: Collection[str], variant: str) -> list[str]:
    """Choose the first of *formats* that the repository has, and name its files. A variant is one of GGUF."""
    there = [file for file in files if "/" not in file]
    if not variant and "safetensors" in formats and (weights := _weights_of(there)):
        return [*weights, *_matching(there, _BESIDE), *_steps_of(files)]
    if not variant and "openvino" in formats and _OPENVINO_MARKS.intersection(there):
        return [*_matching(there, (*_BESIDE, *_OPENVINO)), *_steps_of(files)]
    if "gguf" in formats and (file := _gguf_of(files, variant)):
        return parts_of(file)
    raise LookupError(_none_of(formats, variant))


def _weights_of(files: Sequence[str]) -> list[str]:
    """Give the safetensors files that a model loads: others may have the same weights once more."""
    usual = [file for file in files if _USUAL_WEIGHTS.fullmatch(file)]
    return usual or [
        file for file in _matching(files, ("*.safetensors",)) if not file.startswith("consolidated")
    ]


def _steps_of(files: Sequence[str]) -> list[str]:
    """Give what sentence-transformers keeps of the steps after the model, such as 1_Pooling/config.json."""
    return [file for file in files if _STEP.fullmatch(file)]


def _matching(files: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [file for file in files if any(fnmatch.fnmatchcase(file, pattern) for pattern in patterns)]


def _model_in(folder: Path, formats: Collection[str], variant: str) -> str | None:
    found = format_at(str(folder))
    if found in formats and not variant:
        is_whole = found != "safetensors" or _matching([file.name for file in folder.iterdir()], _TOKENIZERS)
        return str(folder) if is_whole else None
    if "gguf" not in formats:
        return None
    file = _gguf_of([file.relative_to(folder).as_posix() for file in folder.rglob("*.gguf")], variant)
    return str(folder / file) if file else None


def _gguf_of(files: Sequence[str], variant: str) -> str | None:
    """Give the file of *variant*, else the one of the usual quantisation, else the first.

    Of one that is split it is the first part. What makes a model see is no model.
    """
    known = sorted(file for file in _matching(files, ("*.gguf",)) if "mmproj" not in file.lower())
    name = re.compile(
        rf"(?<![a-z0-9]){re.escape(variant or _USUAL_QUANTISATION)}(?![a-z0-9_])", re.IGNORECASE
    )
    fitting = [file for file in known if name.search(file)]
    chosen = next(iter(fitting or ([] if variant else known)), None)
    return chosen and parts_of(chosen)[0]


def _none_of(formats: Collection[str], variant: str) -> str:
    return f"it has no {' and no '.join(formats)} weights{f' of {variant}' if variant else ''}"


def _bar(repository: str, tell: Tell) -> type:
    """Give a class for huggingface_hub's progress bars: the bytes of all files go to *tell*."""
    from tqdm.auto import tqdm

    shown = -1.0

    class Bar(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})
            self.total = options.get("total")

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal shown
            self.n += n or 0
            done = min(1.0, self.n / self.total) if self.counts_bytes and self.total else None
            if done is not None and done - shown >= 0.01:
                shown = done
                tell(f"downloading {repository}", done)
            return None

    return Bar
