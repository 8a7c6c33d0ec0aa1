"""Vendor JSON read safely: too deep, too odd or not JSON at all never surprises the reader above.

Knows JSON and Unicode. Knows no vendor's field.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeGuard, cast

from abstractcore.errors import IncompleteStreamError, ResponseError

_raw_decode = json.JSONDecoder().raw_decode
_JSON_SPACE = " \t\r\n"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# A string that ends with the first half of a surrogate pair, and one that begins with the second.
_CUT_END = re.compile(r'(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2})(?=")')
_CUT_BEGIN = re.compile(r'(?<!\\)"(?=\\u[dD][c-fC-F][0-9a-fA-F]{2})')


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether *value* is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether *value* is a JSON array."""
    return isinstance(value, list)


def as_object(value: Any) -> dict[str, Any]:
    """Give *value* if it is a JSON object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_array(value: Any) -> list[Any]:
    """Give *value* if it is a JSON array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Give *value* if it is a string with something in it, else None."""
    return value if isinstance(value, str) and value else None


def as_count(value: Any) -> int | None:
    """Give *value* if it is a count, else None: what a vendor wrote wrongly is unknown."""
    return value if type(value) is int and value >= 0 else None


def parse(text: str) -> Any:
    """Read one JSON value; its strings can always be encoded.

    Raises ValueError when *text* is not one JSON value, RecursionError when it is too deep.
    """
    text = text.strip(_JSON_SPACE)
    value, end = _raw_decode(text)
    if end != len(text):
        raise ValueError("more text after the JSON value")
    # Half of a surrogate pair can only come out of an escape: bytes are decoded strictly.
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        return clean(value)
    return value


def parse_at(text: str, at: int) -> tuple[Any, int]:
    """Read the JSON value that begins at *at*, and give where it ends. Raises as `parse` does."""
    value, end = _raw_decode(text, at)
    return clean(value), end


def parse_event(text: str) -> dict[str, Any]:
    """Read a stream event's JSON object. Raises IncompleteStreamError; ResponseError when it is too deep."""
    try:
        event = parse(text)
    except RecursionError:
        raise ResponseError("the stream holds JSON that is nested too deeply") from None
    except ValueError:
        event = None
    if type(event) is dict:
        return cast("dict[str, Any]", event)
    raise IncompleteStreamError("bad data in the stream: an event is not a JSON object", phase="body")


def clean(value: Any) -> Any:
    """Replace what no UTF-8 can hold (half of a surrogate pair) by U+FFFD, in every string of *value*."""
    if isinstance(value, str):
        return clean_text(value)
    if is_array(value):
        return [clean(item) for item in value]
    if is_object(value):
        return {clean_text(name): clean(item) for name, item in value.items()}
    return value


def clean_text(text: str) -> str:
    """Replace half of a surrogate pair by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def storable(value: Any) -> Any:
    """Give vendor JSON as a history can hold it: NaN and infinity, which are no JSON, become None.

    None when it is nested too deeply to be saved or sent back.
    """
    try:
        return _finite(value)
    except RecursionError:
        return None


def _finite(value: Any) -> Any:
    if is_array(value):
        return [_finite(item) for item in value]
    if is_object(value):
        return {name: _finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


class CutCharacters:
    """Joins the characters that a server cut in two, as one does that counts text in UTF-16.

    The first half ends a string of one event, the second begins a string of the next, and each is
    nothing by itself. Such an event waits for the next one, which takes the half over.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = ""

    def joined(self, events: list[str]) -> list[str]:
        """Give the JSON texts of the next events with whole characters; the last may have to wait."""
        if len(events) == 1 and not self._waiting and "\\u" not in events[0]:  # nearly always
            return events
        whole: list[str] = []
        for event in events:
            if self._waiting:
                first, event = _joined(self._waiting, event)
                self._waiting = ""
                whole.append(first)
            if "\\u" in event and _CUT_END.search(event):
                self._waiting = event
            else:
                whole.append(event)
        return whole

    def end(self) -> list[str]:
        """Give the event that waits for one that never came."""
        waiting, self._waiting = self._waiting, ""
        return [waiting] if waiting else []


def _joined(first: str, second: str) -> tuple[str, str]:
    halves = [half for _, half in _CUT_END.findall(first)]
    if len(_CUT_BEGIN.findall(second)) != len(halves):
        return first, second
    rest = iter(halves)
    return _CUT_END.sub(r"\1", first), _CUT_BEGIN.sub(lambda _: f'"{next(rest)}', second)
