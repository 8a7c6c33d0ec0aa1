"""What a model has read before: KV caches by the tokens in them, the least recently used leaving first.

Knows token ids and sizes. Knows no runtime: how a cache is copied and shortened is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Cache = TypeVar("Cache")

Copy = Callable[[Cache, int], Cache]
"""Copies a cache without its last so many tokens (0: whole). What is done to the copy leaves the cache be."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry(Generic[Cache]):
    ids: list[int]
    cache: Cache
    size_bytes: int
    can_trim: bool


class Prefixes(Generic[Cache]):
    """A store of KV caches that never holds more than *budget_bytes*.

    A prompt gets the longest beginning that it shares with an entry. Where they part before the
    entry's end, the entry must be one that can be trimmed: a recurrent state or a window that has
    moved on cannot be, and serves only prompts that go on from its last token.
    """

    def __init__(self, budget_bytes: int, copy: Copy[Cache]) -> None:
        self._budget_bytes = budget_bytes
        self._copy = copy
        self._entries: list[_Entry[Cache]] = []  # the most recently used is the last
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def take(self, ids: Sequence[int]) -> tuple[Cache, int] | None:
        """Give a copy of the best cache for a prompt, and how many of its tokens are in it.

        At least the prompt's last token is left to be read: an answer begins with what the model
        makes of it.
        """
        wanted = list(ids)
        best, length = None, 0
        for entry in self._entries:
            shared = min(_shared(entry.ids, wanted), len(wanted) - 1)
            if shared > length and (entry.can_trim or shared == len(entry.ids)):
                best, length = entry, shared
        if best is None:
            return None
        self._touch(best)
        return self._copy(best.cache, len(best.ids) - length), length

    def put(self, ids: Sequence[int], cache: Cache, size_bytes: int, *, can_trim: bool = True) -> None:
        """Keep a cache that holds exactly *ids*. It belongs to the store from here on.

        Entries that it makes superfluous leave. One that is larger than the budget is not kept.
        """
        entry = _Entry(list(ids), cache, size_bytes, can_trim)
        if not entry.ids or size_bytes > self._budget_bytes:
            return
        better = next((other for other in self._entries if _serves(other, entry)), None)
        if better is not None:
            return self._touch(better)
        for other in [one for one in self._entries if _serves(entry, one)]:
            self._drop(other)
        self._entries.append(entry)
        self.size_bytes += size_bytes
        self._make_fit()

    def resize(self, budget_bytes: int) -> None:
        """Take a new budget; what does not fit in it any more leaves at once."""
        self._budget_bytes = budget_bytes
        self._make_fit()

    def _touch(self, entry: _Entry[Cache]) -> None:
        self._entries.remove(entry)
        self._entries.append(entry)

    def _make_fit(self) -> None:
        while self._entries and self.size_bytes > self._budget_bytes:
            self._drop(self._entries[0])

    def _drop(self, entry: _Entry[Cache]) -> None:
        self._entries.remove(entry)
        self.size_bytes -= entry.size_bytes


def _serves(entry: _Entry[Any], other: _Entry[Any]) -> bool:
    """Whether every prompt that *other* helps is helped as much by *entry*."""
    reaches = len(entry.ids) == len(other.ids) or (entry.can_trim and len(entry.ids) > len(other.ids))
    return reaches and _shared(entry.ids, other.ids) == len(other.ids)


def _shared(left: list[int], right: list[int]) -> int:
    """Count how many tokens two lists have in common from their beginning, comparing whole slices."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
