"""Vectors that need no model, for `ScriptedLLM` and `FunctionLLM`. Pure."""

from __future__ import annotations

import re
import zlib

_DIMENSIONS = 64
_WORD = re.compile(r"\w+")


def word_vector(text: str) -> list[float]:
    """Give 64 numbers for the words of *text*: the same on every machine, of length 1.

    Texts that share words are near to each other, whatever the order and the case of them.
    """
    counts = [0.0] * _DIMENSIONS
    for word in _WORD.findall(text.casefold()) or [text]:
        counts[zlib.crc32(word.encode(errors="replace")) % _DIMENSIONS] += 1.0
    length = sum(count * count for count in counts) ** 0.5
    return [count / length for count in counts]
