"""Type hints through pydantic: a cached adapter for a hint, its JSON Schema, its errors in words.

pydantic is imported at the first hint. Whatever it or a user's validator raises leaves as
one of our errors.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from abstractcore.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter, ValidationError

_MAX_PROBLEM = 1_000


def adapter(hint: Any) -> TypeAdapter[Any]:
    """Give the pydantic adapter of *hint*; one that pydantic cannot read is ConfigurationError."""
    build = _cached_adapter if _is_hashable(hint) else _new_adapter
    try:
        return build(hint)
    except Exception as failure:
        name = getattr(hint, "__name__", None) or repr(hint)
        raise ConfigurationError(f"pydantic cannot read the type {name}: {describe(failure)}") from failure


def json_schema(source: TypeAdapter[Any] | type[BaseModel]) -> dict[str, Any]:
    """Write the JSON Schema of an adapter or a model; its root is never a bare `$ref`."""
    try:
        schema = _generate(source)
    except Exception as failure:
        raise ConfigurationError(f"No JSON Schema can be written: {describe(failure)}") from failure
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    # A model that holds itself is written as a reference, which no provider takes for a root.
    return {**schema["$defs"][reference.removeprefix("#/$defs/")], "$defs": schema["$defs"]}


def describe(failure: Exception, *, words: Mapping[str, str] | None = None) -> str:
    """Say in one short line what a validation error found, and where; the input is not quoted.

    *words* replaces pydantic's sentence for an error of that type.
    """
    from pydantic import ValidationError

    if not isinstance(failure, ValidationError):
        first_line, _, _ = str(failure).partition("\n")
        return _bounded(f"{type(failure).__name__}: {first_line}")
    return _bounded("; ".join(_problems(failure, words or {})))


def _problems(failure: ValidationError, words: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for error in failure.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(step) for step in error["loc"])
        message = words.get(error["type"], error["msg"])
        problems.append(f"{place}: {message}" if place else message)
    return problems


def _bounded(text: str) -> str:
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _MAX_PROBLEM else text[:_MAX_PROBLEM] + "…"


@functools.lru_cache(maxsize=256)
def _cached_adapter(hint: Any) -> TypeAdapter[Any]:
    return _new_adapter(hint)


def _new_adapter(hint: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(readable(hint))


def _is_hashable(hint: Any) -> bool:
    try:
        hash(hint)
    except TypeError:  # Annotated with something that is not
        return False
    return True


@functools.cache
def _generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Quiet(GenerateJsonSchema):
        """Without a title for every field, which only costs tokens, nor a warning for a default."""

        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    return Quiet


def _generate(source: TypeAdapter[Any] | type[BaseModel]) -> dict[str, Any]:
    from pydantic import TypeAdapter

    if isinstance(source, TypeAdapter):
        return source.json_schema(schema_generator=_generator())
    return source.model_json_schema(schema_generator=_generator())


# ---- typing.TypedDict, which pydantic reads from Python 3.12 on ------------------------------


def readable(hint: Any) -> Any:
    """Give *hint* with each `typing.TypedDict` rebuilt as the one of typing_extensions."""
    if sys.version_info >= (3, 12):
        return hint
    if typing.is_typeddict(hint) and type(hint).__module__ == "typing":
        return _rebuilt(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if not arguments or origin is typing.Literal:
        return hint
    replaced = tuple(readable(argument) for argument in arguments)
    if all(new is old for new, old in zip(replaced, arguments, strict=True)):
        return hint
    if origin in (typing.Union, types.UnionType):
        origin = typing.Union
    return cast("Any", typing.Annotated if origin is typing.Annotated else origin)[replaced]


def _rebuilt(hint: Any) -> Any:
    from typing_extensions import TypedDict

    fields: dict[str, Any] = {}
    for name, field in typing.get_type_hints(hint, include_extras=True).items():
        mark = typing.get_origin(field)
        plain = readable(typing.get_args(field)[0] if mark in _MARKS else field)
        # Where annotations are text, __required_keys__ does not know the marks.
        required = mark is typing.Required if mark in _MARKS else name in hint.__required_keys__
        fields[name] = plain if required else typing.NotRequired[plain]
    rebuilt = cast("Callable[..., Any]", TypedDict)(hint.__name__, fields)
    rebuilt.__doc__, rebuilt.__module__ = hint.__doc__, hint.__module__
    return rebuilt


_MARKS = (typing.Required, typing.NotRequired)
