"""Providers of other packages: what their entry points of the group `abstractcore.providers` name.

An entry point's name is the provider's, and its object one of four: an `Endpoint` (a service on a wire that
we speak, or on a codec of its own), an `Engine` (a module that runs models in the worker's process), a
`Provider` class, or a function that makes one. Nothing is looked up for the name of a provider of ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from abstractcore.engines.catalog import ENGINES, Engine
from abstractcore.errors import AbstractCoreError, ConfigurationError
from abstractcore.providers.catalog import PROVIDERS, Endpoint

if TYPE_CHECKING:
    from abstractcore.providers.base import Provider

# What the author of a provider, and who lists what is installed, need.
__all__ = ["GROUP", "Endpoint", "Engine", "InstalledPlugin", "installed"]

GROUP = "abstractcore.providers"
_PROVIDER = ("name", "model", "stream", "models", "close")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A provider that an installed package brings. Nothing of it is loaded for a list.

    *problem* says why it cannot be used by its name: it is one of ours, or two packages have it.
    """

    name: str
    package: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """A loaded provider of another package."""

    name: str
    package: str
    row: Endpoint | Engine | Callable[..., Provider]

    def options(self) -> tuple[str, ...]:
        """Give the options that a class or function takes: its keyword-only arguments, by name."""
        return tuple(name for name in self._keywords() if name != "strict")

    def make(self, model: str | None, *, strict: bool, **options: Any) -> Provider:
        """Make the provider of a class or function. Raises ConfigurationError when it is none."""
        if "strict" in self._keywords():
            options["strict"] = strict
        elif strict:
            raise ConfigurationError(f"{self.name}: strict= is not known to the package {self.package}")
        try:
            made: Any = cast("Callable[..., Any]", self.row)(self.name, model, **options)
        except AbstractCoreError:
            raise
        except Exception as failure:
            raise self._broken(f"{type(failure).__name__}: {failure}") from failure
        if lacking := [name for name in _PROVIDER if not hasattr(made, name)]:
            raise self._broken(f"what it makes is no provider: it has no {', '.join(lacking)}")
        return made

    def _keywords(self) -> list[str]:
        parameters = inspect.signature(cast("Callable[..., Any]", self.row)).parameters.values()
        return [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]

    def _broken(self, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"the provider {self.name!r} of the package {self.package} is broken: {why}"
        )


_loaded: dict[str, Plugin] = {}


def installed() -> list[InstalledPlugin]:
    """List the providers that installed packages bring, by name; none is loaded."""
    found = _entry_points()
    names = [point.name.lower() for point in found]
    return sorted(
        (
            InstalledPlugin(name, _package(point), _problem(name, names))
            for name, point in zip(names, found, strict=True)
        ),
        key=lambda plugin: (plugin.name, plugin.package),
    )


def names() -> list[str]:
    """List the names that `create_llm` finds among the installed packages."""
    return [plugin.name for plugin in installed() if plugin.problem is None]


def find(name: str) -> Plugin | None:
    """Load the provider *name*, in lower case, of an installed package; None when there is none.

    Raises ConfigurationError, which names the package, when two have it, or when it cannot be loaded.
    """
    if name in _loaded:
        return _loaded[name]
    found = [point for point in _entry_points() if point.name.lower() == name]
    if not found:
        return None
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found)))
        raise ConfigurationError(f"{name}: two packages bring this provider, {packages}; uninstall one")
    plugin = _load(name, found[0])
    _loaded[name] = plugin
    return plugin


def _load(name: str, point: EntryPoint) -> Plugin:
    package = _package(point)
    try:
        row = point.load()
    except Exception as failure:
        why = f"{type(failure).__name__}: {failure}"
        raise ConfigurationError(
            f"the provider {name!r} of the package {package} cannot be loaded: {why}"
        ) from failure
    plugin = Plugin(name, package, row)
    if problem := _unfit(row):
        raise plugin._broken(f"{point.value} {problem}")  # pyright: ignore[reportPrivateUsage]
    return plugin


def _unfit(row: Any) -> str | None:
    """Say why *row* can be no provider."""
    if isinstance(row, Endpoint):
        return _lacking(
            row.codec, ("name", "models_path", "encode", "decode", "streams", "decoder", "models")
        )
    if isinstance(row, Engine):
        return None if row.module else "names no module= of its own that runs models"
    if not callable(row):
        return f"is no Endpoint, Engine, class or function, but {type(row).__name__}"
    try:
        parameters = inspect.signature(row).parameters.values()
    except ValueError:  # of what is written in C
        parameters = ()
    if sum(one.kind in _POSITIONAL for one in parameters) != 2:
        return "must take two arguments, name and model, and its options by keyword only"
    return None


def _lacking(codec: Any, wanted: Iterable[str]) -> str | None:
    lacking = [name for name in wanted if not hasattr(codec, name)]
    return f"has a codec without {', '.join(lacking)}" if lacking else None


def _entry_points() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value.partition(":")[0]


def _problem(name: str, all_names: list[str]) -> str | None:
    if name in PROVIDERS or name in ENGINES:
        return "abstractcore has a provider of this name, and it is the one that is used"
    if all_names.count(name) > 1:
        return "two packages bring a provider of this name"
    return None
