"""What a model is told of a tool, and the check of the arguments it sends back.

Knows functions, type hints and the dicts in which people write tools down. Runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from abstractcore.errors import ConfigurationError, ToolError
from abstractcore.tools import docstring, hints, strict_json
from abstractcore.tools.signature import (
    EMPTY,
    Parameter,
    check_is_function,
    context_parameter,
    global_names,
    is_context,
    is_plain,
    read_parameters,
    resolved,
    underlying,
)
from abstractcore.types import ToolSpec

if TYPE_CHECKING:
    from types import FrameType

    from pydantic import BaseModel

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema")
_PROBLEMS = {"missing": "is required", "extra_forbidden": "is not an argument of this tool"}


def as_specs(tools: Iterable[Any]) -> tuple[ToolSpec, ...]:
    """Describe each of *tools* (see `as_spec`). Two of one name are ConfigurationError."""
    if callable(tools) or isinstance(tools, (str, bytes, Mapping)):
        raise ConfigurationError("tools: expected a list of tools.")
    specs: dict[str, ToolSpec] = {}
    for tool in tools:
        spec = as_spec(tool)
        if spec.name in specs:
            raise ConfigurationError(f"Two tools are called {spec.name!r}.")
        specs[spec.name] = spec
    return tuple(specs.values())


def as_spec(tool: Any) -> ToolSpec:
    """Describe a tool: a `Tool`, a function, or a dict with a JSON Schema.

    The dict is OpenAI's (`{"type": "function", "function": …}` or flat), Anthropic's
    (`input_schema`) or MCP's (`inputSchema`). Raises ConfigurationError.
    """
    if isinstance(tool, Mapping):
        return _from_dict(cast("Mapping[str, Any]", tool))
    spec = tool if isinstance(tool, ToolSpec) else getattr(tool, "spec", None)
    return spec if isinstance(spec, ToolSpec) else declared(tool).callable_spec()


def declared(function: Any) -> Declaration:
    """Read a function; the same one is read once."""
    if not isinstance(function, FunctionType):
        return Declaration(function)
    found = _read_before.get(function)
    if found is None:
        found = _read_before[function] = Declaration(function)
    return found


def check_name(name: Any) -> str:
    """Give *name* back if every provider accepts it as a tool's."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = repr(name[:80]) if isinstance(name, str) else type(name).__name__
        raise ConfigurationError(
            f"A tool's name has 1 to 64 letters, digits, _ or -, not {shown}. Pass name= to choose one."
        )
    return name


class Declaration:
    """A function as a model knows it. Its schema is built at the first use and kept.

    Raises ConfigurationError at once for a signature that no model can fill in; a hint
    whose name is not defined yet, at the first use.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        scope: FrameType | None = None,
    ) -> None:
        check_is_function(function)
        inner = underlying(function)
        is_object = inner.__name__ == "__call__"
        doc = inner.__doc__ or (type(function).__doc__ if is_object else None)
        self.name = check_name(name or (type(function).__name__ if is_object else inner.__name__))
        self.description = docstring.summary(doc) if description is None else description
        self._texts = docstring.argument_texts(doc)
        self._names = global_names(function)  # and not the function, which is a key of _read_before
        self._parameters, self.takes_self = read_parameters(function, self.name, scope)
        self._check_hints()

    @cached_property
    def spec(self) -> ToolSpec:
        """Name, description and JSON Schema."""
        return ToolSpec(self.name, self.description, self._schema())

    def callable_spec(self) -> ToolSpec:
        """Give the spec of something that can be called without a `self`."""
        if self.takes_self:
            raise ConfigurationError(
                f"tool {self.name}: a method is passed from an object, not from its class."
            )
        return self.spec

    @cached_property
    def context_parameter(self) -> str | None:
        """The parameter that takes the ToolContext."""
        found = (parameter.name for parameter in self._resolved if is_context(parameter.hint))
        return next(found, None)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the keyword arguments for the function; a default that was not given is left to it."""
        model = self._model
        values = _validated(self.name, model.model_validate, arguments)
        return {
            parameter.name: getattr(values, field)
            for field, parameter in self._fields.items()
            if field in values.model_fields_set or not _has_own_default(parameter)
        }

    @cached_property
    def _resolved(self) -> list[Parameter]:
        return resolved(self._parameters, self._names, self.name)

    @cached_property
    def _fields(self) -> dict[str, Parameter]:
        """The parameters by the names of the model's fields, which a parameter's own might clash with."""
        told = (parameter for parameter in self._resolved if not is_context(parameter.hint))
        return {f"a{index}": parameter for index, parameter in enumerate(told)}

    @cached_property
    def _model(self) -> type[BaseModel]:
        from pydantic import ConfigDict, create_model

        fields: dict[str, Any] = {field: _field(parameter) for field, parameter in self._fields.items()}
        config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
        try:
            return create_model(self.name, __config__=config, **fields)
        except Exception as failure:
            raise ConfigurationError(f"tool {self.name}: {hints.describe(failure)}") from failure

    def _schema(self) -> dict[str, Any]:
        schema = hints.json_schema(self._model)
        schema.pop("title", None)
        for name, text in self._texts.items():
            if name in schema["properties"]:
                schema["properties"][name].setdefault("description", text)
        return schema

    def _check_hints(self) -> None:
        for parameter in self._parameters:
            if parameter.pending is EMPTY and not is_plain(parameter.hint):
                try:
                    hints.json_schema(hints.adapter(parameter.hint))
                except ConfigurationError as failure:
                    raise ConfigurationError(f"tool {self.name}: {parameter.name!r}: {failure}") from failure


_read_before: WeakKeyDictionary[FunctionType, Declaration] = WeakKeyDictionary()


class GivenDeclaration:
    """A tool whose JSON Schema was written elsewhere; the arguments' types are left to who wrote it."""

    takes_self = False

    def __init__(
        self, function: Callable[..., Any], name: str, description: str, parameters: Mapping[str, Any]
    ) -> None:
        self.name = check_name(name)
        self.description = description
        self._function = function
        self.spec = ToolSpec(name, description, _object_schema(name, parameters))

    def callable_spec(self) -> ToolSpec:
        """Give the spec."""
        return self.spec

    @cached_property
    def context_parameter(self) -> str | None:
        """The parameter that takes the ToolContext."""
        return context_parameter(self._function)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments as they are, when none is missing and none is unknown."""
        if not isinstance(cast("object", arguments), Mapping):
            raise ToolError(f"{self.name}: the arguments are not an object.")
        schema = self.spec.parameters
        problems = [
            f"{name}: {_PROBLEMS['missing']}" for name in schema.get("required", ()) if name not in arguments
        ]
        if schema.get("additionalProperties") is False:
            unknown = (name for name in arguments if name not in schema.get("properties", {}))
            problems += [f"{name}: {_PROBLEMS['extra_forbidden']}" for name in unknown]
        if problems:
            raise ToolError(f"{self.name}: {'; '.join(problems)}"[:1_000])
        return dict(arguments)


def _field(parameter: Parameter) -> tuple[Any, Any]:
    from typing import Annotated

    from pydantic import Field
    from pydantic.fields import FieldInfo

    hint = hints.readable(parameter.hint)
    if isinstance(parameter.default, FieldInfo):
        return Annotated[hint, parameter.default], Field(alias=parameter.name)
    if parameter.default is EMPTY:
        return hint, Field(alias=parameter.name)
    return hint, Field(alias=parameter.name, default=parameter.default)


def _has_own_default(parameter: Parameter) -> bool:
    """Whether the function itself fills the parameter in; a pydantic `Field` is no value."""
    from pydantic.fields import FieldInfo

    return parameter.default is not EMPTY and not isinstance(parameter.default, FieldInfo)


def _validated(name: str, validate: Callable[[Any], BaseModel], arguments: Any) -> BaseModel:
    if not isinstance(arguments, Mapping):
        raise ToolError(f"{name}: the arguments are not an object.")
    try:
        return validate(dict(cast("Mapping[str, Any]", arguments)))
    except Exception as failure:
        raise ToolError(f"{name}: {hints.describe(failure, words=_PROBLEMS)}") from failure


# ---- tools written as dicts ------------------------------------------------------------------


def _from_dict(tool: Mapping[str, Any]) -> ToolSpec:
    inner = tool.get("function", tool)
    if tool.get("type", "function") not in ("function", "custom") or not isinstance(inner, Mapping):
        raise ConfigurationError(
            "A tool as a dict has name, description and parameters; a provider's own goes through extra=."
        )
    written = cast("Mapping[str, Any]", inner)
    name, description = check_name(written.get("name")), written.get("description") or ""
    if not isinstance(description, str):
        raise ConfigurationError(f"tool {name}: the description is not text.")
    schema = next((written[key] for key in _SCHEMA_KEYS if written.get(key) is not None), {})
    return ToolSpec(name, description, _object_schema(name, schema))


def _object_schema(name: str, schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise ConfigurationError(f"tool {name}: the parameters are not a JSON Schema of type object.")
    try:
        plain = strict_json.plain(cast("Mapping[str, Any]", schema))
    except ValueError as failure:
        raise ConfigurationError(f"tool {name}: the JSON Schema is not JSON: {failure}.") from failure
    found = {"type": "object", "properties": {}, **plain}
    if not isinstance(found["properties"], dict) or not isinstance(found.get("required", []), list):
        raise ConfigurationError(f"tool {name}: properties is an object, and required a list.")
    return found
