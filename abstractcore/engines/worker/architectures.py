"""Whether an installed runtime knows a model's architecture, told before it is imported: that takes seconds.

The runtime's own tables are searched as text. A name that stands nowhere in them is unknown to it; of
every other the runtime has the last word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from abstractcore.engines.gguf import read_gguf

# For folders and for GGUF files: the package, and where in it the names of architectures stand.
_FOLDERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "huggingface": ("transformers", ("models/auto/*.py",)),
    "mlx": ("mlx_lm", ("utils.py", "models/*.py")),
}
_GGUF: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "huggingface": ("transformers", ("integrations/ggml.py", "modeling_gguf_pytorch_utils.py")),
}
# Where this one is not found, the tables have moved.
_KNOWN_TO_ALL = "llama"


def check_architecture(engine: str, path: str) -> None:
    """Raise ValueError when the runtime of *engine* cannot know the model at *path*."""
    place = Path(path)
    found = (_FOLDERS if place.is_dir() else _GGUF).get(engine)
    config = _config(place) if found is not None else {}
    name = config.get("model_type")
    if found is None or not isinstance(name, str):
        return
    package, patterns = found
    names = _Names(package, patterns)
    if name not in names and _KNOWN_TO_ALL in names:
        code = "; code that comes with a model is never run" if "auto_map" in config else ""
        raise ValueError(f"{package} {version(package)} knows no architecture {name!r}{code}")


def _config(place: Path) -> Mapping[str, Any]:
    if place.is_file():
        return {"model_type": read_gguf(place).get("general.architecture")}
    told: Any = json.loads((place / "config.json").read_bytes())
    return told if isinstance(told, dict) else {}


class _Names:
    """The names in the tables of a package: quoted in a file, or a file's own."""

    def __init__(self, package: str, patterns: tuple[str, ...]) -> None:
        spec = find_spec(package)
        folders = spec.submodule_search_locations if spec is not None else None
        self._files = list(_files(folders or (), patterns))

    def __contains__(self, name: str) -> bool:
        return any(name == file.stem or f'"{name}"' in file.read_text("utf-8") for file in self._files)


def _files(folders: Any, patterns: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for pattern in patterns:
            yield from Path(folder).glob(pattern)
