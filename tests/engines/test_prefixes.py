"""The store of KV caches, over caches that are lists of the tokens in them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from abstractcore.engines.worker.prefixes import Prefixes


def copy(cache: list[int], drop: int) -> list[int]:
    return cache[: len(cache) - drop]


def store(budget_bytes: int = 1000) -> Prefixes[list[int]]:
    return Prefixes(budget_bytes, copy)


def keep(prefixes: Prefixes[list[int]], *ids: int, size_bytes: int = 1, can_trim: bool = True) -> None:
    prefixes.put(ids, list(ids), size_bytes, can_trim=can_trim)


def test_an_empty_store_has_nothing() -> None:
    assert store().take([1, 2, 3]) is None


def test_a_prompt_gets_the_longest_beginning_that_is_there() -> None:
    prefixes = store()
    keep(prefixes, 1, 2, 9, 9)
    keep(prefixes, 1, 2, 3, 4)
    keep(prefixes, 5, 6)

    assert prefixes.take([1, 2, 3, 7, 8]) == ([1, 2, 3], 3)
    assert prefixes.take([1, 2, 3, 4, 5]) == ([1, 2, 3, 4], 4)
    assert prefixes.take([7, 1, 2]) is None


@pytest.mark.parametrize(("prompt", "taken"), [([1, 2, 3], [1, 2]), ([1, 2], [1]), ([1], None)])
def test_the_last_token_of_a_prompt_is_left_to_read(prompt: list[int], taken: list[int] | None) -> None:
    prefixes = store()
    keep(prefixes, 1, 2, 3)

    assert prefixes.take(prompt) == (None if taken is None else (taken, len(taken)))


def test_a_cache_that_cannot_be_trimmed_serves_only_what_goes_on_from_its_end() -> None:
    """CONTRACT I2: a template that drops old thinking parts from the entry before its end."""
    prefixes = store()
    keep(prefixes, 1, 2, 3, can_trim=False)

    assert prefixes.take([1, 2, 3, 4]) == ([1, 2, 3], 3)
    assert prefixes.take([1, 2, 9, 9]) is None
    assert prefixes.take([1, 2, 3]) is None


def test_a_shorter_cache_that_fits_goes_before_a_longer_one_that_does_not() -> None:
    prefixes = store()
    keep(prefixes, 1, 2, can_trim=False)
    keep(prefixes, 1, 2, 3, 4, can_trim=False)

    assert prefixes.take([1, 2, 3, 9]) == ([1, 2], 2)


def test_what_is_taken_is_a_copy() -> None:
    prefixes = store()
    keep(prefixes, 1, 2)
    taken = prefixes.take([1, 2, 3])
    assert taken is not None
    taken[0].append(99)

    assert prefixes.take([1, 2, 3]) == ([1, 2], 2)


def test_the_least_recently_used_leaves_first() -> None:
    """CONTRACT I2"""
    prefixes = store(budget_bytes=3)
    for first in (1, 2, 3):
        keep(prefixes, first, 0)
    prefixes.take([1, 0, 5])  # used again
    keep(prefixes, 2, 0)  # put again
    keep(prefixes, 4, 0)

    assert prefixes.take([3, 0, 5]) is None
    assert [prefixes.take([first, 0, 5]) for first in (1, 2, 4)] == [([first, 0], 2) for first in (1, 2, 4)]


def test_a_longer_cache_takes_the_place_of_its_own_beginning() -> None:
    prefixes = store()
    keep(prefixes, 1, 2, size_bytes=20)
    keep(prefixes, 1, 2, 3, size_bytes=30)
    keep(prefixes, 1, size_bytes=10)

    assert (len(prefixes), prefixes.size_bytes) == (1, 30)


def test_a_longer_cache_that_cannot_be_trimmed_leaves_its_beginning_in_place() -> None:
    prefixes = store()
    keep(prefixes, 1, 2, can_trim=False)
    keep(prefixes, 1, 2, 3, can_trim=False)

    assert len(prefixes) == 2


def test_what_is_larger_than_the_budget_is_not_kept_and_costs_nobody_a_place() -> None:
    prefixes = store(budget_bytes=10)
    keep(prefixes, 1, 2, size_bytes=10)
    keep(prefixes, 1, 2, 3, size_bytes=11)

    assert prefixes.take([1, 2, 3, 4]) == ([1, 2], 2)


def test_a_smaller_budget_holds_at_once() -> None:
    prefixes = store(budget_bytes=30)
    for first in (1, 2, 3):
        keep(prefixes, first, 0, size_bytes=10)
    prefixes.resize(15)

    assert (len(prefixes), prefixes.size_bytes) == (1, 10)
    assert prefixes.take([3, 0, 5]) == ([3, 0], 2)


def test_no_order_of_calls_passes_the_budget_or_gives_what_was_never_read() -> None:
    chance = random.Random(7)
    prefixes = store(budget_bytes=100)
    seen: list[Sequence[int]] = []
    for _ in range(2000):
        ids = [chance.randrange(3) for _ in range(chance.randrange(1, 9))]
        if chance.random() < 0.5:
            keep(prefixes, *ids, size_bytes=chance.randrange(1, 40), can_trim=chance.random() < 0.7)
            seen.append(ids)
        elif (taken := prefixes.take(ids)) is not None:
            cache, length = taken
            assert cache == ids[:length]
            assert any(list(one[:length]) == cache for one in seen)
        assert prefixes.size_bytes <= 100
