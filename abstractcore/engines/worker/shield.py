"""Keeps data apart from a chat template's own words: text that looks like a control token stays text.

Knows strings. Knows no tokenizer and no template.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_KEY = 2


class Controls:
    """The texts of a model's control tokens; some models have thousands."""

    def __init__(self, texts: Iterable[str]) -> None:
        by_key: dict[str, list[str]] = {}
        for text in sorted({text for text in texts if len(text) >= _KEY and not text.isspace()}, key=len)[
            ::-1
        ]:
            by_key.setdefault(text[:_KEY], []).append(text)
        self._by_key = {key: tuple(found) for key, found in by_key.items()}
        # One pattern of all of them would try each at every `<`.
        self._keys = re.compile("|".join(map(re.escape, by_key)) or "(?!)")

    def found(self, text: str) -> Iterator[tuple[int, str]]:
        """Give each one in *text* and where it begins, the longest where several do."""
        at = 0
        while match := self._keys.search(text, at):
            start = match.start()
            candidates = self._by_key[match[0]]
            if text.startswith(candidates, start):
                control = next(one for one in candidates if text.startswith(one, start))
                yield start, control
                at = start + len(control)
            else:
                at = start + 1

    def are_in(self, data: Any) -> bool:
        """Whether there is one in any text of *data*, a template's JSON."""
        if isinstance(data, str):
            return any(self.found(data))
        if isinstance(data, Mapping):
            return any(self.are_in(one) for pair in data.items() for one in pair)
        return isinstance(data, list | tuple) and any(self.are_in(item) for item in data)


class Shield:
    """Puts a random word in the place of each control token in one prompt's data, until it is rendered."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._nonce = f"z{secrets.token_hex(16)}z"
        self._words: dict[str, str] = {}

    def over(self, data: Any) -> Any:
        """Give *data*, a template's JSON, with words for the control tokens in its texts."""
        if isinstance(data, str):
            return self._covered(data)
        if isinstance(data, Mapping):
            return {self.over(key): self.over(item) for key, item in data.items()}
        return [self.over(item) for item in data] if isinstance(data, list | tuple) else data

    def parts(self, text: str) -> Sequence[tuple[str, bool]]:
        """Split what was rendered; each part says whether it was such a text in the data."""
        if not self._words:
            return [(text, False)]
        meant = {word: control for control, word in self._words.items()}
        parts = re.split(f"({self._nonce}[0-9]+z)", text)
        return [(meant.get(part, part), part in meant) for part in parts if part]

    def _covered(self, text: str) -> str:
        pieces: list[str] = []
        end = 0
        for start, control in self._controls.found(text):
            word = self._words.setdefault(control, f"{self._nonce}{len(self._words)}z")
            pieces += (text[end:start], word)
            end = start + len(control)
        return "".join([*pieces, text[end:]]) if pieces else text
