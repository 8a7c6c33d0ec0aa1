"""How one request's tokens are chosen: llama.cpp's samplers in a chain, and the tokens that are ruled out.

Runs in the worker's process. Knows logits and samplers; knows no prompt, no text and no KV cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import seed_of
from abstractcore.engines.worker.llamacpp_load import runtime

# What a file may recommend, by our names: https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py
_RECOMMENDED = {
    "temperature": "general.sampling.temp",
    "top_k": "general.sampling.top_k",
    "top_p": "general.sampling.top_p",
    "min_p": "general.sampling.min_p",
    "repetition_penalty": "general.sampling.penalty_repeat",
}
# The runtime's own parameters that do not change what comes out of it in kind, and what each may be.
_EXTRA: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "min_p": ("a number from 0 to 1", lambda value: _is_within(value, 0, 1)),
    "repetition_penalty": ("a number from 0.01 to 100", lambda value: _is_within(value, 0.01, 100)),
    "min_new_tokens": ("an integer from 0", lambda value: type(value) is int and value >= 0),
    "ignore_eos": ("True or False", lambda value: isinstance(value, bool)),
}
_LARGEST_PENALTY = 2
# Outside of these a float has no room left: the one is greedy, the other a throw of dice.
_COLDEST, _HOTTEST = 1e-5, 1e6
# The runtime takes this seed for "a random one".
_RANDOM_SEED = 0xFFFFFFFF


def check(sampling: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """Raise Refused for a parameter that is unknown here, or has a value that it cannot have."""
    for name in ("presence_penalty", "frequency_penalty"):
        if abs(sampling.get(name, 0)) > _LARGEST_PENALTY:
            words = f"{name} must be from -{_LARGEST_PENALTY} to {_LARGEST_PENALTY}"
            raise Refused("ConfigurationError", words)
    for name, value in extra.items():
        if name not in _EXTRA:
            known = ", ".join(_EXTRA)
            raise Refused("ConfigurationError", f"extra: {name!r} is unknown here; there are: {known}")
        words, is_right = _EXTRA[name]
        if not is_right(value):
            raise Refused("ConfigurationError", f"extra: {name} must be {words}")


def _is_within(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def recommended(metadata: Mapping[str, str]) -> dict[str, float]:
    """Give the sampling that a file recommends; most recommend none."""
    return {name: float(metadata[key]) for name, key in _RECOMMENDED.items() if key in metadata}


class Sampler:
    """Chooses the tokens of one answer to *ids*, as *given* says."""

    def __init__(self, given: Mapping[str, Any], ids: Sequence[int], *, vocabulary: int, length: int) -> None:
        self._chain: Any = runtime.llama_sampler_chain_init(runtime.llama_sampler_chain_default_params())
        self._vocabulary = vocabulary
        for link in self._penalties(given, ids, length):
            runtime.llama_sampler_chain_add(self._chain, link)
        for link in _choice(given, vocabulary):
            runtime.llama_sampler_chain_add(self._chain, link)

    def __del__(self) -> None:
        """Free the chain and all that is in it."""
        runtime.llama_sampler_free(self._chain)

    def _penalties(self, given: Mapping[str, Any], ids: Sequence[int], length: int) -> list[Any]:
        """Penalize repetitions in prompt and answer, and for presence and frequency those in the answer."""
        repetition = given.get("repetition_penalty", 1.0)
        frequency, presence = given.get("frequency_penalty", 0.0), given.get("presence_penalty", 0.0)
        links: list[Any] = []
        if repetition != 1.0:
            links.append(runtime.llama_sampler_init_penalties(self._vocabulary, length, repetition, 0.0, 0.0))
            for one in ids:
                runtime.llama_sampler_accept(links[0], one)
        if frequency or presence:
            link = runtime.llama_sampler_init_penalties(self._vocabulary, length, 1.0, frequency, presence)
            links.append(link)
        return links

    def sample(self, context: Any) -> int:
        """Choose the next token out of *context*'s last logits."""
        return runtime.llama_sampler_sample(self._chain, context, -1)


def _choice(given: Mapping[str, Any], vocabulary: int) -> list[Any]:
    """Give the samplers that choose. A top_p or top_k asks for sampling; what is not given is greedy."""
    asks = given.get("top_p") or given.get("top_k")
    temperature: float = given.get("temperature", 1.0 if asks else 0.0)
    if temperature < _COLDEST:
        return [runtime.llama_sampler_init_greedy()]
    return [
        runtime.llama_sampler_init_top_k(min(int(given.get("top_k") or 0), vocabulary)),
        runtime.llama_sampler_init_top_p(given.get("top_p", 1.0), 1),
        runtime.llama_sampler_init_min_p(given.get("min_p", 0.0), 1),
        runtime.llama_sampler_init_temp(min(temperature, _HOTTEST)),
        runtime.llama_sampler_init_dist(seed_of(given) % _RANDOM_SEED),
    ]


def last_logits(context: Any, vocabulary: int) -> Any:
    """Give the logits of the last token as an array that writes through to the runtime's own."""
    return numpy.ctypeslib.as_array(runtime.llama_get_logits_ith(context, -1), shape=(vocabulary,))
