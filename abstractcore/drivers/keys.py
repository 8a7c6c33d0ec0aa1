"""What must never show: a key, and headers and URLs that may hold one.

Knows how a secret is wrapped, scrubbed and masked. Knows nobody who sends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from abstractcore.errors import ConfigurationError


class Secret:
    """A key. It shows itself in no repr, no pickle and no traceback; *reveal* is for the socket alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the key."""
        return self._value

    def is_sendable(self) -> bool:
        """Whether an HTTP header can carry the key."""
        return self._value.isascii() and self._value.isprintable()

    def is_placeholder(self) -> bool:
        """Whether this is too short for a key, and so may be a word of any text."""
        return len(self._value) < _SHORTEST_KEY

    def scrub(self, text: str) -> str:
        """Replace the key wherever it stands in *text*."""
        return text.replace(self._value, "***") if self._value in text else text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, ("",)


class Headers(dict[str, str]):
    """Headers that a caller gave: any of them may hold a key, so their values show in no traceback."""

    def __repr__(self) -> str:
        return f"Headers({', '.join(map(str, self))})"

    def shareable(self) -> Headers:
        """Give those whose names do not say that they hold a key."""
        return Headers({name: value for name, value in self.items() if not _holds_a_key(name)})

    def scrub(self, text: str) -> str:
        """Replace what the others hold wherever it stands in *text*."""
        for name, value in self.items():
            for word in value.split() if _holds_a_key(name) else ():
                if len(word) >= _SHORTEST_KEY:
                    text = text.replace(word, "***")
        return text


def without_environment_keys(text: str) -> str:
    """Replace what stands in variables of the environment whose names say that they hold a key."""
    return Headers(os.environ).scrub(text)


_KEY_WORDS = ("authorization", "cookie", "key", "secret", "token")
_SHORTEST_KEY = 8


def _holds_a_key(header: str) -> bool:
    return any(word in str(header).lower() for word in _KEY_WORDS)


def conceal(options: Any) -> None:
    """Wrap what is secret in *options*, in place, so that no frame that holds them shows it.

    Raises ConfigurationError for a key that is no text.
    """
    kind = type(options.get("api_key"))
    if issubclass(kind, str):
        options["api_key"] = Secret(options["api_key"].strip()) if options["api_key"].strip() else None
    elif kind not in (Secret, type(None)):
        options["api_key"] = None
        raise ConfigurationError(f"api_key must be a str, not {kind.__name__}")
    if isinstance(headers := options.get("headers"), Mapping):
        options["headers"] = Headers(headers)
    if isinstance(options.get("base_url"), str):
        options["base_url"] = without_credentials(options["base_url"])


def without_credentials(url: str) -> str:
    """Mask what a URL must not hold, and is refused for, so that no frame that refuses it shows it."""
    return _QUERY.sub(r"\1***", _LOGIN.sub(r"\1***@", url, count=1))


_LOGIN = re.compile(r"^((?:\s*[^/?#]*://)?)[^/?#]*@")
_QUERY = re.compile(r"([?#]).*$", re.DOTALL)
