"""Reads the fields of a request's JSON; what is wrong is a ConfigurationError that names the field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NoReturn, TypeVar, cast

from abstractcore.errors import ConfigurationError, UnsupportedFeatureError
from abstractcore.types import Thinking

T = TypeVar("T")
_WORDS: dict[type, str] = {
    str: "a string", bool: "true or false", dict: "an object", list: "a list", int: "an integer",
}  # fmt: skip
_EFFORTS: Mapping[str, Thinking] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def refuse(param: str, problem: str) -> NoReturn:
    """Raise what a field is refused with."""
    raise ConfigurationError(f"{param}: {problem}", param=param)


def unsupported(param: str, problem: str) -> NoReturn:
    """Raise what a field is refused with that is right, and that the gateway cannot do."""
    raise UnsupportedFeatureError(f"{param}: {problem}", param=param)


def take(fields: Mapping[str, Any], name: str, kind: type[T], where: str = "") -> T | None:
    """Give a field, or None where it is missing or null."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        refuse(where + name, f"expected {_WORDS[kind]}")
    return value


def need(fields: Mapping[str, Any], name: str, kind: type[T], where: str = "") -> T:
    """Give a field that must be there."""
    value = take(fields, name, kind, where)
    return refuse(where + name, "this field is required") if value is None else value


def objects(values: Any, where: str) -> list[dict[str, Any]]:
    """Check a list of objects."""
    if not isinstance(values, list):
        refuse(where, "expected a list")
    for index, value in enumerate(cast("list[Any]", values)):
        if not isinstance(value, dict):
            refuse(f"{where}[{index}]", "expected an object")
    return cast("list[dict[str, Any]]", values)


def plain(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Give one part of text as a text, which every server takes, and any other content as it is."""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def model_of(body: Mapping[str, Any]) -> str:
    """Give the name of the model, which every request must say."""
    return need(body, "model", str) or refuse("model", "this field is required")


def picked(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Give the fields that are set, under the names that `generate` has for them."""
    return {ours: body[theirs] for theirs, ours in names.items() if body.get(theirs) is not None}


def effort(value: Any, where: str) -> Thinking:
    """Read how much a model is to think."""
    if value is None:
        return None
    if not isinstance(value, str) or value not in _EFFORTS:
        refuse(where, f"expected one of {', '.join(_EFFORTS)}")
    return _EFFORTS[value]


def left_over(body: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
    """Name the fields that are set and that nobody reads."""
    return tuple(sorted(name for name, value in body.items() if name not in known and value not in _NOTHING))


def not_taken(body: Mapping[str, Any], fields: Iterable[str]) -> None:
    """Refuse fields whose absence would make the answer another one than was asked for."""
    for name in fields:
        if body.get(name) not in _NOTHING:
            unsupported(name, "this gateway cannot do that")


# What says nothing: an answer would not be another one for it.
_NOTHING: tuple[Any, ...] = (None, False, [], {}, "")
