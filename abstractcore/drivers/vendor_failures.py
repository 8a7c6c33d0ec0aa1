"""What a vendor's client raised, as our own errors, or as the answer that it stands for.

The classes are known by name, since no vendor is imported here. Theirs hold the request, and with
it the key: the cause that ours keeps is the transport's, which holds none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.error_words import masked
from abstractcore.drivers.failures import timed_out, translate, without_frames
from abstractcore.errors import (
    AbstractCoreError,
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    IncompleteStreamError,
    ResponseError,
)

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock

_WRAPPERS = frozenset({"APIConnectionError", "APITimeoutError"})
# The bases in httpx's tree, and in httpcore's below it; google.auth has a TransportError too.
_NETWORK = frozenset((
    "NetworkError", "ProtocolError", "ProxyError", "TimeoutException", "TransportError",
    "UnsupportedProtocol",
))  # fmt: skip
_OF_CREDENTIALS = ("api key", "api_key", "auth", "credential", "token")
_HOLD_REQUEST = frozenset({"_request", "request", "response"})
_MAX_TEXT = 500


def refused(failure: Exception) -> Any:
    """Give the response with the failing status that the client made *failure* of, or None."""
    for one in _chain(failure):
        response = getattr(one, "response", None)
        if isinstance(status := getattr(response, "status_code", None), int) and status >= 300:
            return response
    return None


def said_in_stream(failure: Exception) -> Any:
    """Give the error event in a stream that the client made *failure* of, or None."""
    is_status = "APIStatusError" in _names(failure)
    return getattr(failure, "body", None) if is_status else None


def translated(failure: Exception, clock: Clock, where: str) -> AbstractCoreError:
    """Give our error for what a client raised on the way to *where*; its cause is set."""
    if isinstance(failure, AbstractCoreError):
        return failure
    network = _network(failure)
    told = _of_network(network, clock, where) if network is not None else _of_client(failure, clock, where)
    told.__cause__ = _without_request(network or failure)
    return told


def _of_network(failure: Exception, clock: Clock, where: str) -> AbstractCoreError:
    text = str(failure)
    if failure.__cause__ is None and isinstance(failure.__context__, OSError):
        failure.__cause__ = failure.__context__  # httpcore2 hides what the system said
    clock.peer_closed = clock.peer_closed or "closed" in text or "disconnected" in text
    if told := translate(failure, clock, where):
        return told
    if "APITimeoutError" in _names(failure):
        return timed_out(clock, where)
    text = _described(failure.__cause__ or failure)
    return ConnectionFailedError(f"{where}: {text}", phase=clock.stage, retryable=True)


def _of_client(failure: Exception, clock: Clock, where: str) -> AbstractCoreError:
    names = _names(failure)
    if "DecodingError" in names:
        return ResponseError(f"{where}: the body is not in the compression that its header names")
    if clock.stage == "body":
        return IncompleteStreamError(f"{where}: bad data in the stream: {_described(failure)}", phase="body")
    text = f"the client could not make the request: {_described(failure)}"
    if any(word in f"{type(failure).__name__} {failure}".lower() for word in _OF_CREDENTIALS):
        return AuthenticationError(text)
    return ConfigurationError(text)


def _network(failure: Exception) -> Exception | None:
    """Find the failure of the network nearest to the socket: it holds no request."""
    found: Exception | None = failure if type(failure).__name__ in _WRAPPERS else None
    for one in _chain(failure):
        if _names(one) & _NETWORK:
            found = one
    return found


def _chain(failure: BaseException | None) -> Iterator[Exception]:
    while isinstance(failure, Exception):
        yield failure
        failure = failure.__cause__ or failure.__context__


def _names(failure: BaseException | None) -> set[str]:
    return {kind.__name__ for kind in type(failure).__mro__}


def _described(failure: BaseException) -> str:
    return masked(f"{type(failure).__name__}: {failure}"[:_MAX_TEXT])


def _without_request(failure: Exception) -> BaseException | None:
    """Drop the frames of a cause; one that holds its request holds the key, and is no cause of ours."""
    without_frames(failure)
    return None if any(_HOLD_REQUEST & vars(one).keys() for one in _chain(failure)) else failure
