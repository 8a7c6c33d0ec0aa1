"""Models of random weights in many architectures, and what transformers itself makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers

from abstractcore.engines.runtime import Prompt

from .runner import TINY

HEAD = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SMALL: Mapping[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "initializer_range": 0.4,  # so that random weights have something to say
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
ATTENTION: Mapping[str, Any] = {
    **SMALL,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
}
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]
MERGED: Mapping[str, Callable[[], Any]] = {
    "sliding windows": lambda: transformers.MistralConfig(**ATTENTION, sliding_window=8),
    "windows and full layers": lambda: transformers.Gemma3TextConfig(
        **ATTENTION, head_dim=8, sliding_window=8, layer_types=MIXED
    ),
    "learned positions": lambda: transformers.GPT2Config(
        vocab_size=512, n_embd=32, n_layer=3, n_head=4, initializer_range=0.4, bos_token_id=0, eos_token_id=2
    ),
    "windows and sinks": lambda: transformers.GptOssConfig(
        **ATTENTION, head_dim=8, sliding_window=8, num_local_experts=4, num_experts_per_tok=2
    ),
}
APART: Mapping[str, Callable[[], Any]] = {
    "recurrent": lambda: transformers.MambaConfig(**SMALL, state_size=4),
    "convolutions and attention": lambda: transformers.Lfm2Config(
        **ATTENTION, layer_types=["conv", "full_attention", "conv"]
    ),
    "no positions": lambda: transformers.BloomConfig(
        vocab_size=512, hidden_size=32, n_layer=3, n_head=4, initializer_range=0.4
    ),
    "a cache of its own": lambda: transformers.RwkvConfig(
        vocab_size=512, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, eos_token_id=2
    ),
}


def save(config: Any, folder: Path) -> Path:
    """Write a model of random weights, with the tiny one's tokenizer."""
    torch.manual_seed(3)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in HEAD:
        shutil.copy(TINY / name, folder)
    return folder


def generated(folder: Path, ids: list[int], **how: Any) -> list[int]:
    """Give what transformers' own generate makes of *ids*."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder)
    asked = torch.tensor([ids])
    fields: dict[str, Any] = {"do_sample": False, "pad_token_id": 0, **how}
    output = model.generate(asked, attention_mask=torch.ones_like(asked), **fields)
    return output[0, len(ids) :].tolist()


PROMPTS = [
    [3 + (7 * n * n + 11 * place) % 490 for n in range(length)] for place, length in enumerate((5, 30, 12))
]


def answers(model: Any, prompts: Sequence[list[int]], steps: int = 20) -> tuple[list[list[int]], list[int]]:
    """Give what each prompt is answered, one joining every third step, and how much was in the KV cache."""
    given: list[list[int]] = [[] for _ in prompts]
    cached: list[int] = []
    for number, ids in enumerate([*prompts, []]):
        if ids:
            cached.append(model.start(number, ids, asdict(Prompt(messages=[])), steps))
        for _ in range(3 if ids else 3 * steps):
            for output in model.step():
                assert output.refused is None, output.refused.message
                given[output.number] += output.ids
    return given, cached
