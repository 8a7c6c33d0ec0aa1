"""A folder of sentence-transformers, or of transformers alone, as an embedding model: data, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from abstractcore.engines.worker.huggingface_load import device_of


class Model:
    """What the batch asks of an embedding model, by sentence-transformers."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        if options["threads"] is not None:
            torch.set_num_threads(options["threads"])
        weights: dict[str, Any] = {"use_safetensors": True}
        if options["dtype"] is not None:
            weights["dtype"] = options["dtype"]
        device = device_of(options["device"])
        self.step_tokens = 2048 if device.type == "cpu" else 16_384
        self._model: Any = SentenceTransformer(
            options["path"],
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs=weights,
        )
        self._tokenizer = self._model.tokenizer
        self.max_tokens = self._longest(options["context_length"])
        self.prompts: Mapping[str, str] = dict(self._model.prompts)
        self.default_prompt = self.prompts.get(self._model.default_prompt_name or "", "")

    def _longest(self, context_length: int | None) -> int:
        told = (self._model.max_seq_length, self._tokenizer.model_max_length, context_length)
        known = [length for length in told if length]
        self._model.max_seq_length = min(known)
        return min(known)

    def count(self, texts: list[str]) -> Sequence[int]:
        """Count the tokens of each text."""
        read = self._tokenizer(texts, truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in read["input_ids"]]

    def embed(self, texts: list[str], prompt: str) -> Any:
        """Give a row for each text."""
        return self._model.encode(texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False)
