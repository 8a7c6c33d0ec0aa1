"""OpenRouter's `reasoning_details`: what it must be sent back, unmodified, with a tool turn.

A stream brings a detail in pieces: https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from __future__ import annotations

from typing import Any

from abstractcore.codecs.json_text import is_array, is_object

_TEXT_FIELDS = {"reasoning.text": "text", "reasoning.summary": "summary"}


class ReasoningDetails:
    """Collects one answer's details; the pieces of one are joined, a whole message's are left alone."""

    __slots__ = ("_details", "_pieces")

    def __init__(self) -> None:
        self._details: list[dict[str, Any]] = []
        self._pieces: list[list[str]] = []

    def add(self, details: Any, *, are_whole: bool) -> None:
        """Take a message's list of details, or a delta's."""
        for detail in details if is_array(details) else []:
            if not is_object(detail):
                continue
            text = detail.get(_text_field(detail) or "")
            if are_whole or not self._continues(detail):
                self._details.append(dict(detail))
                self._pieces.append([])
            else:  # a signature comes with the last piece
                self._details[-1].update((name, value) for name, value in detail.items() if value is not None)
            if isinstance(text, str):
                self._pieces[-1].append(text)

    def _continues(self, detail: dict[str, Any]) -> bool:
        if not self._details or _text_field(detail) is None:
            return False
        return all(self._details[-1].get(name) == detail.get(name) for name in ("type", "index"))

    def whole(self) -> list[dict[str, Any]]:
        """Give the details as a message holds them."""
        return [
            {**detail, str(_text_field(detail)): "".join(pieces)} if pieces else detail
            for detail, pieces in zip(self._details, self._pieces, strict=True)
        ]


def _text_field(detail: dict[str, Any]) -> str | None:
    return _TEXT_FIELDS.get(str(detail.get("type")))
