"""How a property is searched: a bounded number of cases in `make test`, many in `make test-all`.

The short form draws the same cases each time, so that a change is judged by what it changes; the long
one draws new ones, and keeps what it finds in `.hypothesis`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
_LONG_FROM = 5_000


def forms(short: int, long: int) -> Any:
    """Run the test twice: with `examples=short`, and with `examples=long` where slow tests run."""
    assert short < _LONG_FROM <= long
    slow = (pytest.mark.slow, pytest.mark.timeout(1_800))
    return pytest.mark.parametrize(
        "examples", [pytest.param(short, id="short"), pytest.param(long, id="long", marks=slow)]
    )


def search(examples: int, cases: st.SearchStrategy[T], check: Callable[[T], None]) -> int:
    """Try *check* on *examples* of *cases*, and tell how many there were; the smallest failure is shown."""
    tried = 0

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < _LONG_FROM,
        database=None if examples < _LONG_FROM else settings().database,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        verbosity=Verbosity.normal,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(cases)
    def of_one(case: T) -> None:
        nonlocal tried
        tried += 1
        check(case)

    of_one()
    return tried
