"""Logits to tokens, each row by the words of its own request and from random numbers of its own.

Knows logits and ids. Knows no cache and no batch: a row gets the same tokens whoever its neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker.batch import seed_of

if TYPE_CHECKING:
    from abstractcore.engines.worker.grammar import Grammar

_EXTRA = ("min_p", "repetition_penalty", "no_repeat_ngram_size", "min_new_tokens", "ignore_eos")
# What transformers takes where neither the request nor the model's generation config says anything.
_USUAL_TOP_K = 50


def _processors(value: Callable[[str, Any], Any], device: torch.device) -> tuple[LogitsProcessor, ...]:
    made: list[LogitsProcessor] = []
    if (penalty := float(value("repetition_penalty", 1.0))) != 1:
        made.append(RepetitionPenaltyLogitsProcessor(penalty))
    if size := value("no_repeat_ngram_size", 0):
        made.append(NoRepeatNGramLogitsProcessor(size))
    if tokens := value("suppress_tokens", None):
        made.append(SuppressTokensLogitsProcessor(tokens, device=str(device)))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes one answer: the request's words, then the model's own, then transformers'."""

    is_greedy: bool
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    presence_penalty: float
    frequency_penalty: float
    min_new_tokens: int
    ignores_eos: bool
    processors: tuple[LogitsProcessor, ...]


def settings(prompt: Mapping[str, Any], defaults: Any, device: torch.device) -> Settings:
    """Read a prompt; *defaults* is the model's generation config. Raises Refused."""
    given: dict[str, Any] = {**prompt["sampling"], **prompt["extra"]}
    if unknown := [name for name in prompt["extra"] if name not in _EXTRA]:
        known = ", ".join(_EXTRA)
        raise Refused("ConfigurationError", f"extra: {unknown[0]!r} is unknown here; there are: {known}")

    def value(name: str, usual: Any) -> Any:
        own = getattr(defaults, name, None)
        return given.get(name, usual if own is None else own)

    asks_to_sample = any(given.get(name) for name in ("temperature", "top_p", "top_k", "min_p"))
    try:
        return Settings(
            is_greedy=given.get("temperature") == 0 or not (asks_to_sample or value("do_sample", False)),
            temperature=_within(given, "temperature", value("temperature", 1.0), 0.0) or 1.0,
            top_k=int(_within(given, "top_k", value("top_k", _USUAL_TOP_K), 0)),
            top_p=_within(given, "top_p", value("top_p", 1.0), 0.0, 1.0),
            min_p=_within(given, "min_p", value("min_p", 0.0), 0.0, 1.0),
            presence_penalty=float(given.get("presence_penalty", 0.0)),
            frequency_penalty=float(given.get("frequency_penalty", 0.0)),
            min_new_tokens=int(value("min_new_tokens", 0)),
            ignores_eos=bool(given.get("ignore_eos", False)),
            processors=_processors(value, device),
        )
    except (ValueError, TypeError) as failure:
        raise Refused("ConfigurationError", f"the sampling cannot be as asked: {failure}") from failure


def _within(
    given: Mapping[str, Any], name: str, value: Any, least: float, most: float = float("inf")
) -> float:
    if isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{name} is {given.get(name, value)!r}")
    return float(value)


class Sampler:
    """One answer's way from logits to a token."""

    def __init__(
        self,
        prompt: Mapping[str, Any],
        how: Settings,
        eos_ids: Sequence[int],
        grammar: Grammar | None,
        device: torch.device,
    ) -> None:
        self.how = how
        self.grammar = grammar
        self._eos_ids = list(eos_ids)
        self._device = device
        self._random = torch.Generator(device).manual_seed(seed_of(prompt["sampling"]))
        is_shaped = how.processors or how.presence_penalty or how.frequency_penalty
        self._is_shaped = bool(is_shaped or how.min_new_tokens or grammar is not None)
        self.is_plain = how.is_greedy and not self._is_shaped
        """Whether the token is the most likely one and nothing else need be asked."""

    def pick(self, logits: torch.Tensor, ids: Sequence[int], new: int) -> torch.Tensor:
        """Give the next token after *ids*, of which the last *new* are the answer's. Raises Refused."""
        if self._is_shaped:
            logits = self._shaped(logits.clone(), ids, new)
        return logits.argmax() if self.how.is_greedy else self._drawn(logits)

    def _shaped(self, logits: torch.Tensor, ids: Sequence[int], new: int) -> torch.Tensor:
        how = self.how
        if how.processors:
            before = torch.tensor([ids], dtype=torch.long, device=self._device)
            for processor in how.processors:
                logits = processor(before, logits[None])[0]  # pyright: ignore[reportArgumentType]
        if (how.presence_penalty or how.frequency_penalty) and new:
            said = torch.tensor(ids[-new:], dtype=torch.long, device=self._device)
            seen, counts = said.unique(return_counts=True)
            logits[seen] -= how.presence_penalty + how.frequency_penalty * counts
        if self.grammar is not None:
            return self._held(logits, self.grammar)
        if new < how.min_new_tokens:
            logits[self._eos_ids] = -torch.inf
        return logits

    def _held(self, logits: torch.Tensor, grammar: Grammar) -> torch.Tensor:
        """Leave what the schema allows, which comes before all else that was asked."""
        forbidden = ~torch.from_numpy(grammar.mask()).to(self._device)
        held = logits.masked_fill(forbidden, -torch.inf)
        if self.how.processors and held.max() == -torch.inf:
            held = torch.zeros_like(logits).masked_fill(forbidden, -torch.inf)
        return held

    def _drawn(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw a token: the largest share, each divided by a random number, is drawn as often as it says."""
        odds, tokens = shares(logits, self.how)
        drawn = (odds / torch.empty_like(odds).exponential_(generator=self._random)).argmax()
        return drawn if tokens is None else tokens[drawn]


def shares(logits: torch.Tensor, how: Settings) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Give each token's share, as transformers' warpers in their order leave it, and which tokens they are.

    Only the likeliest are looked at where that is asked, since a vocabulary takes long to sort; None
    means all of them. The shares need not make up one.
    """
    count = min(int(how.top_k) or len(logits), len(logits))
    if count < len(logits) or how.top_p < 1:
        likely, tokens = logits.topk(count)
    else:
        likely, tokens = logits, None
    odds = torch.softmax((likely - likely.max()) / how.temperature, -1)
    if how.top_p < 1:  # a token stays while those before it do not yet make up top_p
        odds = odds * (odds.cumsum(-1) - odds < how.top_p)
    if how.min_p > 0:
        odds = odds * (odds >= how.min_p * odds.max())
    return odds, tokens
