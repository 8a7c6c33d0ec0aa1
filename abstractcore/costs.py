"""What answers cost, in US dollars: as the provider told it, or by the prices that genai-prices carries.

An answer's charge is kept with its counts and priced only when somebody asks. Nothing goes to the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.errors import MissingDependencyError

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Tariff:
    """Whose prices hold: those of the service at *url*, else those of *provider*, a name of genai-prices."""

    url: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """One answer to be paid. *told* is what the provider says that it costs, as a decimal number.

    *models* are the names that it may have in the price list, *at* is when it came, in seconds since 1970,
    and *tier* is the service tier that the provider named. *is_batched*: it was an answer of a batch.
    """

    tariff: Tariff | None = None
    models: tuple[str, ...] = ()
    at: float = 0.0
    tier: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    told: str | None = None
    is_batched: bool = False


Charges = tuple[tuple[Charge, ...], ...]
"""Many, in tuples of a bounded length: adding one to a hundred thousand stays cheap."""


def joined(one: Charges, other: Charges) -> Charges:
    """Put two together."""
    if not one or not other:
        return one or other
    if len(one[-1]) + len(other[0]) > _CHUNK:
        return one + other
    return (*one[:-1], one[-1] + other[0], *other[1:])


def read_charges(data: Iterable[Sequence[Mapping[str, Any]]]) -> Charges:
    """Read what `dataclasses.asdict` and JSON have made of charges."""
    return tuple(tuple(_read(each) for each in chunk) for chunk in data)


def _read(data: Mapping[str, Any]) -> Charge:
    tariff = data.get("tariff")
    fields: dict[str, Any] = dict(data)
    fields["models"] = tuple(data.get("models", ()))
    fields["tariff"] = None if tariff is None else Tariff(**tariff)
    return Charge(**fields)


def cost_of(charges: Charges) -> Decimal | None:
    """Sum what is known of *charges*; None where nothing is. Raises MissingDependencyError."""
    from decimal import Decimal

    known = [cost for chunk in charges for charge in chunk if (cost := _cost(charge)) is not None]
    return sum(known, Decimal(0)) if known else None


def _cost(charge: Charge) -> Decimal | None:
    from decimal import Decimal

    if charge.told is not None:
        return Decimal(charge.told)
    if charge.tariff is None or charge.input_tokens is None:
        return None
    places = (("provider_api_url", charge.tariff.url), ("provider_id", charge.tariff.provider))
    for argument, place in places:
        for model in charge.models:
            if place is not None and (cost := _listed(charge, model, {argument: place})) is not None:
                return cost
    return None


def _listed(charge: Charge, model: str, where: Mapping[str, str]) -> Decimal | None:
    """Give the price of *charge* under one name, or None when the list does not have it."""
    from datetime import UTC, datetime

    try:
        from genai_prices import Usage
    except ImportError as failure:
        raise MissingDependencyError(
            'usage.cost needs the price list: pip install "abstractcore[prices]"'
        ) from failure
    counts = {
        "input_tokens": charge.input_tokens,
        "output_tokens": charge.output_tokens,
        "cache_read_tokens": charge.cached_tokens,
        "cache_write_tokens": charge.cache_write_tokens,
    }
    usage, at = Usage(**counts), datetime.fromtimestamp(charge.at, UTC)
    context = {} if charge.tier is None else {"service_tier": charge.tier}
    try:
        price = _price(usage, model, at, context, where)
        if not charge.is_batched:
            return price
        batched = _price(usage, model, at, {**context, "processing": "batch"}, where)
    except (LookupError, ValueError):  # it knows no such provider or model, or no such counts
        return None
    # The list gives the usual price where it has none for batches.
    return None if batched == price else batched


def _price(
    usage: Any, model: str, at: datetime, context: dict[str, str], where: Mapping[str, str]
) -> Decimal:
    from genai_prices import calc_price

    calculate: Any = calc_price  # its overloads want one keyword or the other
    priced = calculate(usage, model, genai_request_timestamp=at, price_context=context or None, **where)
    total: Decimal = priced.total_price
    return total
