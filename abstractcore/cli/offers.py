"""Who could answer here: providers that a key or an address is set for, servers and engines of this machine.

Asks for lists of models, side by side and for no longer than it is given. Shows no key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from abstractcore import create_llm
from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.engines.catalog import ENGINES
from abstractcore.errors import AbstractCoreError
from abstractcore.models import list_models
from abstractcore.providers.catalog import PROVIDERS

_ANY_MODEL = "any"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider answered when it was asked for its models, after so many seconds."""

    provider: str
    models: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    error: AbstractCoreError | None = None


def is_set(provider: str) -> bool:
    """Whether the environment has a key or an address for a provider."""
    row = PROVIDERS[provider]
    return any(os.environ.get(name) for name in (row.key, *row.url_variables) if name)


def is_worth_asking(provider: str) -> bool:
    """Whether a provider may answer: something is set for it, or it is a server that may run here."""
    row = PROVIDERS[provider]
    return is_set(provider) or (row.is_local and bool(row.url))


def offers(providers: Sequence[str], seconds: float) -> list[Offer]:
    """Ask providers for their models, side by side; a failure is in its offer."""

    def job(provider: str) -> Any:
        async def ask() -> Offer:
            return offer(provider, seconds)

        return ask

    return run(BLOCKING.gather([job(provider) for provider in providers]))


def offer(provider: str, seconds: float) -> Offer:
    """Ask one provider for its models."""
    began = Deadline.after(seconds)
    models: list[str] = []
    error: AbstractCoreError | None = None
    try:
        with create_llm(provider, _ANY_MODEL, max_retries=0) as llm:
            models = llm.list_models(timeout=seconds)
    except AbstractCoreError as failure:
        error = failure
    return Offer(provider, models, seconds - began.left(), error)


def of_engine(engine: str) -> Offer:
    """Give the models on this machine that an engine can load."""
    return Offer(engine, list_models(engine))


def engines() -> list[str]:
    """Name the engines that are rows of their own, installed or not."""
    return [name for name, row in ENGINES.items() if row is not None]


def is_installed(engine: str) -> bool:
    """Whether the packages of an engine are here."""
    row = ENGINES[engine]
    return row is not None and all(find_spec(package) is not None for package in row.packages)
