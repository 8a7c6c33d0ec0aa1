"""What an endpoint needs, resolved: argument, then environment, then the row's default.

Reads the environment; opens nothing.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from abstractcore.drivers.keys import Secret, without_credentials
from abstractcore.errors import AuthenticationError, ConfigurationError

if TYPE_CHECKING:
    from abstractcore.codecs.base import Codec
    from abstractcore.providers.catalog import Endpoint

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", None: "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where to send, and the key to send there."""

    base_url: str
    key: Secret | None
    is_own: bool
    """Whether the URL is the service's own, and not another server in its place."""


def resolve(name: str, row: Endpoint, base_url: str | None, api_key: Secret | None) -> Resolved:
    """Find the base URL and the key.

    A key from the environment goes to the service whose variable it is in: to the row's own
    origin, or to the base URL that stands in the environment beside it. A `base_url=` that
    leads elsewhere gets a key only through `api_key=`. Raises AuthenticationError when the
    service wants a key and there is none, ConfigurationError for a URL that is none.
    """
    if not isinstance(api_key, Secret | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"{name}: api_key must be a str, not {type(api_key).__name__}")
    from_environment = next((_url_in(v) for v in row.url_variables if os.environ.get(v)), None)
    given = base_url or from_environment or row.url
    if not given:
        raise ConfigurationError(f"{name}: no URL. Pass base_url={_or_set(row.url_variables)}.")
    url = _checked(name, _with_scheme(given.strip(), row.url))
    is_own = origin(url) == origin(urlsplit(row.url))
    trusted = is_own or base_url is None
    key = api_key or (_from_environment(row.key) if row.key and trusted else None)
    if key is None and row.key and is_own:
        raise AuthenticationError(f"{name}: no API key. Pass api_key= or set {row.key}.", provider=name)
    if key is not None and not key.is_sendable():
        raise ConfigurationError(f"{name}: the API key has a character that no HTTP header can carry")
    if key is not None and url.scheme == "http" and not _is_loopback(url.hostname or ""):
        warnings.warn(f"{name}: the API key is sent unencrypted to {url.hostname}", stacklevel=4)
    text = url.geturl().rstrip("/").removesuffix(row.foreign_suffix)
    return Resolved(text if text.endswith(row.prefix) else text + row.prefix, key, is_own)


def choose_codec(name: str, row: Endpoint, api: str | None, *, is_own: bool) -> Codec:
    """Give the wire that *api* names; without it the row's own, or chat at a server in its place."""
    if api is None:
        return row.codec if is_own else row.apis.get("chat", row.codec)
    if api not in row.apis:
        known = " or ".join(repr(each) for each in row.apis) or "no choice: leave it out"
        raise ConfigurationError(f"{name}: api={api!r} is not known; there is {known}")
    return row.apis[api]


def _or_set(variables: tuple[str, ...]) -> str:
    return f" or set {variables[0]}" if variables else ""


def _with_scheme(text: str, default: str) -> str:
    """Make a URL of a bare `host`, `host:port` or `:port`, as OLLAMA_HOST has it for server and client alike.

    The port is the row's unless it is given, and an address to listen on is reached on this machine.
    """
    if "://" in text or not text:
        return text
    text = f"http://{text}"
    try:
        url = urlsplit(text)
        port = url.port or urlsplit(default).port
    except ValueError:
        return text
    if url.username or port is None or (url.port and url.hostname not in _ANY_ADDRESS):
        return text
    host = _ANY_ADDRESS.get(url.hostname, url.netloc.rstrip(":"))
    return url._replace(netloc=f"{host}:{port}").geturl()


def _checked(name: str, text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        raise ConfigurationError(f"{name}: base_url is not a URL") from None
    if not valid:
        raise ConfigurationError(f"{name}: base_url must look like http://host:port/path")
    if url.username or url.password or url.query or url.fragment:
        raise ConfigurationError(
            f"{name}: base_url must hold no credentials, query or fragment; pass api_key="
        )
    return url


def origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Give what two URLs of one service share: scheme, host and port."""
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _url_in(variable: str) -> str:
    return without_credentials(os.environ[variable])


def _from_environment(variable: str) -> Secret | None:
    key = os.environ.get(variable, "").strip()
    return Secret(key) if key else None
