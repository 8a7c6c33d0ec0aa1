"""The keys and values of a batch, in columns: every row's last token stands in the last one.

A shorter row begins further right, and what is left of it is masked, as transformers itself pads a
batch. So the model's own masks hold, those of sliding windows too. Knows tensors; knows no job and no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

_SPARE_COLUMNS = 64
_MERGED: tuple[type[Any], ...] = (DynamicLayer, DynamicSlidingWindowLayer, DummyLayer)
"""The layers that transformers would keep for itself in place of ours. Their subclasses hold more."""

Pair = tuple[torch.Tensor, torch.Tensor]


def can_merge(config: Any) -> bool:
    """Tell whether each layer of a model keeps one key and one value for each token, and nothing else."""
    return all(type(layer) in _MERGED for layer in DynamicCache(config=config).layers)


@dataclass(frozen=True, slots=True)
class Row:
    """The keys and values of one sequence's tokens, which nobody changes any more. A layer may have none."""

    layers: Sequence[Pair | None]
    length: int

    @property
    def size_bytes(self) -> int:
        """Count what the tensors hold."""
        return sum(one.nbytes for pair in self.layers if pair is not None for one in pair)


def shortened(row: Row, dropped: int) -> Row:
    """Give *row* without its last tokens. Nothing is copied: what goes on from it writes elsewhere."""
    if not dropped:
        return row
    pairs = [pair and (pair[0][:, :, :-dropped], pair[1][:, :, :-dropped]) for pair in row.layers]
    return Row(pairs, row.length - dropped)


class Columns(CacheLayerMixin):
    """One layer: keys and values of all rows, with room to grow: a token is written, and nothing copied."""

    is_sliding = False
    is_croppable = False

    def __init__(self, pair: Pair | None = None) -> None:
        super().__init__()
        self._buffers: list[torch.Tensor] = []
        self._end = 0
        if pair is not None:
            self._take(list(pair), pair[0].shape[-2])

    def _take(self, buffers: list[torch.Tensor], end: int) -> None:
        self._buffers, self._end = buffers, end
        self.keys, self.values = (buffer[:, :, :end] for buffer in buffers)
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Begin without a token."""
        self._take([key_states[:, :, :0], value_states[:, :, :0]], 0)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the tokens of a forward pass to each row, and give all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self._end, self._end + key_states.shape[-2]
        if end > self._buffers[0].shape[-2]:
            self._buffers = [_copied(buffer[:, :, :start], end) for buffer in self._buffers]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self._take(self._buffers, end)
        assert self.keys is not None
        assert self.values is not None
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Give how many columns the masks have, and where they begin."""
        return self._end + query_length, 0

    def get_seq_length(self) -> int:
        """Give the number of columns."""
        return self._end

    def get_max_length(self) -> int:
        """Say that there is no most."""
        return -1

    def row(self, index: int, length: int, *, is_copied: bool) -> Pair:
        """Give the last *length* columns of a row."""
        start = self._end - length
        pair = [buffer[index : index + 1, :, start : self._end] for buffer in self._buffers]
        return (pair[0].clone(), pair[1].clone()) if is_copied else (pair[0], pair[1])

    def arranged(self, kept: torch.Tensor, joining: Sequence[Pair], width: int) -> Columns:
        """Give a layer of the rows *kept*, then those that join, all ending at *width*."""
        old = min(width, self._end)
        parts = [buffer[kept, :, self._end - old : self._end] for buffer in self._buffers]
        arranged = Columns()
        buffers = [_joined(part, [pair[n] for pair in joining], width) for n, part in enumerate(parts)]
        arranged._take(buffers, width)
        return arranged


def _copied(old: torch.Tensor, width: int) -> torch.Tensor:
    """Copy *old* into a buffer with room for more columns than *width*."""
    rows, heads, columns, size = old.shape
    new = old.new_empty((rows, heads, width + max(_SPARE_COLUMNS, width // 8), size))
    new[:, :, :columns] = old
    return new


def _joined(kept: torch.Tensor, joining: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    _, heads, columns, size = kept.shape
    rows = len(kept) + len(joining)
    # What is masked is multiplied by nought, so it must be a number.
    new = kept.new_zeros((rows, heads, width + max(_SPARE_COLUMNS, width // 8), size))
    new[: len(kept), :, width - columns : width] = kept
    for place, row in enumerate(joining, len(kept)):
        new[place, :, width - row.shape[-2] : width] = row[0]
    return new


class Layers:
    """The layers of one model, by its config, of which its caches are made."""

    def __init__(self, config: Any) -> None:
        self._dummies = [type(layer) is DummyLayer for layer in DynamicCache(config=config).layers]

    def cache(self, row: Row | None = None) -> Cache:
        """Make the cache of one sequence, which goes on from *row*."""
        pairs = row.layers if row is not None else [None] * len(self._dummies)
        layers = zip(self._dummies, pairs, strict=True)
        return Cache(layers=[DummyLayer() if dummy else Columns(pair) for dummy, pair in layers])


def row_of(cache: Cache, index: int, length: int, *, is_copied: bool = True) -> Row:
    """Give the last *length* tokens of a row out of a batch."""
    pairs = [
        layer.row(index, length, is_copied=is_copied)
        if isinstance(layer, Columns) and layer.is_initialized
        else None
        for layer in cache.layers
    ]
    return Row(pairs, length)


def arranged(cache: Cache, kept: Sequence[int], joining: Sequence[Row], width: int) -> Cache:
    """Give a batch of the rows *kept* of *cache*, then those that join. *width* is the longest of them."""
    layers: list[Any] = []
    for number, layer in enumerate(cache.layers):
        if isinstance(layer, Columns) and layer.is_initialized:
            pairs = [pair for row in joining if (pair := row.layers[number]) is not None]
            assert layer.keys is not None
            index = torch.tensor(kept, dtype=torch.long, device=layer.keys.device)
            layers.append(layer.arranged(index, pairs, width))
        else:
            layers.append(layer)
    return Cache(layers=layers)
