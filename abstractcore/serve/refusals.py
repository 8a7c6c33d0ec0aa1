"""Failures as what a client is told: a status, a kind, and whether to try again.

Knows the error tree. Knows no dialect, whose words for these stand in `dialects`.
"""

from __future__ import annotations

from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    AuthenticationError,
    BadRequestError,
    ClosedError,
    ConfigurationError,
    ConflictError,
    ContextLengthError,
    ModelNotFoundError,
    OutOfMemoryError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    TransportError,
    UnsupportedFeatureError,
)
from abstractcore.serve.dialects.base import Refusal, RefusalKind

# The most particular first. The gateway's own key is the operator's affair: a client whose key is right is
# not told that it is wrong, and asking again would not help it.
_TABLE: tuple[tuple[type[AbstractCoreError], int, RefusalKind], ...] = (
    (UnsupportedFeatureError, 400, "unsupported"),
    (ClosedError, 503, "overloaded"),
    (ConfigurationError, 400, "invalid_request"),
    (ContextLengthError, 400, "context_length"),
    (BadRequestError, 400, "invalid_request"),
    (AuthenticationError, 502, "server"),
    (PermissionDeniedError, 502, "server"),
    (ModelNotFoundError, 404, "not_found"),
    (ConflictError, 409, "invalid_request"),
    (QuotaExceededError, 429, "quota"),
    (RateLimitError, 429, "rate_limit"),
    (OverloadedError, 503, "overloaded"),
    (ServerError, 502, "server"),
    (APIError, 502, "server"),
    (RequestTimeoutError, 504, "timeout"),
    (TransportError, 502, "server"),
    (ResponseError, 502, "server"),
    (OutOfMemoryError, 503, "overloaded"),
)
_NOT_AGAIN = (AuthenticationError, PermissionDeniedError, QuotaExceededError)


class Refused(Exception):
    """What the gateway itself says no to."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refused(
    status: int,
    kind: RefusalKind,
    message: str,
    *,
    retry_after: float | None = None,
    param: str | None = None,
) -> Refused:
    """Make a refusal of the gateway's own."""
    return Refused(Refusal(status, kind, message, param, retry_after))


def _status_and_kind(failure: AbstractCoreError) -> tuple[int, RefusalKind]:
    for error, status, kind in _TABLE:
        if isinstance(failure, error):
            return status, kind
    return 500, "server"


def refusal_of(failure: AbstractCoreError) -> Refusal:
    """Say a failure of a call as a client should hear it."""
    status, kind = _status_and_kind(failure)
    if isinstance(failure, APIError) and type(failure) is BadRequestError and failure.status_code == 413:
        status, kind = 413, "too_large"
    return Refusal(
        status,
        kind,
        failure.message,
        param=getattr(failure, "param", None),
        retry_after=getattr(failure, "retry_after", None),
        retry=False if isinstance(failure, _NOT_AGAIN) else None,
    )
