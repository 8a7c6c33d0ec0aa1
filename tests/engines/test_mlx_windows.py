"""MLX models whose KV cache is no plain one: a window that moves on, or a state that cannot be cut.

Their weights are random, so their text means nothing; that it is always the same is what is looked at.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.runtime import Prompt

from .runner import TINY, load_model

WINDOW = 32
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "window": {
        "model_type": "gemma3_text",
        "intermediate_size": 128,
        "head_dim": 32,
        "rms_norm_eps": 1e-6,
        "sliding_window": WINDOW,
        "sliding_window_pattern": 2,
        "query_pre_attn_scalar": 32,
        "rope_local_base_freq": 10000.0,
    },
    "state": {
        "model_type": "lfm2",
        "norm_eps": 1e-5,
        "conv_bias": False,
        "conv_L_cache": 3,
        "block_dim": 64,
        "block_ff_dim": 128,
        "block_multiple_of": 32,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": False,
        "full_attn_idxs": [1, 3],
    },
}
COMMON = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rope_theta": 10000.0,
    "vocab_size": 512,
    "max_position_embeddings": 2048,
    "eos_token_id": 2,
}
ROOM = 2 * WINDOW
"""New tokens of each answer: the window moves on twice."""


@pytest.fixture(scope="module", params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of random weights, with the tiny model's tokenizer."""
    load_model("mlx")
    import mlx.core as mx
    from mlx.utils import tree_flatten

    config = {**COMMON, **CONFIGS[request.param]}
    module = import_module(f"mlx_lm.models.{config['model_type']}")
    parameters: Any = tree_flatten(module.Model(module.ModelArgs.from_dict(config)).parameters())
    weights = {
        name: value if "norm" in name else mx.random.normal(value.shape, scale=0.15, key=mx.random.key(seed))
        for seed, (name, value) in enumerate(parameters)
    }
    place: Path = tmp_path_factory.mktemp(request.param) / "model"
    shutil.copytree(TINY, place)
    mx.save_safetensors(str(place / "model.safetensors"), weights)
    (place / "config.json").write_text(json.dumps(config))
    return str(place)


def prompts() -> list[list[int]]:
    chance = random.Random(3)
    return [[chance.randrange(3, 512) for _ in range(length)] for length in (5, 20, 70, 300)]


def answers(model: Any, asked: Sequence[list[int]]) -> tuple[list[list[int]], list[int]]:
    """Ask all at once; give the ids of each answer, and how much of each prompt was in the KV cache."""
    prompt = asdict(Prompt(messages=[], extra={"ignore_eos": True}))
    cached = [model.start(number, list(ids), prompt, ROOM) for number, ids in enumerate(asked)]
    given: list[list[int]] = [[] for _ in asked]
    left = len(asked)
    while left:
        for output in model.step():
            given[output.number] += output.ids
            left -= output.finish is not None
    return given, cached


def test_a_batch_gives_what_each_gives_alone(folder: str) -> None:
    """CONTRACT I1"""
    model = load_model("mlx", path=folder, prefix_cache=False)
    alone = [answers(model, [ids])[0][0] for ids in prompts()]

    assert answers(model, prompts())[0] == alone
    assert all(len(set(one)) > 5 for one in alone), "the weights say something"


def test_what_goes_on_from_the_end_is_reused_and_nothing_else(folder: str) -> None:
    """CONTRACT I2: a cache that cannot be cut is left alone, and the text is that of a fresh run."""
    reusing, fresh = (load_model("mlx", path=folder, prefix_cache=keeps) for keeps in (True, False))
    first = answers(reusing, prompts())[0]
    whole = [ids + given for ids, given in zip(prompts(), first, strict=True)]
    on = [[*ids, 7, 8, 9] for ids in whole]
    cut = [[*ids[:-2], 7, 8, 9] for ids in whole]

    given, cached = answers(reusing, cut)
    assert (given, cached) == (answers(fresh, cut)[0], [0] * 4)
    given, cached = answers(reusing, on)
    assert (given, cached) == (answers(fresh, on)[0], [len(ids) for ids in whole])
