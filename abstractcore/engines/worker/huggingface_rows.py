"""The sequences that a model decodes: all in one forward pass, or one after the other.

Knows tensors, caches and the models' signatures. Knows no job and no text.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from transformers.cache_utils import Cache, DynamicCache

from abstractcore.engines.worker.huggingface_cache import Layers, Row, arranged, can_merge, row_of

_LONGEST_PIECE = 256


class Rows(Protocol):
    """The rows of a batch, in an order that only `arrange` changes."""

    is_merged: bool
    longest_piece: int | None
    """How many tokens of a prompt are read at a time, None for all of them."""
    row_bytes: float
    """What a row holds however long it is, and with each token *token_bytes* more."""
    token_bytes: float

    def size_bytes(self, lengths: Sequence[int]) -> int:
        """Tell how much rows of these lengths hold."""
        ...

    def begin(self, row: Row | None) -> Any:
        """Begin a sequence beside the batch, which goes on from *row*."""
        ...

    def read(self, sequence: Any, ids: Sequence[int]) -> torch.Tensor:
        """Read more of a sequence, and give the logits after it."""
        ...

    def row_beside(self, sequence: Any) -> Row | None:
        """Copy what a sequence beside the batch has read, where that can be kept."""
        ...

    def row(self, place: int) -> Row | None:
        """Copy what a row of the batch has read, where that can be kept."""
        ...

    def arrange(self, kept: Sequence[int], joining: Sequence[Any]) -> None:
        """Keep these rows, and take these sequences behind them."""
        ...

    def decode(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read a token in each row, and give each row's logits."""
        ...


def rows_for(model: Any) -> Rows:
    """Choose for a model: its layers, and whether it can be told where a padded row begins."""
    words = inspect.signature(model.forward).parameters
    config = model.config.get_text_config(decoder=True)
    told = {"past_key_values", "attention_mask", "position_ids"}
    if told <= set(words) and model._supports_default_dynamic_cache() and can_merge(config):
        return Together(model, config)
    return Apart(model, config)


_SHORT, _LONGER = [0], [0, 0, 0]
"""Any tokens: they are read once, since only a cache that is there tells how large it is."""


class _Forward:
    """A model's forward pass, for the logits of each row's last token."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._device = model.device
        words = inspect.signature(model.forward).parameters
        self._words: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in words else {}

    def __call__(self, ids: Sequence[Sequence[int]], **words: Any) -> torch.Tensor:
        there = torch.tensor(ids, dtype=torch.long, device=self._device)
        output = self._model(input_ids=there, return_dict=True, **self._words, **words)
        return output.logits[:, -1].float()


@dataclass(slots=True)
class _Beside:
    cache: Cache
    length: int


class Together:
    """All rows in one forward pass, in one cache of columns."""

    is_merged = True
    longest_piece: int | None = _LONGEST_PIECE

    def __init__(self, model: Any, config: Any) -> None:
        self._forward = _Forward(model)
        self._device = model.device
        self._layers = Layers(config)
        self._cache = Cache(layers=[])
        self._lengths: list[int] = []
        self.row_bytes = 0.0
        self.token_bytes = self._size_of(_LONGER) / len(_LONGER)

    @torch.inference_mode()
    def _size_of(self, ids: Sequence[int]) -> int:
        sequence = self.begin(None)
        self.read(sequence, ids)
        return self.row_beside(sequence).size_bytes

    def size_bytes(self, lengths: Sequence[int]) -> int:
        """Tell how much rows of these lengths hold: all are as long as the longest."""
        return int(self.token_bytes * len(lengths) * max(lengths, default=0))

    def begin(self, row: Row | None) -> _Beside:
        """Begin a sequence, which goes on from *row*."""
        return _Beside(self._layers.cache(row), 0 if row is None else row.length)

    def read(self, sequence: _Beside, ids: Sequence[int]) -> torch.Tensor:
        """Read more of a sequence, and give the logits after it."""
        places = torch.arange(sequence.length, sequence.length + len(ids), device=self._device)
        logits = self._forward(
            [ids], position_ids=places[None], past_key_values=sequence.cache, use_cache=True
        )
        sequence.length += len(ids)
        return logits[0]

    def row_beside(self, sequence: _Beside) -> Row:
        """Copy what a sequence beside the batch has read."""
        return row_of(sequence.cache, 0, sequence.length)

    def row(self, place: int) -> Row | None:
        """Copy what a row has read."""
        return row_of(self._cache, place, self._lengths[place])

    def arrange(self, kept: Sequence[int], joining: Sequence[_Beside]) -> None:
        """Keep these rows, and take these sequences behind them."""
        lengths = [*(self._lengths[place] for place in kept), *(one.length for one in joining)]
        if len(lengths) == 1 and joining:
            self._cache = joining[0].cache
        elif lengths:
            source = self._cache if kept else joining[0].cache
            rows = [row_of(one.cache, 0, one.length, is_copied=False) for one in joining]
            self._cache = arranged(source, kept, rows, max(lengths))
        else:
            self._cache = Cache(layers=[])
        self._lengths = lengths

    def decode(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read a token in each row, and give each row's logits."""
        lengths = torch.tensor(self._lengths, device=self._device)[:, None]
        logits = self._forward(
            [[token] for token in tokens],
            attention_mask=self._mask(lengths),
            position_ids=lengths,
            past_key_values=self._cache,
            use_cache=True,
        )
        self._lengths = [length + 1 for length in self._lengths]
        return logits

    def _mask(self, lengths: torch.Tensor) -> torch.Tensor | None:
        """Tell which columns hold a token of their row, the new one's included."""
        width = max(self._lengths)
        if min(self._lengths) == width:
            return None
        return torch.arange(width + 1, device=self._device) >= width - lengths


@dataclass(slots=True)
class _Alone:
    cache: Any
    ids: list[int]


class Apart:
    """Each row with a cache of its own, as the model wants it, in turn.

    For layers with a state that cannot be padded or cut: recurrent ones, and those that mix both. A
    prompt is read at once, since not all of these go on from what they have read by more than a token.
    """

    is_merged = False
    longest_piece: int | None = None

    def __init__(self, model: Any, config: Any) -> None:
        self._forward = _Forward(model)
        self._config = config
        self._rows: list[_Alone] = []
        words = inspect.signature(model.forward).parameters
        names = [name for name in ("past_key_values", "cache_params") if name in words]
        self._name = names[0] if names and model._supports_default_dynamic_cache() else None
        short, longer = (self._size_of(ids) for ids in (_SHORT, _LONGER))
        self.token_bytes = (longer - short) / (len(_LONGER) - len(_SHORT))
        self.row_bytes = short - self.token_bytes * len(_SHORT)

    @torch.inference_mode()
    def _size_of(self, ids: Sequence[int]) -> int:
        sequence = self.begin(None)
        self.read(sequence, ids)
        return sum(_bytes_in(vars(layer)) for layer in sequence.cache.layers) if sequence.cache else 0

    def size_bytes(self, lengths: Sequence[int]) -> int:
        """Tell how much rows of these lengths hold."""
        return int(self.row_bytes * len(lengths) + self.token_bytes * sum(lengths))

    def begin(self, row: Row | None) -> _Alone:
        """Begin a sequence."""
        return _Alone(DynamicCache(config=self._config) if self._name else None, [])

    def read(self, sequence: _Alone, ids: Sequence[int]) -> torch.Tensor:
        """Read more of a sequence, and give the logits after it."""
        sequence.ids += ids
        if self._name is None:  # a cache of a kind of its own: everything is read again
            return self._forward([sequence.ids], use_cache=False)[0]
        return self._forward([ids], **{self._name: sequence.cache}, use_cache=True)[0]

    def row_beside(self, sequence: _Alone) -> Row | None:
        """Give nothing: what it has read cannot be kept for others."""
        return None

    def row(self, place: int) -> Row | None:
        """Give nothing, likewise."""
        return None

    def arrange(self, kept: Sequence[int], joining: Sequence[_Alone]) -> None:
        """Keep these rows, and take these sequences behind them."""
        self._rows = [*(self._rows[place] for place in kept), *joining]

    def decode(self, tokens: Sequence[int]) -> torch.Tensor:
        """Read a token in each row, one row after the other."""
        return torch.stack([self.read(row, [token]) for row, token in zip(self._rows, tokens, strict=True)])


def _bytes_in(held: Any) -> int:
    """Count the bytes of the tensors that are held, whatever names a layer has for them."""
    if isinstance(held, torch.Tensor):
        return held.nbytes
    values: Any = held.values() if isinstance(held, dict) else held if isinstance(held, (list, tuple)) else ()
    return sum(map(_bytes_in, values))
