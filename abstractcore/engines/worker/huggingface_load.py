"""A model's folder or GGUF file as PyTorch modules: data only, no code of the model's and no network.

Knows transformers' loading and peft's. Knows no batch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from abstractcore.engines.parts import parts_of

_SAFELY: Mapping[str, Any] = {"local_files_only": True, "trust_remote_code": False}
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def load(options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the model at options["path"], ready on its device, and its tokenizer.

    Raises what transformers and peft raise, and ValueError for what would be a pickle.
    """
    path = Path(options["path"])
    folder, how = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    if len(parts_of(path.name)) > 1:
        raise ValueError("transformers reads no GGUF model in several files: use llamacpp or openvino")
    if (folder / _ADAPTER[0]).exists():
        raise ValueError(f"{folder} holds a LoRA adapter: load its base model with adapters=[…]")
    with _offline():
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), **how, **_SAFELY)
        model = _model(folder, how, options)
        for adapter in options["adapters"]:
            model = _with_adapter(model, Path(adapter))
    model.eval()
    return model, tokenizer


def device_of(name: str | None) -> torch.device:
    """Give the device of this name, else the best that is here."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device(name.lower())


def _model(folder: Path, how: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    more: dict[str, Any] = {**how, **_SAFELY, "use_safetensors": True}
    dtype = options["dtype"] or ("float32" if options["deterministic"] else None)
    if dtype is not None:
        more["dtype"] = getattr(torch, dtype)
    if how:
        # Kernels for the packed weights are native code that would be fetched from the hub.
        more["quantization_config"] = GgufConfig(dequantize=True)
    device = device_of(options["device"])
    if device.type != "cpu":
        more["device_map"] = {"": device}
    loaded: Any = AutoModelForCausalLM.from_pretrained(str(folder), output_loading_info=True, **more)
    model, told = loaded
    if missing := sorted(told["missing_keys"]):  # they have been made up
        raise ValueError(f"the weights are not all there: {', '.join(missing[:3])} missing")
    return model


def _with_adapter(model: Any, adapter: Path) -> Any:
    """Add a LoRA adapter's weights to the model's own."""
    if missing := [name for name in _ADAPTER if not (adapter / name).is_file()]:
        raise ValueError(f"{adapter} is no LoRA adapter in safetensors: {missing[0]} is missing")
    try:
        from peft import PeftModel
    except ImportError:
        raise ValueError("adapters need peft: pip install peft") from None
    merged: Any = PeftModel.from_pretrained(model, str(adapter))
    return merged.merge_and_unload()


@contextmanager
def _offline() -> Generator[None]:
    """Have huggingface_hub refuse to go to the network, whoever asks it."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def eos_ids(defaults: Any) -> Sequence[int]:
    """Give the tokens that end an answer, as the model's generation config names them."""
    own = defaults.eos_token_id
    return [] if own is None else [own] if isinstance(own, int) else list(own)
