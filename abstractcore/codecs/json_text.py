"""Vendor JSON read safely: too deep, too odd or not JSON at all never surprises the reader above.

Knows JSON and Unicode. Knows no vendor's field.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeGuard, cast

from abstractcore.errors import IncompleteStreamError, ResponseError

_raw_decode = json.JSONDecoder().raw_decode
_JSON_SPACE = " \t\r\n"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


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
