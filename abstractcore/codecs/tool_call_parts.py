"""Tool calls of the Chat Completions wire, put together from their deltas.

Knows the oddities of the servers that stream them. Knows nothing of tools.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from abstractcore.codecs.json_text import as_object, as_text, clean, is_object
from abstractcore.types import ToolCall


class _Part:
    """A call that is being put together."""

    __slots__ = ("arguments", "given", "id", "index", "name", "pieces")

    def __init__(self, index: int) -> None:
        self.given = 0  # how many of the pieces of a text
        self.index = index
        self.id: str | None = None
        self.name = ""
        self.pieces: list[str] = []
        self.arguments: dict[str, Any] | None = None  # when the server sends an object, not a string

    def new_text(self) -> str:
        """Give the arguments' words that have not been given yet."""
        if self.arguments is not None:
            self.pieces, self.arguments = [written(self.arguments)], None
        given, self.given = self.given, len(self.pieces)
        return "".join(self.pieces[given:])

    def is_whole(self) -> bool:
        """Whether the arguments so far are all of an object."""
        return self.arguments is not None or (
            self.pieces != [] and read_arguments("".join(self.pieces))[1] is None
        )


class ToolCallParts:
    """Collects the deltas of one answer's tool calls; *index* says which call, where it can be trusted.

    The arguments of a call of the tool *text* are no call but a text, which `new_text` gives.
    """

    __slots__ = ("_by_id", "_by_index", "_parts", "_text")

    def __init__(self, text: str | None = None) -> None:
        self._text = text
        self._parts: list[_Part] = []
        self._by_index: dict[int, _Part] = {}
        self._by_id: dict[str, _Part] = {}

    def add(self, items: Iterable[Any], *, are_whole: bool = False) -> None:
        """Take a delta's list of parts, or (*are_whole*) a message's list of calls."""
        for item in items:
            if is_object(item):
                self._add(item, as_object(item.get("function")), are_whole)

    def _add(self, item: dict[str, Any], function: dict[str, Any], is_whole: bool) -> None:
        index = item.get("index")
        index = index if type(index) is int else None
        call_id, name = as_text(item.get("id")), as_text(function.get("name"))
        arguments = function.get("arguments")
        if not (call_id or name or arguments):
            return
        part = None if is_whole else self._known(index, call_id)
        if part is None or _starts_another(part, index, call_id, name, bool(arguments)):
            part = self._new(index)
        if call_id and part.id is None:
            part.id = call_id
            self._by_id[call_id] = part
        part.name = part.name or name or ""
        if isinstance(arguments, str):
            part.pieces.append(arguments)
        elif is_object(arguments):
            part.arguments = arguments
        elif arguments is not None:
            part.pieces.append(written(arguments))

    def _known(self, index: int | None, call_id: str | None) -> _Part | None:
        if index is not None:
            return self._by_index.get(index)
        if call_id is not None:
            return self._by_id.get(call_id)
        return self._parts[-1] if self._parts else None

    def _new(self, index: int | None) -> _Part:
        part = _Part(len(self._parts) if index is None else index)
        self._parts.append(part)
        self._by_index[part.index] = part
        return part

    @property
    def has_text(self) -> bool:
        """Whether a call is a text."""
        return any(self._is_text(part) for part in self._parts)

    def new_text(self) -> str:
        """Give what the texts have grown by since this was asked last."""
        return "".join(part.new_text() for part in self._parts if self._is_text(part))

    def _is_text(self, part: _Part) -> bool:
        return self._text is not None and part.name == self._text

    def calls(self) -> list[ToolCall]:
        """Give the calls in the model's order; an id that is missing or taken is replaced by one of ours."""
        used = {part.id for part in self._parts}
        given: set[str] = set()
        calls: list[ToolCall] = []
        parts = self._parts
        if len({part.index for part in parts}) == len(parts):  # else they are not to be trusted
            parts = sorted(parts, key=lambda part: part.index)
        for part in parts:
            if self._is_text(part):
                continue
            call_id = part.id
            if call_id is None or call_id in given:
                number = len(calls) + 1
                while (call_id := f"call_{number}") in used or call_id in given:
                    number += 1
            given.add(call_id)
            calls.append(_call(call_id, part))
        return calls


def _starts_another(
    part: _Part, index: int | None, call_id: str | None, name: str | None, has_arguments: bool
) -> bool:
    """Whether a delta that seems to belong to *part* begins a call of its own.

    Some servers number every call 0, some send no index, some no id, some repeat id and name in
    each delta. A call begins with a name.
    """
    if not name:
        return False
    if call_id and part.id:
        if call_id != part.id:
            return True
        if index is not None:
            return False
    if part.name and name != part.name:
        return True
    return bool(part.name) and has_arguments and part.is_whole()


def _call(call_id: str, part: _Part) -> ToolCall:
    # An object is read as its text would be: a number in it may be more than JSON can say.
    text = "".join(part.pieces) if part.arguments is None else written(part.arguments)
    return ToolCall(call_id, part.name, *read_arguments(text))


def read_arguments(text: str) -> tuple[dict[str, Any], str | None]:
    """Read the model's arguments; when they are no JSON object, give none and its words."""
    if text.strip() in ("", "null"):
        return {}, None
    try:
        arguments = clean(json.loads(text, parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError):
        return {}, text
    return (arguments, None) if is_object(arguments) else ({}, text)


def written(arguments: Any) -> str:
    """Write arguments that came as an object, for `read_arguments` to judge."""
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except RecursionError:
        return "[too deeply nested]"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number in it is too large")
    return number
