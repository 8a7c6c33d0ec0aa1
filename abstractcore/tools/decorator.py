"""`@tool`: a function that a model may call, still the same function for everyone else.

Describes and validates. Running a tool, with its thread and its time, is the tool loop's.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from abstractcore.tools.schema import Declaration, GivenDeclaration, declared
from abstractcore.tools.signature import check_is_function, underlying

if TYPE_CHECKING:
    from types import FrameType

    from abstractcore.types import ToolSpec

P = ParamSpec("P")
R = TypeVar("R")


class Tool(Generic[P, R]):
    """A function, and what a model is told of it.

    Calling it calls the function. In a class it binds like a method. *parameters* is given
    for a function whose JSON Schema was written elsewhere; of its type hints ToolContext alone is read.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        function = _function_of(function)
        self._set(function, _declare(function, name, description, parameters))

    @classmethod
    def from_function(
        cls, function: Callable[P, R], *, name: str | None = None, description: str | None = None
    ) -> Tool[P, R]:
        """Make a tool of a function; a Tool is taken as it is when nothing is to be changed."""
        if isinstance(function, Tool) and name is None and description is None:
            return cast("Tool[P, R]", function)
        return cls(function, name=name, description=description)

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self._declaration.name

    @property
    def description(self) -> str:
        """What the model reads about it: the docstring's first paragraph unless one was given."""
        return self._declaration.description

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments, of type object."""
        return self._declaration.spec.parameters

    @property
    def spec(self) -> ToolSpec:
        """All that the model is told. A method that is not bound to an object is ConfigurationError."""
        return self._declaration.spec if self._is_bound else self._declaration.callable_spec()

    @property
    def context_parameter(self) -> str | None:
        """The name of the parameter that is to be given a ToolContext, if there is one."""
        return self._declaration.context_parameter

    @property
    def is_async(self) -> bool:
        """Whether the function is `async def`, an async generator too."""
        inner = underlying(self.function)
        return inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner)

    @property
    def is_generator(self) -> bool:
        """Whether the function yields, in either colour."""
        inner = underlying(self.function)
        return inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the model's arguments into keyword arguments of the types in the signature.

        What was not given is left out, for the function's own default. Raises ToolError,
        which names each wrong argument in words that the model can use.
        """
        return self._declaration.validate(arguments)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Tool[P, R]: ...
    @overload
    def __get__(self, instance: object, owner: Any = None) -> Tool[..., R]: ...
    def __get__(self, instance: object | None, owner: Any = None) -> Tool[..., R]:
        if instance is None or not hasattr(self.function, "__get__"):
            return self
        bound = cast("Any", self.function).__get__(instance, owner)
        if not self._declaration.takes_self:
            return Tool(bound, name=self.name, description=self.description)
        return _assembled(bound, self._declaration)

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # Pickled by its name, like the function that it stands for, where it can be found there.
        if _found_as(getattr(self, "__module__", ""), getattr(self, "__qualname__", "")) is self:
            return cast("Any", self).__qualname__
        return _rebuilt, (self.function, self.name, self.description, self._given_parameters())

    def _given_parameters(self) -> Mapping[str, Any] | None:
        return self._declaration.spec.parameters if isinstance(self._declaration, GivenDeclaration) else None

    def _set(self, function: Callable[P, R], declaration: Declaration | GivenDeclaration) -> None:
        functools.update_wrapper(cast("Any", self), function, updated=())
        self.function = function
        self._declaration = declaration
        self._is_bound = inspect.ismethod(function)
        if sys.version_info >= (3, 12) and inspect.iscoroutinefunction(underlying(function)):
            inspect.markcoroutinefunction(self)


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, description: str | None = None
) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(name=…, description=…)`.

    The model is told the docstring's first paragraph, and for each argument its type hint
    and its text in the docstring. Raises ConfigurationError for positional-only parameters,
    `*args`, `**kwargs` and types that have no JSON Schema.
    """

    def decorate(function: Callable[..., Any], scope: FrameType | None = None) -> Tool[..., Any]:
        function = _function_of(function)
        scope = scope or sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  has the hints' local names
        return _assembled(function, Declaration(function, name=name, description=description, scope=scope))

    return decorate if function is None else decorate(function, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]


def _assembled(function: Callable[..., Any], declaration: Declaration | GivenDeclaration) -> Tool[..., Any]:
    made: Tool[..., Any] = Tool.__new__(Tool)
    made._set(function, declaration)  # pyright: ignore[reportPrivateUsage]
    return made


def _function_of(function: Any) -> Any:
    check_is_function(function)
    return cast("Tool[..., Any]", function).function if isinstance(function, Tool) else function


def _declare(
    function: Any, name: str | None, description: str | None, parameters: Mapping[str, Any] | None
) -> Declaration | GivenDeclaration:
    if parameters is not None:
        own_name = name or getattr(function, "__name__", "")
        return GivenDeclaration(function, own_name, description or "", parameters)
    if name is None and description is None:
        return declared(function)
    return Declaration(function, name=name, description=description)


def _rebuilt(
    function: Any, name: str, description: str, parameters: Mapping[str, Any] | None
) -> Tool[..., Any]:
    return Tool(function, name=name, description=description, parameters=parameters)


def _found_as(module: str, qualified_name: str) -> Any:
    found: Any = sys.modules.get(module)
    for step in qualified_name.split("."):
        found = getattr(found, step, None)
    return found
