"""`abstractcore models`: what each configured provider offers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from abstractcore.cli.exits import tell

if TYPE_CHECKING:
    from abstractcore.cli.offers import Offer

_SHOWN = 8


def models(
    provider: Annotated[str | None, typer.Argument(help="One provider or engine; all its models.")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for the lists.")
    ] = 5.0,
) -> None:
    """List the models that can be asked here.

    Asked are the providers that a key or an address is set for, the servers of this machine, and the engines
    that are installed. Into a pipe goes one provider:model on each line.
    """
    if provider is not None:
        _one(provider.strip().lower(), timeout)
        return
    from abstractcore.cli import offers

    names = [name for name in offers.PROVIDERS if offers.is_worth_asking(name)]
    found = [one for one in offers.offers(names, timeout) if one.error is None or offers.is_set(one.provider)]
    found += [offers.of_engine(name) for name in offers.engines() if offers.is_installed(name)]
    if sys.stdout.isatty():
        _table(found)
        return
    _lines(found)
    for each in found:
        if each.error is not None:
            tell(each.error.message, of="warning")


def _one(name: str, timeout: float) -> None:
    from abstractcore.cli import offers

    if name in offers.ENGINES:
        _lines([offers.of_engine(name)])
        return
    found = offers.offer(name, timeout)
    if found.error is not None:
        raise found.error
    _lines([found])


def _lines(found: list[Offer]) -> None:
    from abstractcore.cli.terminal import without_controls

    for each in found:
        for model in each.models:
            print(without_controls(f"{each.provider}:{model}"))


def _table(found: list[Offer]) -> None:
    from abstractcore.cli.tables import show

    rows = [row for each in found for row in _rows(each)]
    show(("provider", "model"), rows or [("none", "nobody can answer here: see abstractcore doctor")])


def _rows(each: Offer) -> list[tuple[str, str]]:
    if each.error is not None:
        return [(each.provider, f"error: {each.error.message}")]
    shown = each.models[:_SHOWN] or ["no models"]
    more = len(each.models) - len(shown)
    if more > 0:
        shown = [*shown, f"and {more} more: abstractcore models {each.provider}"]
    return [(each.provider if number == 0 else "", model) for number, model in enumerate(shown)]
