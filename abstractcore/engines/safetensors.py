"""Checks that safetensors weights are whole, before anything native maps them.

The format: https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from abstractcore.engines.parts import parts_of

_MAX_HEADER = 100_000_000
_INDEX = "model.safetensors.index.json"


def check_weights(folder: Path) -> None:
    """Check every weights file of *folder*, those that its index names among them.

    Raises ValueError, with the reason, for one that is missing, damaged or cut off.
    """
    files = {file.name: file for file in folder.glob("*.safetensors")}
    if missing := sorted(_indexed(folder) - set(files)):
        raise ValueError(f"its index names {missing[0]}, which is missing")
    if missing := sorted({part for name in files for part in parts_of(name)} - set(files)):
        raise ValueError(f"its weights are in several files, and {missing[0]} is missing")
    for name, file in sorted(files.items()):
        try:
            check_file(file)
        except ValueError as failure:
            raise ValueError(f"{name}: {failure}") from failure


def _indexed(folder: Path) -> set[str]:
    index = folder / _INDEX
    if not index.is_file():
        return set()
    told = _parsed(index.read_bytes(), _INDEX)
    names: Any = told.get("weight_map")
    if not isinstance(names, dict):
        raise ValueError(f"{_INDEX} has no weight_map")
    return {str(name) for name in names.values()}


def check_file(file: Path) -> None:
    """Check one file. Raises ValueError with the reason, or OSError."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        if size < 8:
            raise ValueError("it is no safetensors file")
        (length,) = struct.unpack("<Q", opened.read(8))
        if length > min(_MAX_HEADER, size - 8):
            raise ValueError("it is cut off, or no safetensors file")
        header = _parsed(opened.read(length), "its header")
    room = size - 8 - length
    end = max((_end_of(name, told) for name, told in header.items() if name != "__metadata__"), default=0)
    if end > room:
        raise ValueError(f"it is cut off: it has {room:,} of {end:,} bytes of weights")


def _end_of(name: str, told: Any) -> int:
    offsets: Any = told.get("data_offsets") if isinstance(told, dict) else None
    match offsets:
        case [int(start), int(end)] if 0 <= start <= end:
            return end
        case _:
            raise ValueError(f"its header does not say where {name[:80]!r} lies")


def _parsed(text: bytes, what: str) -> dict[str, Any]:
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError) as failure:
        raise ValueError(f"{what} is no JSON") from failure
    if not isinstance(told, dict):
        raise ValueError(f"{what} is no JSON object")
    return told
