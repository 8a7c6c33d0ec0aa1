"""What httpcore (or a mock of httpx) raised, as our own errors.

The classes are known by name, since a mock may raise httpx's of the same names. The
cause is kept without its traceback: the frames of an HTTP library hold the request's
headers, and with them the key.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    ResponseError,
)

if TYPE_CHECKING:
    from abstractcore.drivers.clock import Clock


def translate(failure: Exception, clock: Clock, where: str) -> AbstractCoreError | None:
    """Give our error for *failure* on the way to *where* (host:port); None when it is not the network's."""
    names = {kind.__name__ for kind in type(failure).__mro__}
    if "TimeoutException" in names:
        return _timeout(names, clock, where)
    if "LocalProtocolError" in names:
        return ConfigurationError("a header of the request has a character that HTTP forbids")
    if "UnsupportedProtocol" in names:
        return ConfigurationError(f"base_url must begin with http:// or https:// ({where})")
    if "RemoteProtocolError" in names and not _disconnected(failure, clock):
        if clock.head.endswith(b" 101"):
            return APIError(f"HTTP 101: {where} speaks something else from here", status_code=101)
        return ResponseError(f"{where} does not answer in HTTP, or its headers are too large")
    if "ProxyError" in names:
        return ConnectionFailedError(f"the proxy refused the way to {where}: {failure}", phase="connect")
    if names & {"NetworkError", "RemoteProtocolError", "OSError"}:
        return _broken(failure, clock, where)
    return None


def timed_out(clock: Clock, where: str) -> RequestTimeoutError:
    """Give the error of a wait that was ended because the clock said so."""
    return _timeout(set(), clock, where)


def _disconnected(failure: Exception, clock: Clock) -> bool:
    return clock.peer_closed or "disconnected" in str(failure)


def _timeout(names: set[str], clock: Clock, where: str) -> RequestTimeoutError:
    mocked: dict[str, str] = {"ConnectTimeout": "connect", "WriteTimeout": "write", "PoolTimeout": "pool"}
    phase = next((mocked[name] for name in names if name in mocked), clock.stage)
    if phase == "connect" and clock.stage == "tls":
        phase = "tls"
    if phase in ("headers", "body") and clock.dripped():
        phase = "total"
    message = {
        "total": f"{where} was still sending when the call's time ran out",
        "headers": f"{where} did not answer in time",
        "body": f"{where} stopped sending in the middle of its answer",
    }.get(phase, f"{where}: {phase} timed out")
    return RequestTimeoutError(message, phase=phase, retryable=phase != "total")


def _broken(failure: Exception, clock: Clock, where: str) -> ConnectionFailedError:
    cause = failure.__cause__ if isinstance(failure.__cause__, OSError) else failure
    if isinstance(cause, ssl.SSLError) and clock.silence is None:
        return _tls(cause, where)
    if isinstance(cause, socket.gaierror):
        again = cause.errno == socket.EAI_AGAIN
        return ConnectionFailedError(f"{where}: {cause.strerror}", phase="connect", retryable=again)
    if isinstance(failure.__cause__, UnicodeError):
        return ConnectionFailedError(f"{where}: no host can have this name", phase="connect")
    phase = "connect" if type(failure).__name__ == "ConnectError" and clock.stage != "tls" else clock.stage
    text = str(cause) or "the connection was closed"
    return ConnectionFailedError(f"{where}: {text}", phase=phase, retryable=True)


def _tls(cause: ssl.SSLError, where: str) -> ConnectionFailedError:
    broke_off = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    reason = cause.reason or type(cause).__name__
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = f"certificate verify failed: {cause.verify_message}"
    return ConnectionFailedError(f"{where}: TLS failed, {reason}", phase="tls", retryable=broke_off)


def without_frames(failure: BaseException) -> BaseException:
    """Drop the tracebacks of a failure and of what led to it; their frames hold headers."""
    seen: BaseException | None = failure
    while seen is not None:
        seen.__traceback__ = None
        seen.__context__, seen = None, seen.__cause__ or seen.__context__
    return failure
