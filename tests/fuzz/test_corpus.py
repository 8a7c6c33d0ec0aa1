"""Each input that the fuzzer kept holds: it reached a new place of the code, or has once failed."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import kept
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_kept_input_holds(target: str) -> None:
    assert every_kept_input_of(target) > 20


def every_kept_input_of(target: str) -> int:
    inputs = kept(target)
    for data in inputs:
        try:
            TARGETS[target](data)
        except Exception as failure:
            raise AssertionError(f"{target} of {data!r}") from failure
    return len(inputs)


@pytest.mark.parametrize(("target", "broken"), [("framing", "SSEDecoder"), ("marks", "TextMarks")])
def test_a_reader_that_depends_on_the_cuts_is_found(
    target: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above would prove nothing."""
    from tests.fuzz import targets

    class Forgetful(getattr(targets, broken)):
        def feed(self, data):
            return super().feed(data[:3])

    monkeypatch.setattr(targets, broken, Forgetful)
    with pytest.raises(AssertionError):
        every_kept_input_of(target)
