"""Tokens to text: characters, marks and stop texts that tokens cut anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from abstractcore.engines.worker.detokenize import Detokenizer, FromBytes, FromWindow, StopTexts

TEXT = "naïve café 日本語 🙂👩‍👩‍👧  two  spaces\n\n\tTab"
VOCABULARY = {number: bytes([number]) for number in range(256)} | {256: b"<|im_end|>", 257: b"<think>"}


def decode(ids: Sequence[int]) -> str:
    """A SentencePiece-like tokenizer: it strips the first space, and drops what is no whole character."""
    return b"".join(VOCABULARY[one] for one in ids).decode("utf-8", "ignore").removeprefix(" ")


def decode_with_replacement(ids: Sequence[int]) -> str:
    return b"".join(VOCABULARY[one] for one in ids).decode("utf-8", "replace")


def from_bytes() -> Detokenizer:
    return FromBytes(VOCABULARY, {256})


def from_window() -> Detokenizer:
    return FromWindow(decode, {256})


def from_window_with_replacement() -> Detokenizer:
    return FromWindow(decode_with_replacement, {256})


KINDS = [from_bytes, from_window, from_window_with_replacement]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_no_cut_changes_the_text(make: Callable[[], Detokenizer], size: int) -> None:
    """FAULTS 1.11: bytes are held until their character is complete."""
    ids = list(TEXT.encode())
    words = make()
    pieces = [words.feed(ids[at : at + size]) for at in range(0, len(ids), size)]

    assert "".join([*pieces, words.end()]) == TEXT
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_that_never_ends_is_replaced_at_the_end_only() -> None:
    """FAULTS 1.11"""
    words = from_bytes()

    assert words.feed(list("ab🙂".encode()[:-1])) == "ab"
    assert words.end() == "\ufffd"


def test_a_window_does_not_hold_bytes_that_are_no_character_for_ever() -> None:
    words = from_window_with_replacement()
    text = "".join(words.feed([0xFF]) for _ in range(10)) + words.end()

    assert text == "\ufffd" * 10


@pytest.mark.parametrize("make", KINDS)
def test_control_tokens_are_silent_and_marks_are_not(make: Callable[[], Detokenizer]) -> None:
    """CONTRACT B11: the marks are read further up."""
    words = make()

    assert words.feed([257, *b"a", 256]) + words.end() == "<think>a"


def cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("stops", "text", "given"),
    [
        (["END"], "one END two", "one "),
        (["END"], "one ENENDx", "one EN"),
        (["END", "two"], "one two END", "one "),
        (["aab"], "aaaab", "aa"),
        (["\n\n"], "a\nb\n\nc", "a\nb"),
        (["never"], "neve", "neve"),
        ([], "all of it", "all of it"),
        (["🙂"], "a🙂b", "a"),
    ],
)
def test_an_answer_ends_before_its_stop_text(stops: list[str], text: str, given: str, size: int) -> None:
    """CONTRACT I1: wherever the tokens cut it; what only looked like one is given."""
    stop = StopTexts(stops)
    pieces: list[Any] = []
    for piece in cut(text, size):
        pieces.append(stop.feed(piece))
        if stop.is_met:
            break

    assert "".join(pieces) + stop.end() == given
    assert stop.is_met == (text != given)
