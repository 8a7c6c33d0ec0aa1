"""What goes wrong under HTTP, by the names that httpcore has for it; `failures` translates them."""

from __future__ import annotations


class TimeoutException(Exception):
    """A wait came to its end."""


class ConnectTimeout(TimeoutException):
    """While connecting."""


class ReadTimeout(TimeoutException):
    """While reading."""


class WriteTimeout(TimeoutException):
    """While writing."""


class NetworkError(Exception):
    """The connection failed; the cause says how."""


class ConnectError(NetworkError):
    """While connecting."""


class ReadError(NetworkError):
    """While reading."""


class WriteError(NetworkError):
    """While writing."""


class RemoteProtocolError(Exception):
    """The server does not speak HTTP, or no more."""
