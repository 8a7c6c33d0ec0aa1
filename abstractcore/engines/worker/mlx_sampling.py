"""How one answer's tokens are chosen: MLX samplers and logits processors, each with its own state.

Knows logits and tokens. Knows no prompt, no text and no KV cache. A row of a batch that needs nothing
of this has the sampler `greedy` and no processor, and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import seed_of
from abstractcore.engines.worker.grammar import Grammar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sampler = Callable[[mx.array], mx.array]
"""Takes log-probabilities, one row of them for each answer, and gives a token for each."""

Processor = Callable[[mx.array, mx.array], mx.array]
"""Takes the tokens of one answer, its prompt included, and the logits for its next; gives other logits."""

# The parameters beside the common ones, and what each may be.
_EXTRA: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "min_p": ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1),
    "repetition_penalty": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "min_new_tokens": ("an integer from 0", lambda value: type(value) is int and value >= 0),
    "ignore_eos": ("True or False", lambda value: isinstance(value, bool)),
}
# Outside of these, float32 has no room left: the one is greedy, the other a throw of dice.
_COLDEST, _HOTTEST = 1e-5, 1e6


def check_extra(extra: Mapping[str, Any]) -> None:
    """Raise Refused for a parameter that is unknown here, or has a value that it cannot have."""
    for name, value in extra.items():
        if name not in _EXTRA:
            known = ", ".join(_EXTRA)
            raise Refused("ConfigurationError", f"extra: {name!r} is unknown here; there are: {known}")
        words, is_right = _EXTRA[name]
        if not is_right(value):
            raise Refused("ConfigurationError", f"extra: {name} must be {words}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# ---- samplers ----


def greedy(logprobs: mx.array) -> mx.array:
    """Choose the likeliest token of each row."""
    return mx.argmax(logprobs, axis=-1)


def sampler(prompt: Mapping[str, Any], recommended: Mapping[str, Any]) -> Sampler:
    """Give the sampler of a request.

    What it leaves open is as the model's generation config has it: greedy for most. A top_p or top_k
    asks for sampling.
    """
    given = {**prompt["sampling"], **prompt["extra"]}
    samples = bool(recommended.get("do_sample"))
    usual = recommended if samples else {}
    if given.get("temperature") is None and (samples or given.get("top_p") or given.get("top_k")):
        given["temperature"] = usual.get("temperature") or 1.0
    if (given.get("temperature") or 0) < _COLDEST:
        return greedy
    return _Dice(
        seed_of(prompt["sampling"]),
        temperature=min(given["temperature"], _HOTTEST),
        top_k=_first(given, usual, "top_k", 0),
        top_p=_first(given, usual, "top_p", 1.0),
        min_p=_first(given, usual, "min_p", 0.0),
    )


def _first(given: Mapping[str, Any], usual: Mapping[str, Any], name: str, default: Any) -> Any:
    return next((told[name] for told in (given, usual) if told.get(name) is not None), default)


class _Dice:
    """Samples with a key of its own, so that neither the neighbours nor their number change an answer."""

    def __init__(self, seed: int, *, temperature: float, top_k: int, top_p: float, min_p: float) -> None:
        self._key = mx.random.key(seed)
        self._scale = 1 / temperature
        self._top_k = top_k
        self._top_p = top_p
        self._min_p = min_p

    def __call__(self, logprobs: mx.array) -> mx.array:
        self._key, key = mx.random.split(self._key)
        scaled = logprobs.astype(mx.float32) * self._scale
        if 0 < self._top_k < scaled.shape[-1]:
            scaled = _at_least(scaled, mx.topk(scaled, self._top_k).min(axis=-1, keepdims=True))
        if self._min_p > 0:
            scaled = _at_least(scaled, scaled.max(axis=-1, keepdims=True) + math.log(self._min_p))
        if self._top_p < 1:
            scaled = _at_least(scaled, _threshold(scaled, self._top_p))
        return mx.random.categorical(scaled, key=key)


def _at_least(scaled: mx.array, threshold: mx.array) -> mx.array:
    return mx.where(scaled < threshold, -mx.inf, scaled)


def _threshold(scaled: mx.array, top_p: float) -> mx.array:
    """Give the least likely token that is needed for a mass of *top_p*."""
    ordered = mx.sort(scaled, axis=-1)
    likelier = mx.cumsum(mx.softmax(ordered, axis=-1), axis=-1, reverse=True, inclusive=False)
    return mx.where(likelier < top_p, ordered, mx.inf).min(axis=-1, keepdims=True)


# ---- processors ----


class Penalties:
    """Makes what has been said less likely: repetition looks at the prompt too, the others at the answer."""

    def __init__(
        self, ids: Sequence[int], width: int, *, presence: float, frequency: float, repetition: float
    ) -> None:
        self._presence = presence
        self._frequency = frequency
        self._repetition = repetition
        self._in_prompt = mx.zeros((1, width), dtype=mx.bool_)
        self._in_prompt[0, mx.array(list(ids))] = True
        self._counts = mx.zeros((1, width))
        self._has_begun = False

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """Give the logits with the penalties taken off; nothing is computed before its time."""
        if self._has_begun:
            self._counts = self._counts.at[:, tokens[-1:]].add(1)
        self._has_begun = True
        said = self._counts > 0
        scores = logits.astype(mx.float32)
        weaker = mx.where(scores < 0, scores * self._repetition, scores / self._repetition)
        scores = mx.where(said | self._in_prompt, weaker, scores)
        scores = scores - self._presence * said - self._frequency * self._counts
        return scores.astype(logits.dtype)


class Unended:
    """Keeps an answer from ending before it has *least* tokens."""

    def __init__(self, ends: NDArray[numpy.bool_], least: int) -> None:
        self._ends = _on_device(ends)
        self._left = least

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """Rule out what ends an answer, as long as it is too short."""
        self._left -= 1
        return logits if self._left < 0 else mx.where(self._ends, -mx.inf, logits)


class Constraint:
    """Lets a grammar choose what may come next, and an answer end where the grammar lets it.

    It must wait for each token, so a batch with it in is not computed ahead. What it cannot follow it
    keeps in *refused*: an exception out of a processor would end the whole batch.
    """

    def __init__(self, grammar: Grammar, ends: NDArray[numpy.bool_], least: int) -> None:
        self._grammar = grammar
        self._ends = ends
        self._left = least
        self._has_begun = False
        self.refused: Refused | None = None

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """Rule out what the grammar does not allow after *tokens*."""
        if self.refused is not None:
            return logits
        try:
            return mx.where(_on_device(self._allowed(tokens)), logits, -mx.inf)
        except Refused as refusal:
            self.refused = refusal
            return logits

    def _allowed(self, tokens: mx.array) -> NDArray[numpy.bool_]:
        if self._has_begun and not self._grammar.is_over:
            last: Any = tokens[-1].item()
            self._grammar.accept(last)
        self._has_begun = True
        if self._grammar.is_over:
            return self._ends
        allowed = self._grammar.mask()
        self._left -= 1
        longer = allowed & ~self._ends if self._left >= 0 else allowed
        return longer if longer.any() else allowed


def mask_of(ids: Iterable[int], width: int) -> NDArray[numpy.bool_]:
    """Give a row that is true at *ids*."""
    mask = numpy.zeros(width, dtype=numpy.bool_)
    mask[[one for one in ids if one < width]] = True
    return mask


def _on_device(mask: Any) -> mx.array:
    return mx.array(mask)
