"""A function's parameters, read and checked as far as Python itself can; pydantic is not needed here."""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import sys
import types
import typing
from collections import ChainMap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from abstractcore.errors import ConfigurationError
from abstractcore.tools.context import ToolContext

EMPTY = inspect.Parameter.empty
_REFUSED = {
    inspect.Parameter.POSITIONAL_ONLY: "positional-only",
    inspect.Parameter.VAR_POSITIONAL: "a list of any length (*)",
    inspect.Parameter.VAR_KEYWORD: "a dict of any names (**)",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; *pending* is the annotation as long as a name in it is not defined yet."""

    name: str
    default: Any
    hint: Any
    pending: Any = EMPTY


def underlying(function: Callable[..., Any]) -> Any:
    """Give the plain function inside a method, a partial, a decorated one or a callable object."""
    while True:
        inner: Any = inspect.unwrap(function)
        inner = inner.func if isinstance(inner, functools.partial) else getattr(inner, "__func__", inner)
        if inner is function:
            return function if inspect.isroutine(function) else type(function).__call__
        function = inner


def gives_awaitables(function: Callable[..., Any]) -> bool:
    """Whether *function* says that what it gives is to be awaited: `async def`, or its return type."""
    inner = underlying(function)
    if inspect.iscoroutinefunction(inner):
        return True
    try:
        told = _signature(inner).return_annotation
    except (TypeError, ValueError):
        return False
    if isinstance(told, str):
        return told.partition("[")[0].rpartition(".")[2] in _AWAITABLE_NAMES
    kind = typing.get_origin(told) or told
    return isinstance(kind, type) and issubclass(kind, Awaitable)


def global_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Give the names that the function's annotations can use, those to come as well."""
    return getattr(underlying(function), "__globals__", {})


def check_is_function(function: Any) -> None:
    """Raise ConfigurationError for what cannot be a tool."""
    if isinstance(function, (staticmethod, classmethod)):
        raise ConfigurationError(f"Write @{type(function).__name__} above @tool, not below it.")
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(f"A tool is a function, not {_kind(function)}.")


def read_parameters(
    function: Callable[..., Any], tool_name: str, scope: types.FrameType | None
) -> tuple[list[Parameter], bool]:
    """Read what the function takes, without `self`, and whether there was a `self`.

    A name that is not defined yet is looked up in the locals of *scope*, and again by
    `resolved`. Raises ConfigurationError for what no model can fill in.
    """
    try:
        parameters = list(_signature(function).parameters.values())
    except (TypeError, ValueError) as failure:
        raise ConfigurationError(f"tool {tool_name}: its parameters cannot be read.") from failure
    takes_self = bool(parameters) and parameters[0].name in ("self", "cls") and not _is_annotated(parameters)
    if takes_self:
        del parameters[0]
    for parameter in parameters:
        if parameter.kind in _REFUSED:
            raise ConfigurationError(
                f"tool {tool_name}: the parameter {parameter.name!r} is {_REFUSED[parameter.kind]}, "
                "and a model gives arguments by name."
            )
    names = global_names(function)
    return [_read(parameter, tool_name, names, scope) for parameter in parameters], takes_self


def resolved(parameters: Sequence[Parameter], names: Mapping[str, Any], tool_name: str) -> list[Parameter]:
    """Look up in *names* the hints that were not defined when the function was; now they have to be."""
    found: list[Parameter] = []
    for parameter in parameters:
        if parameter.pending is not EMPTY:
            try:
                hint = _hint(parameter.name, parameter.pending, names, tool_name)
            except NameError as failure:
                raise _unresolved(tool_name, parameter.name, failure) from failure
            parameter = replace(parameter, hint=hint, pending=EMPTY)
        found.append(parameter)
    return found


def is_context(hint: Any) -> bool:
    """Whether a parameter with this hint is given the ToolContext."""
    return hint is ToolContext or ToolContext in typing.get_args(hint)


def context_parameter(function: Callable[..., Any]) -> str | None:
    """Name the parameter that is annotated ToolContext, of a function whose other hints are not read."""
    try:
        parameters = _signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    names = global_names(function)
    for parameter in parameters:
        annotation = parameter.annotation
        if "ToolContext" in (annotation if isinstance(annotation, str) else repr(annotation)):
            with contextlib.suppress(NameError, ConfigurationError):
                if is_context(_hint(parameter.name, annotation, names, "")):
                    return parameter.name
    return None


def is_plain(hint: Any) -> bool:
    """Whether every *hint* of this kind has a JSON Schema, so that pydantic can wait."""
    if any(hint is plain for plain in _PLAIN) or is_context(hint):
        return True
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return True
    origin = typing.get_origin(hint)
    return origin is typing.Literal or (
        any(origin is plain for plain in _PLAIN_ORIGINS) and all(map(is_plain, typing.get_args(hint)))
    )


_AWAITABLE_NAMES = ("Awaitable", "Coroutine", "Future", "Task")
_PLAIN = (Any, str, int, float, bool, list, dict, None, type(None), EMPTY)
_PLAIN_ORIGINS = (list, dict, typing.Union, types.UnionType)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info < (3, 14):
        return inspect.signature(function)
    import annotationlib

    return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)


def _is_annotated(parameters: Sequence[inspect.Parameter]) -> bool:
    return parameters[0].annotation is not EMPTY


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _read(
    parameter: inspect.Parameter, tool_name: str, names: Mapping[str, Any], scope: types.FrameType | None
) -> Parameter:
    name, annotation = parameter.name, parameter.annotation
    if annotation is EMPTY:
        return Parameter(name, parameter.default, Any)
    for found in (names, ChainMap(scope.f_locals, dict(names)) if scope else {}):
        with contextlib.suppress(NameError):
            return Parameter(name, parameter.default, _hint(name, annotation, found, tool_name))
    return Parameter(name, parameter.default, None, pending=annotation)


def _hint(name: str, annotation: Any, names: Mapping[str, Any], tool_name: str) -> Any:
    """Resolve an annotation; a name that is not defined passes as NameError."""

    def shim() -> None: ...

    shim.__annotations__ = {name: annotation}
    # ToolContext is understood also where it was imported for the type checker only.
    known = {"ToolContext": ToolContext, **names}
    try:
        return typing.get_type_hints(shim, known, include_extras=True)[name]
    except NameError:
        raise
    except Exception as failure:
        raise _unresolved(tool_name, name, failure) from failure


def _unresolved(tool_name: str, name: str, failure: Exception) -> ConfigurationError:
    return ConfigurationError(f"tool {tool_name}: the type of {name!r} cannot be resolved: {failure}.")
