"""Any split of the bytes of any recorded stream gives the same chunks, to the last field."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from abstractcore.errors import AbstractCoreError
from abstractcore.types import StreamChunk
from tests.codecs.recorded import streamed
from tests.properties.recordings import CODECS, codec_of, streams
from tests.properties.searching import forms, search


def told(path: Path, pieces: Iterable[bytes]) -> tuple[list[StreamChunk], Any]:
    """The chunks of a stream that arrives in *pieces*, and what is known of the failure that ends it."""
    chunks: list[StreamChunk] = []
    try:
        for chunk in streamed(codec_of(path), pieces):
            chunks.append(chunk)
    except AbstractCoreError as failure:
        return chunks, (type(failure), str(failure), vars(failure))
    return chunks, None


@cache
def told_at_once(path: Path) -> tuple[list[StreamChunk], Any]:
    return told(path, [path.read_bytes()])


def splits(wire: str) -> st.SearchStrategy[tuple[Path, list[int]]]:
    """A stream, and where it is cut: at places that are drawn, or into many small pieces."""
    places = st.lists(st.integers(0, 4_000), max_size=12) | st.lists(
        st.integers(0, 8), min_size=40, max_size=60
    )
    return st.tuples(st.sampled_from(streams(wire)), places)


@forms(short=300, long=10_000)
@pytest.mark.parametrize("wire", CODECS)
def test_any_split_of_a_recorded_stream_gives_the_same_chunks(wire: str, examples: int) -> None:
    def check(case: tuple[Path, list[int]]) -> None:
        path, steps = case
        data = path.read_bytes()
        assert told(path, cut(data, steps)) == told_at_once(path)

    assert search(examples, splits(wire), check) >= examples


def cut(data: bytes, steps: list[int]) -> list[bytes]:
    """Take *steps* bytes in turn; what is left at the end is one more piece."""
    pieces: list[bytes] = []
    at = 0
    for step in steps:
        pieces.append(data[at : at + step])
        at += step
    return [*pieces, data[at:]]


def test_every_piece_of_a_split_is_there() -> None:
    """Else the test above would compare something else."""
    for steps in ([], [0, 0], [3, 1, 900]):
        assert b"".join(cut(bytes(200), steps)) == bytes(200)
