"""The options of a load in the words of OpenVINO GenAI: cache, precision, LoRA adapters, a draft model.

Runs in the worker's process only.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openvino_genai

from abstractcore.engines.model_files import format_at, look_at
from abstractcore.engines.safetensors import check_file
from abstractcore.errors import ConfigurationError, ModelLoadError

# The same greedy text alone and in a batch: nothing may depend on who the neighbours are.
_DETERMINISTIC = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
}
# Tokens that one step takes. It bounds how long a neighbour's prefill delays everybody, and a cancel.
_TOKENS_PER_STEP = 256
# The names in a PEFT adapter's folder: https://huggingface.co/docs/peft/developer_guides/checkpoint
_ADAPTER_FILE = "adapter_model.safetensors"
_ADAPTER_CONFIG = "adapter_config.json"
# What of PEFT's the runtime does not know: it would leave it out without a word.
_UNKNOWN_TO_RUNTIME = ("use_dora", "alpha_pattern", "rank_pattern")
_UNUSED = re.compile(r"Unused LoRA tensor: (\S+)")


def load_pipeline(options: Mapping[str, Any]) -> Any:
    """Load a model with its adapters and its draft model. Raises ModelLoadError or the runtime's own."""
    device = options["device"] or "CPU"
    if format_at(options["path"]) == "openvino_vision" and (options["adapters"] or options["draft_model"]):
        raise ConfigurationError("adapters and draft_model are for models that read text only")
    properties = _properties(options)
    extras: dict[str, Any] = {}
    if options["draft_model"]:
        look_at(options["draft_model"], ("openvino",))
        extras["draft_model"] = openvino_genai.draft_model(options["draft_model"], device, **properties)
    if not options["adapters"]:
        return _pipeline(options, device, {**properties, **extras})
    extras["adapters"] = _adapters(options["path"], options["adapters"])
    with _printed() as told:
        pipeline = _pipeline(options, device, {**properties, **extras})
    if unused := sorted(set(_UNUSED.findall(told[0]))):
        names = ", ".join(unused[:3])
        raise ModelLoadError(f"the adapters change weights that {options['path']} does not have: {names}")
    return pipeline


def _pipeline(options: Mapping[str, Any], device: str, properties: Mapping[str, Any]) -> Any:
    config = openvino_genai.SchedulerConfig()
    config.cache_size = options["cache_gb"]
    config.enable_prefix_caching = options["prefix_cache"]
    config.max_num_batched_tokens = _TOKENS_PER_STEP
    config.max_num_seqs = options["max_batch"]
    return openvino_genai.ContinuousBatchingPipeline(options["path"], config, device, properties)


def _properties(options: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = dict(_DETERMINISTIC) if options["deterministic"] else {}
    if options["threads"] is not None:
        properties["INFERENCE_NUM_THREADS"] = options["threads"]
    return properties


# ---- adapters ----


def _adapters(model: str, paths: Sequence[str]) -> Any:
    """Give the adapters as constants of the model: the runtime's batches take no others."""
    if os.path.isfile(model):
        raise ConfigurationError(f"adapters: {model} is a GGUF file, and only OpenVINO folders take adapters")
    loaded = [(openvino_genai.Adapter(str(file)), scale) for file, scale in map(_adapter, paths)]
    return openvino_genai.AdapterConfig(loaded, openvino_genai.AdapterConfig.Mode.MODE_STATIC)


def _adapter(path: str) -> tuple[Path, float]:
    """Give an adapter's file, checked, and the factor that its folder says."""
    place = Path(path)
    file = place / _ADAPTER_FILE if place.is_dir() else place
    try:
        check_file(file)
        return file, _scale(file.parent / _ADAPTER_CONFIG)
    except (ValueError, OSError) as failure:
        words = failure.strerror if isinstance(failure, OSError) else str(failure)
        raise ModelLoadError(f"the adapter {file} cannot be loaded: {words}") from failure


def _scale(config: Path) -> float:
    if not config.is_file():
        return 1.0
    told: Any = json.loads(config.read_bytes())
    if unknown := [name for name in _UNKNOWN_TO_RUNTIME if told.get(name)]:
        raise ValueError(f"its {_ADAPTER_CONFIG} has {unknown[0]}, which OpenVINO does not know")
    rank = float(told.get("r", 1))
    return float(told.get("lora_alpha", rank)) / (math.sqrt(rank) if told.get("use_rslora") else rank)


@contextmanager
def _printed() -> Generator[list[str]]:
    """Keep what native code prints as an error: the runtime says there what of an adapter fits nowhere."""
    told: list[str] = []
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield told
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            told.append(file.read().decode("utf-8", "replace"))
            print(*told, file=sys.stderr)
