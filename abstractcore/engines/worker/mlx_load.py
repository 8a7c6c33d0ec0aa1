"""Loads an MLX model from its folder: the network, what it recommends, and proof that it runs.

Runs in the worker's process. Runs no code out of the folder and fetches nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model
from transformers import AutoTokenizer

from abstractcore.engines.safetensors import check_weights
from abstractcore.engines.worker.chat_template import ChatTokenizer

_PROOF = [0, 0]  # any two tokens


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that has been seen to run.

    *recommended* is its generation config. It gives *width* logits, and a token takes *token_bytes* in
    the KV cache.
    """

    network: Any
    tokenizer: ChatTokenizer
    recommended: Mapping[str, Any]
    width: int
    token_bytes: int


def load(options: Mapping[str, Any]) -> Loaded:
    """Load the model that *options* name. Raises ValueError, LookupError, OSError or RuntimeError."""
    if mx.default_device().type == mx.DeviceType.cpu:
        # It would want a C++ compiler, and load what that makes out of the shared folder for temporary files.
        mx.disable_compile()
    folder = Path(options["path"])
    try:
        network, eos_ids = _network(folder, options)
        width, token_bytes = _proof(network)
    except (AttributeError, TypeError) as failure:  # a config.json without what its architecture needs
        raise ValueError(f"{type(failure).__name__}: {failure}") from failure
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return Loaded(network, ChatTokenizer(tokenizer, eos_ids), _recommended(folder), width, token_bytes)


def _network(folder: Path, options: Mapping[str, Any]) -> tuple[Any, Iterable[int]]:
    """Give the network with its adapter, and the tokens that end an answer."""
    network, config = load_model(folder, lazy=True, trust_remote_code=False)
    for adapter in options["adapters"]:
        network = _adapted(network, Path(adapter), options["adapters"])
    dtype = _dtype(options)
    if dtype is not None:
        network.set_dtype(dtype)
    network.eval()
    mx.eval(network.parameters())
    told = config.get("eos_token_id")
    return network, [told] if isinstance(told, int) else told or ()


def _adapted(network: Any, adapter: Path, adapters: Iterable[str]) -> Any:
    if len(list(adapters)) > 1:
        raise ValueError("MLX takes one adapter at a time")
    if not (adapter / "adapters.safetensors").is_file():
        raise ValueError(f"{adapter} is no MLX adapter: adapters.safetensors is missing")
    check_weights(adapter)
    return load_adapters(network, str(adapter))


def _dtype(options: Mapping[str, Any]) -> Any:
    name: str | None = options["dtype"]
    if options["deterministic"]:
        if name not in (None, "float32"):
            raise ValueError(f"deterministic=True computes in float32, not in {name}")
        name = "float32"
    return getattr(mx, name) if name else None


def _recommended(folder: Path) -> Mapping[str, Any]:
    file = folder / "generation_config.json"
    told: Any = json.loads(file.read_bytes()) if file.is_file() else {}
    return told if isinstance(told, dict) else {}


def _proof(network: Any) -> tuple[int, int]:
    """Have the network write one token as a batch does; give its width, and the bytes that a token takes."""
    unbatched = [type(one).__name__ for one in make_prompt_cache(network) if not hasattr(one, "merge")]
    if unbatched:
        raise ValueError(f"mlx-lm cannot run this model in a batch: its {unbatched[0]} cannot be merged")
    generator = BatchGenerator(network)
    generator.insert([list(_PROOF)], max_tokens=[1])
    answers: list[Any] = []
    while not answers:
        answers = generator.next()[1]
    cache: list[Any] = answers[0].prompt_cache
    size = sum(one.nbytes for one in cache if one.is_trimmable())  # the others do not grow with the text
    return answers[0].logprobs.shape[-1], math.ceil(size / (len(_PROOF) + 1))
