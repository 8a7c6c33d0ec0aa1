"""An OpenVINO folder of an embedding model, pooled as the files of sentence-transformers in it say.

https://www.sbert.net/docs/sentence_transformer/usage/custom_models.html describes those files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openvino_genai

from abstractcore.errors import ModelLoadError

_POOLINGS: Mapping[str, str] = {
    "cls": "CLS", "mean": "MEAN", "lasttoken": "LAST_TOKEN",
    # what earlier versions of it write
    "pooling_mode_cls_token": "CLS", "pooling_mode_mean_tokens": "MEAN",
    "pooling_mode_lasttoken": "LAST_TOKEN",
}  # fmt: skip
_STEPS = ("Transformer", "Pooling", "Normalize")
_TEXTS_COUNTED = 32
_NO_LIMIT = 1_000_000  # tokenizers that know none say some such number


class Model:
    """What the batch asks of an embedding model, by a pipeline of OpenVINO GenAI."""

    step_tokens = 2048

    def __init__(self, options: Mapping[str, Any]) -> None:
        folder = Path(options["path"])
        config = openvino_genai.TextEmbeddingPipeline.Config()
        config.pooling_type = getattr(openvino_genai.TextEmbeddingPipeline.PoolingType, _pooling(folder))
        config.normalize = "Normalize" in _steps(folder)
        self.max_tokens = config.max_length = _longest(folder, options["context_length"])
        properties: dict[str, Any] = {}
        if options["threads"] is not None:
            properties["INFERENCE_NUM_THREADS"] = options["threads"]
        if options["deterministic"]:
            properties["INFERENCE_PRECISION_HINT"] = "f32"
        self._tokenizer: Any = openvino_genai.Tokenizer(str(folder))
        device = options["device"] or "CPU"
        self._pipeline: Any = openvino_genai.TextEmbeddingPipeline(str(folder), device, config, **properties)
        told = _read(folder / "config_sentence_transformers.json")
        self.prompts: Mapping[str, str] = told.get("prompts") or {}
        self.default_prompt = self.prompts.get(told.get("default_prompt_name") or "", "")

    def count(self, texts: list[str]) -> Sequence[int]:
        """Count the tokens of each text."""
        counts = [0] * len(texts)
        # Those of one call are padded to the longest.
        places = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for start in range(0, len(places), _TEXTS_COUNTED):
            piece = places[start : start + _TEXTS_COUNTED]
            read = self._tokenizer.encode([texts[place] for place in piece])
            for place, mask in zip(piece, read.attention_mask.data, strict=True):
                counts[place] = int(mask.sum())
        return counts

    def embed(self, texts: list[str], prompt: str) -> Any:
        """Give a row for each text."""
        return self._pipeline.embed_documents([prompt + text for text in texts])


def _read(file: Path) -> dict[str, Any]:
    told: Any = json.loads(file.read_bytes()) if file.is_file() else {}
    return told if isinstance(told, dict) else {}


def _steps(folder: Path) -> list[str]:
    """Name what the model does after one another. Raises ModelLoadError for what the pipeline cannot."""
    file = folder / "modules.json"
    if not file.is_file():
        raise ModelLoadError(
            f"{folder} does not say how its vectors are made: copy modules.json and the folders that it "
            "names (1_Pooling and so on) from the original model into it"
        )
    steps = [str(each["type"]).rpartition(".")[2] for each in json.loads(file.read_bytes())]
    if unknown := [step for step in steps if step not in _STEPS]:
        raise ModelLoadError(f"{folder} has a step that OpenVINO does not know: {unknown[0]}")
    return steps


def _pooling(folder: Path) -> str:
    _steps(folder)
    modules = json.loads((folder / "modules.json").read_bytes())
    place = next((each["path"] for each in modules if str(each["type"]).endswith(".Pooling")), "1_Pooling")
    told = _read(folder / place / "config.json")
    mode = told.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else mode or []
    modes = modes or [
        name for name, value in told.items() if name.startswith("pooling_mode_") and value is True
    ]
    if len(modes) == 1 and modes[0] in _POOLINGS:
        return _POOLINGS[modes[0]]
    raise ModelLoadError(f"{folder} pools as OpenVINO cannot: {', '.join(modes) or 'it does not say how'}")


def _longest(folder: Path, context_length: int | None) -> int:
    told = (
        _read(folder / "sentence_bert_config.json").get("max_seq_length"),
        _read(folder / "tokenizer_config.json").get("model_max_length"),
        context_length,
    )
    known = [int(length) for length in told if length and length < _NO_LIMIT]
    if not known:
        raise ModelLoadError(f"{folder} does not say how long a text may be (sentence_bert_config.json)")
    return min(known)
