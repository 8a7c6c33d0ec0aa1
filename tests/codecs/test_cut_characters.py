"""A character that a server cut in two comes out whole, whatever stands between its halves."""

from __future__ import annotations

import json

import pytest

from abstractcore.codecs.json_text import CutCharacters


def joined(*events: str) -> list[str]:
    """The events, however many of them come at once."""
    characters = CutCharacters()
    together = [*characters.joined(list(events)), *characters.end()]
    one_by_one = [whole for event in events for whole in characters.joined([event])] + characters.end()
    assert one_by_one == together
    return together


@pytest.mark.parametrize(
    ("events", "whole"),
    [
        pytest.param([r'{"a":"x\ud83d"}', r'{"a":"\ude42y"}'], ["x", "🙂y"], id="between two events"),
        pytest.param(
            [r'{"a":"\uD83D"}', r'{"a":"\uDE42\uD83D"}', r'{"a":"\uDE42"}'], ["", "🙂", "🙂"], id="in a row"
        ),
        pytest.param([r'{"a":"\\\ud83d"}', r'{"a":"\ude42"}'], ["\\", "🙂"], id="after a backslash"),
        pytest.param([r'{"a":"\\ud83d"}', r'{"a":"\\ude42"}'], [r"\ud83d", r"\ude42"], id="no escapes"),
        pytest.param([r'{"a":"\ud83d\ude42"}', r'{"a":"x"}'], ["🙂", "x"], id="whole in one event"),
    ],
)
def test_the_halves_of_a_character_meet(events: list[str], whole: list[str]) -> None:
    assert [json.loads(event)["a"] for event in joined(*events)] == whole


def test_two_fields_that_say_the_same_are_both_whole() -> None:
    """OpenRouter says a thought twice, as text and as a detail."""
    events = joined(r'{"a":"\ud83d","b":["\ud83d"]}', r'{"a":"\ude42","b":["\ude42"]}')

    assert json.loads(events[1]) == {"a": "🙂", "b": ["🙂"]}


def test_a_half_in_the_middle_of_a_text_stays_where_it_is() -> None:
    events = [r'{"a":"x\ud83dy"}', r'{"a":"\\\"\ude42"}']

    assert joined(*events) == events


@pytest.mark.parametrize("next_event", ["[DONE]", '{"a":"x"}', r'{"a":"\ude42","b":"\ude42"}'])
def test_a_half_whose_other_half_does_not_come_next_stays_alone(next_event: str) -> None:
    assert joined(r'{"a":"x\ud83d"}', next_event) == [r'{"a":"x\ud83d"}', next_event]


def test_a_half_at_the_end_of_everything_is_given() -> None:
    assert joined(r'{"a":"x\ud83d"}') == [r'{"a":"x\ud83d"}']
