"""The rows: which engines there are, what each needs installed, which options it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abstractcore.providers.base import Provider

ENGINES: Mapping[str, Any] = {}
ENGINE_OPTIONS = ("deterministic", "device", "cache_gb", "max_batch")


def engine_provider(name: str, model: str | None, *, strict: bool, **options: Any) -> Provider:
    """Make the provider of a model in this process; nothing is loaded yet."""
    raise NotImplementedError
