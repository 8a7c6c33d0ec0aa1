"""Who may come in: bearer keys, and without any only this machine.

Knows ASGI's scope. Knows no model and no dialect.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from abstractcore.errors import ConfigurationError
from abstractcore.serve.refusals import refused

_SHORTEST = 8
_OPEN = ("/", "/health")
"""What needs no key: it tells nothing."""


class Door:
    """Checks who asks. Keys are kept as digests, and compared in a time that says nothing of them."""

    def __init__(self, keys: Iterable[str]) -> None:
        if isinstance(keys, str):
            raise ConfigurationError("keys is a list of keys")
        given = list(keys)
        if any(not isinstance(key, str) or len(key) < _SHORTEST or not key.isascii() for key in given):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"a key is ASCII text of {_SHORTEST} characters at least")
        self._digests = [_digest(key) for key in given]

    @property
    def has_keys(self) -> bool:
        """Whether a key is asked for; otherwise only this machine is let in."""
        return bool(self._digests)

    def check(self, scope: Mapping[str, Any], path: str, headers: Mapping[str, str]) -> None:
        """Raise Refused for whoever may not come in to *path*, which is the gateway's own."""
        if not self._digests:
            _check_local(scope, headers)
        elif path not in _OPEN:
            self._check_key(_key_in(headers))

    def _check_key(self, key: str | None) -> None:
        if key is None:
            raise refused(
                401, "authentication", "No API key. Send it as Authorization: Bearer …, or as x-api-key."
            )
        asked = _digest(key)
        if not sum(hmac.compare_digest(asked, digest) for digest in self._digests):  # each of them, always
            raise refused(401, "authentication", "The API key is not one of this gateway's.")


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _key_in(headers: Mapping[str, str]) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return headers.get("x-api-key")


def _check_local(scope: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Let in this machine alone, and no web page of elsewhere that its browser shows.

    A page can send a request to an address of this machine, under a name of its own (DNS rebinding)
    too: what it cannot do is leave out its Origin, or choose the Host.
    """
    client = scope.get("client")
    if client is not None and not is_loopback(client[0]):
        raise refused(403, "permission", "This gateway has no keys, and answers its own machine alone.")
    host = headers.get("host", "")
    if not is_loopback(_split(f"//{host}").hostname or ""):
        raise refused(403, "permission", "This gateway has no keys, and answers to localhost alone.")
    origin = headers.get("origin")
    if origin is not None and _split(origin).netloc != host:
        raise refused(403, "permission", "This gateway has no keys, and answers no page of another site.")


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # such as an address in brackets that is none
        return urlsplit("")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
