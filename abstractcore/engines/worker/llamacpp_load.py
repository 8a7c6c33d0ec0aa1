"""Loads a GGUF file into llama.cpp: on which device, with how many threads and how long a context.

Runs in the worker's process. Knows the options and the file; knows no prompt and no job.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from abstractcore.engines.gguf import read_gguf

# Threads that wait sleep. Those that spin take the cores from the ones that work, and on a machine with
# something else to do a token then takes ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read once, when the library is loaded
runtime: Any = import_module("llama_cpp")

# Tokens of a prompt that one step reads: it bounds how long a cancel waits. A CPU reads as fast in small
# pieces, a GPU does not.
PIECE = {"cpu": 64, "gpu": 256}
_DEVICES: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"n_gpu_layers": 0, "offload_kqv": False, "op_offload": False},
    "gpu": {"n_gpu_layers": -1},
}
# Where a model does not say how long its context is.
_UNKNOWN_CONTEXT = 8192
_BYTES_OF_F16 = 2
_ERROR_LEVEL = 4
_complaints: deque[str] = deque(maxlen=3)


def load(options: Mapping[str, Any], device: str, context_length: int) -> Any:
    """Give the package's `Llama`. Raises ValueError, with the runtime's own reason."""
    runtime.llama_log_set(_listen, None)
    _complaints.clear()
    threads = options["threads"] or _cores()
    try:
        llama = runtime.Llama(
            options["path"],
            n_ctx=context_length,
            n_batch=PIECE[device],
            n_ubatch=PIECE[device],
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
            **_DEVICES[device],
        )
    except ValueError as failure:
        raise ValueError(with_complaints(failure)) from failure
    if runtime.llama_get_memory(llama.ctx) is None or runtime.llama_model_has_encoder(llama.model):
        raise ValueError("it is not a model that generates text from a prompt")
    return llama


@runtime.llama_log_callback
def _listen(level: int, text: bytes, _: Any) -> None:
    """Keep the runtime's last complaints; nothing of what it says is printed."""
    if level == _ERROR_LEVEL:
        _complaints.append(text.decode(errors="replace").strip())


def with_complaints(failure: Exception) -> str:
    """Give the words of *failure*, and what the runtime complained of before it."""
    return ": ".join([str(failure), *_complaints])


def choose_device(name: str | None) -> str:
    """Give *name* in small letters: by default, the GPU where the package was built with one."""
    has_gpu: bool = runtime.llama_supports_gpu_offload()
    device = (name or ("gpu" if has_gpu else "cpu")).lower()
    if device not in _DEVICES:
        raise ValueError(f"device must be one of {', '.join(_DEVICES)}")
    if device == "gpu" and not has_gpu:
        raise ValueError("this llama-cpp-python was built for CPUs only: device='gpu' needs another build")
    return device


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def context_length(options: Mapping[str, Any]) -> int:
    """Give the file's context length, or as much of it as was asked for and the KV cache has room for.

    Raises ValueError when there is no room for what was asked.
    """
    asked: int | None = options["max_context"]
    length = min(options["context_length"] or _UNKNOWN_CONTEXT, asked or 2**31)
    token_bytes = _kv_bytes(read_gguf(Path(options["path"])))
    room = options["cache_gb"] * 2**30 // token_bytes if token_bytes else length
    if asked is not None and room < length:
        needs = length * token_bytes / 2**30
        raise ValueError(f"max_context={asked:,} needs {needs:.1f} GB of KV cache: see cache_gb=")
    return min(length, room)


def _kv_bytes(metadata: Mapping[str, Any]) -> int:
    """Give what one token takes in the KV cache at most; 0 where the file does not say."""
    about = f"{metadata.get('general.architecture')}."
    layers = metadata.get(f"{about}block_count", 0)
    heads = _of_each(metadata.get(f"{about}attention.head_count", 0), layers)
    if not any(heads):
        return 0
    width = metadata.get(f"{about}embedding_length", 0) // max(heads)
    key = metadata.get(f"{about}attention.key_length", width)
    value = metadata.get(f"{about}attention.value_length", width)
    kept = _of_each(metadata.get(f"{about}attention.head_count_kv", heads), layers)
    return sum(kept) * (key + value) * _BYTES_OF_F16


def _of_each(told: int | list[int], layers: int) -> list[int]:
    """Give one number for each layer, where a file may have one for all."""
    return told if isinstance(told, list) else [told] * layers
