"""A client of a vendor's that the user passes in: what it is, and which rows it may serve.

Knows the packages by their names. The sending is the driver's, the JSON stays our codec's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from abstractcore.errors import ConfigurationError
from abstractcore.providers.settings import Resolved, origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstractcore.codecs.base import Codec
    from abstractcore.drivers.colours import Limits
    from abstractcore.drivers.vendor_clients import Kind, VendorClient
    from abstractcore.providers.catalog import Endpoint

# The wires that the clients of each package speak.
_WIRES = {"openai": ("openai_chat", "openai_responses"), "anthropic": ("anthropic_messages",)}
_COLOURS = {"SyncAPIClient": False, "AsyncAPIClient": True}
_THE_CLIENT_KNOWS = ("base_url", "api_key", "max_connections")


def check_alone(name: str, given: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for an argument beside `client=` that says what the client knows."""
    if both := [argument for argument in _THE_CLIENT_KNOWS if given.get(argument) is not None]:
        raise ConfigurationError(f"{name}: pass client= or {' and '.join(f'{b}=' for b in both)}, not both")


def resolve_client(name: str, row: Endpoint, client: Any) -> Resolved:
    """Give what stands before the wire's paths, and whether the client asks the service itself.

    An openai client's own base URL ends with the version, as our rows' URLs do; in anthropic's
    clients the paths begin with it.
    """
    prefix = row.prefix if _kind(name, client).package == "anthropic" else ""
    is_own = origin(urlsplit(str(client.base_url))) == origin(urlsplit(row.url))
    return Resolved(prefix, None, is_own)


def client_transport(name: str, codec: Codec, client: Any, limits: Limits) -> VendorClient:
    """Put *client* in place of our connections. Raises ConfigurationError when it speaks another wire."""
    from abstractcore.drivers.vendor_clients import VendorClient

    kind = _kind(name, client)
    if codec.name not in _WIRES[kind.package]:
        fit = next((package for package, wires in _WIRES.items() if codec.name in wires), None)
        wanted = f"pass a client of {fit}" if fit else "it takes no client="
        raise ConfigurationError(f"{name}: a client of {kind.package} speaks another wire; {wanted}")
    return VendorClient(name, client, kind, limits)


def _kind(name: str, client: Any) -> Kind:
    from abstractcore.drivers.vendor_clients import Kind

    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in _WIRES and base.__name__ in _COLOURS:
            return Kind(package, _COLOURS[base.__name__])
    given = f"{type(client).__module__}.{type(client).__qualname__}"
    raise ConfigurationError(f"{name}: client= takes a client of openai or anthropic, not {given}")
