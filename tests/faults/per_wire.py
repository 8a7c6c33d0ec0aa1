"""Rows that each wire says in its own words; where a wire cannot say one, the row says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.wires import WIRES


class Meaningless(str):
    """Why there is no such row on a wire."""

    __slots__ = ()


def rows(table: Mapping[str, Mapping[str, Any]], name: str) -> pytest.MarkDecorator:
    """Run the test on each wire with each row of *table*, as the argument *name*."""
    for row, words in table.items():
        assert words.keys() == WIRES.keys(), f"{row}: each wire has its words, or a reason to have none"
    params = [
        pytest.param(wire, said, id=f"{wire}-{row}")
        for row, words in table.items()
        for wire, said in words.items()
        if not isinstance(said, Meaningless)
    ]
    return pytest.mark.parametrize(("wire", name), params, indirect=["wire"])
