"""The options of a model in this process, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from abstractcore.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Providers with the same model and equal options share one set of weights.

    *deterministic* gives the same greedy text alone and in a batch, slower. *cache_gb* is the most
    memory that the KV cache takes, *max_batch* how many calls are answered at a time, *threads* how
    many of the CPU's are used (all cores when None).
    """

    deterministic: bool = False
    device: str = "CPU"
    cache_gb: int = 2
    max_batch: int = 16
    threads: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.deterministic, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("deterministic must be True or False")
        if not isinstance(self.device, str) or not self.device:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("device must be a name such as 'CPU'")
        _check_count("cache_gb", self.cache_gb)
        _check_count("max_batch", self.max_batch)
        if self.threads is not None:
            _check_count("threads", self.threads)


ENGINE_OPTIONS = tuple(field.name for field in fields(EngineOptions))


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} must be an integer above 0")
