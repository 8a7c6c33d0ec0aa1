"""JSON as every wire takes it: no NaN, no lone surrogate, no nesting without end.

What these functions raise is a ValueError that never quotes the data, and holds no other
error that does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn


def loads(text: str) -> Any:
    """Read strict JSON; anything else is a ValueError that says where it went wrong."""
    value, problem = _try_loads(text)
    if problem is None and "\\u" in text and _surrogate_inside(value):
        problem = "an escape is half of a surrogate pair"
    if problem is not None:
        raise ValueError(problem)
    return value


def plain(value: Any) -> Any:
    """Copy *value* as dicts, lists and scalars; what JSON cannot carry is a ValueError."""
    text, problem = _try_dumps(value)
    if problem is None and surrogate_at(text) is not None:
        problem = "a text in it holds a lone surrogate"
    if problem is not None:
        raise ValueError(problem)
    return json.loads(text)


def surrogate_at(text: str) -> int | None:
    """Say where *text* holds a lone surrogate, which UTF-8 cannot carry; None when nowhere."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        return failure.start
    return None


# The errors are turned into words here and raised outside the `except`, since a JSONDecodeError
# and a UnicodeEncodeError hold the whole text, also as the context of another error.
def _try_loads(text: str) -> tuple[Any, str | None]:
    if surrogate_at(text) is not None:
        return None, "the text holds a lone surrogate"
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite), None
    except json.JSONDecodeError as failure:
        return None, f"{failure.msg} at character {failure.pos}"
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError as failure:
        return None, str(failure)


def _try_dumps(value: Any) -> tuple[str, str | None]:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_dict), None
    except RecursionError:
        return "", "it is nested too deeply"
    except (TypeError, ValueError) as failure:
        return "", str(failure)


def _surrogate_inside(value: Any) -> bool:
    return surrogate_at(json.dumps(value, ensure_ascii=False)) is not None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number in it is too large")
    return number


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise TypeError(f"an object of type {type(value).__name__} is not JSON")
