"""The options of a model in this process, checked."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from abstractcore.errors import ConfigurationError

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Providers with the same model and equal options share one set of weights.

    *deterministic* gives the same greedy text alone and in a batch, slower. *device* is the runtime's
    own name of one, *dtype* one of float32, float16 and bfloat16. *cache_gb* is the most memory that the
    KV cache takes, *max_batch* how many calls are answered at a time, *max_context* the longest
    prompt and answer together in tokens, *threads* how many of the CPU's are used (all cores when None).
    *prefix_cache* keeps the KV cache of a conversation for its next turn. *adapters* are the paths of
    LoRA adapters, *draft_model* that of a smaller model which guesses ahead. *step_timeout* is how many
    seconds the runtime may compute without a word before it is taken for dead.
    """

    deterministic: bool = False
    device: str | None = None
    dtype: str | None = None
    cache_gb: int = 2
    max_batch: int = 16
    max_context: int | None = None
    threads: int | None = None
    prefix_cache: bool = True
    adapters: tuple[str, ...] = ()
    draft_model: str | None = None
    step_timeout: float = 1800

    def __post_init__(self) -> None:
        for name in ("deterministic", "prefix_cache"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be True or False")
        for name in ("cache_gb", "max_batch"):
            _check_count(name, getattr(self, name))
        for name in ("threads", "max_context"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        if isinstance(self.step_timeout, bool) or not isinstance(self.step_timeout, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("step_timeout must be a number of seconds")
        if not self.step_timeout > 0:
            raise ConfigurationError("step_timeout must be above 0")
        if self.device is not None and (not isinstance(self.device, str) or not self.device):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("device must be a name such as 'CPU'")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ConfigurationError(f"dtype must be one of {', '.join(DTYPES)}")


ENGINE_OPTIONS = tuple(field.name for field in fields(EngineOptions))


def engine_options(engine: str, known: Collection[str], given: Mapping[str, Any]) -> EngineOptions:
    """Check what was *given* for an engine that knows the options *known*. Raises ConfigurationError."""
    if unknown := [name for name in given if name not in known]:
        raise ConfigurationError(f"{engine} has no option {unknown[0]}; it has: {', '.join(known)}")
    options = dict(given)
    for name in ("adapters", "draft_model"):
        if name in options:
            options[name] = _paths(name, options[name])
    return EngineOptions(**options)


def _paths(name: str, value: Any) -> Any:
    """Give the absolute paths: the process that loads the model may stand elsewhere."""
    if isinstance(value, (str, os.PathLike)):
        path = os.path.realpath(os.path.expanduser(os.fspath(value)))
        return (path,) if name == "adapters" else path
    if name == "adapters" and isinstance(value, Sequence):
        return tuple(path for one in value for path in _paths(name, one))
    raise ConfigurationError(f"{name} must be the path of one")


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an integer above 0")
