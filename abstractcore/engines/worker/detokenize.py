"""Token ids to text, one step at a time: no character is cut, no mark is lost, and stop texts end it.

Knows ids, bytes and text. Knows no runtime: what decodes is handed in.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

Decode = Callable[[Sequence[int]], str]
"""A tokenizer's own decoding, special tokens included."""

PROBE = "Hi  there,\n\n\tnaïve café 日本語 🙂 x=1;"
"""Text that tells whether a vocabulary's bytes are what its tokenizer decodes to."""


class Detokenizer(Protocol):
    """One answer's ids to text."""

    def feed(self, ids: Sequence[int]) -> str:
        """Give the text that *ids* complete."""
        ...

    def end(self) -> str:
        """Give what was held back; what is no UTF-8 becomes U+FFFD."""
        ...


class FromBytes:
    """Joins the bytes of the vocabulary; exact, and a step costs its own tokens only.

    With *strips_space* a space that the answer begins with belongs to its first word's token.
    """

    def __init__(
        self, vocabulary: Mapping[int, bytes], silent: Collection[int], *, strips_space: bool = False
    ) -> None:
        self._vocabulary = vocabulary
        self._silent = silent
        self._strips_space = strips_space
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, ids: Sequence[int]) -> str:
        """Give the characters whose last byte is in *ids*."""
        known = self._vocabulary
        text = self._decoder.decode(b"".join(known.get(one, b"") for one in ids if one not in self._silent))
        if text and self._strips_space:
            self._strips_space = False
            return text.removeprefix(" ")
        return text

    def end(self) -> str:
        """Give U+FFFD for a character that was never completed."""
        return self._decoder.decode(b"", True)


class FromWindow:
    """Asks the tokenizer for the last few tokens with and without the new ones; the difference is new.

    For vocabularies whose pieces are not the bytes of the text (SentencePiece). A window that can
    be decoded alone starts the next one.
    """

    def __init__(self, decode: Decode, silent: Collection[int]) -> None:
        self._decode = decode
        self._silent = silent
        self._ids: list[int] = []
        self._start = self._read = 0

    def feed(self, ids: Sequence[int]) -> str:
        """Give the new text, unless it ends inside a character."""
        self._ids += [one for one in ids if one not in self._silent]
        text = self._new()
        # Three bytes of a character may be waiting for their fourth. More than that is no character.
        is_cut = 0 < len(text) - len(text.rstrip("\ufffd")) <= 3
        return "" if is_cut else self._taken(text)

    def end(self) -> str:
        """Give what was held back, as the tokenizer decodes it."""
        return self._taken(self._new())

    def _new(self) -> str:
        before = self._text(self._start, self._read)
        return self._text(self._start, len(self._ids))[len(before) :]

    def _taken(self, text: str) -> str:
        alone = self._text(self._read, len(self._ids))
        if text and alone.lstrip() == text.lstrip():
            self._start = self._read
        self._read = len(self._ids)
        return text

    def _text(self, start: int, end: int) -> str:
        return self._decode(self._ids[start:end]) if end > start else ""


class StopTexts:
    """Cuts an answer before the first of its stop texts, wherever the tokens cut those."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._longest = max(map(len, stops), default=1) - 1
        self._held = ""
        self.is_met = False

    def feed(self, text: str) -> str:
        """Give what can be given out of *text* and what was held before."""
        if not self._stops:
            return text
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.is_met = True
            self._held = ""
            return text[: min(found)]
        kept = self._beginning_at(text)
        self._held = text[kept:]
        return text[:kept]

    def end(self) -> str:
        """Give what was held back, since no stop text came of it."""
        held, self._held = self._held, ""
        return held

    def _beginning_at(self, text: str) -> int:
        """Tell where the longest end of *text* begins that a stop text may go on from."""
        for at in range(max(0, len(text) - self._longest), len(text)):
            if any(stop.startswith(text[at:]) for stop in self._stops):
                return at
        return len(text)
