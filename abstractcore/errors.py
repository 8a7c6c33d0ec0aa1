"""Every failure of the package, one tree; its branches say whose turn it is to act.

AbstractCoreError
├─ ConfigurationError(ValueError)      the caller can fix it before any request
│  ├─ UnknownProviderError
│  ├─ MissingDependencyError(ImportError)
│  ├─ UnsupportedFeatureError
│  ├─ ClosedError
│  ├─ AsyncToolError(TypeError)
│  └─ MCPToolsChangedError             changes: what a server says of its tools, before and now
├─ APIError                            the provider answered with a failure (408, 3xx and others: itself)
│  ├─ BadRequestError                  400, 405, 413, 418, 422
│  │  └─ ContextLengthError
│  ├─ AuthenticationError              401; also a key that is missing, before any request
│  ├─ PermissionDeniedError            403
│  ├─ ModelNotFoundError               404
│  ├─ ConflictError                    409
│  ├─ RateLimitError                   429
│  │  └─ QuotaExceededError            402, and 429 for a spend cap; never retried
│  ├─ BatchError                       a provider's batch ended without an answer; code says how
│  └─ ServerError                      5xx
│     └─ OverloadedError               529
├─ TransportError                      no usable answer arrived; phase says where it broke
│  ├─ ConnectionFailedError(ConnectionError)
│  ├─ RequestTimeoutError(TimeoutError)
│  └─ IncompleteStreamError            partial: what had arrived
├─ ResponseError                       200, but unusable: HTML, not JSON, wrong shape, too big
├─ StructuredOutputError               attempts, last_text, validation_error
├─ ToolError
├─ SessionError(ValueError)
├─ MCPConnectionError
└─ EngineError                         a model in this process
   ├─ ModelLoadError
   ├─ EngineDeadError
   └─ OutOfMemoryError

No error carries a key or a prompt. Each pickles, with its fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstractcore.types import GenerateResponse, ToolSpec

TransportPhase = Literal["connect", "tls", "write", "headers", "body", "pool", "total"]


class AbstractCoreError(Exception):
    """The root of the tree: `except AbstractCoreError` catches every failure of this package.

    *attempts* counts the requests that were sent for the call, *retryable* says whether
    the same call may succeed later, *partial* holds what had arrived of the answer.
    """

    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    request_id: str | None = None
    retryable: bool = False
    partial: GenerateResponse | None = None

    def __init__(self, message: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        for name, value in fields.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., AbstractCoreError], tuple[Any, ...]]:
        return _rebuild, (type(self), dict(self.__dict__))


def _rebuild(kind: type[AbstractCoreError], fields: dict[str, Any]) -> AbstractCoreError:
    return kind(**fields)


# The caller can fix these before any request.
class ConfigurationError(AbstractCoreError, ValueError):
    """Something the caller passed cannot work; no request was sent."""


class UnknownProviderError(ConfigurationError):
    """No provider has this name; the message lists the close ones."""


class MissingDependencyError(ConfigurationError, ImportError):
    """An extra is not installed; the message is the pip line that installs it."""


class UnsupportedFeatureError(ConfigurationError):
    """This provider or model cannot do what was asked."""


class ClosedError(ConfigurationError):
    """The object was closed."""


class AsyncToolError(ConfigurationError, TypeError):
    """An async tool was given to the sync surface; `abstractcore.aio` runs it."""


class MCPToolsChangedError(ConfigurationError):
    """A server of tools describes a tool otherwise than when it was approved.

    *changes* gives, for each such tool, what was approved and what the server says now. Until
    the client's `approve_changes()` the tool is neither offered nor called.
    """

    changes: Mapping[str, tuple[ToolSpec, ToolSpec]] = {}


# The provider answered with a failure.
class APIError(AbstractCoreError):
    """The provider's failure: *status_code*, its own *code*, the decoded *body*, *retry_after* in seconds.

    *location* is the host that a redirect named; redirects are not followed.
    """

    status_code: int | None = None
    code: str | None = None
    body: Any = None
    retry_after: float | None = None
    location: str | None = None


class BadRequestError(APIError):
    """The provider did not accept the request (400, 405, 413, 418, 422)."""


class ContextLengthError(BadRequestError):
    """The prompt does not fit into the model's context window."""


class AuthenticationError(APIError):
    """The key is missing or was refused (401)."""


class PermissionDeniedError(APIError):
    """The key may not do this (403)."""


class ModelNotFoundError(APIError):
    """No such model or path at the provider (404)."""


class ConflictError(APIError):
    """The provider saw a conflict (409)."""


class RateLimitError(APIError):
    """Too many requests (429); *retry_after* says how long to wait when the provider does."""


class QuotaExceededError(RateLimitError):
    """The account's credit or spend cap is used up (402, 429); waiting does not help."""


class BatchError(APIError):
    """A provider's batch failed, or ended without an answer to this request.

    *code*: "expired", "cancelled", "missing" (no result came for it), or "failed", the whole batch.
    """


class ServerError(APIError):
    """The provider failed (5xx)."""


class OverloadedError(ServerError):
    """The provider is overloaded (529)."""


# No usable answer arrived.
class TransportError(AbstractCoreError):
    """The network failed; *phase* says where: connect, tls, write, headers, body, pool or total."""

    phase: TransportPhase | None = None


class ConnectionFailedError(TransportError, ConnectionError):
    """The connection could not be made, or broke."""


class RequestTimeoutError(TransportError, TimeoutError):
    """The time that the call was given ran out in *phase*."""


class IncompleteStreamError(TransportError):
    """The stream ended before the protocol's end mark; *partial* is what had arrived."""


class ResponseError(AbstractCoreError):
    """The provider answered 200 with something unusable: HTML, no JSON, a wrong shape, too big."""

    body: Any = None


# The model's answer, a tool, a session, a server of tools.
class StructuredOutputError(AbstractCoreError):
    """The answer does not follow the schema, after *attempts* requests."""

    last_text: str | None = None
    validation_error: str | None = None


class ToolError(AbstractCoreError):
    """A tool failed, and the caller asked for tools to raise."""


class SessionError(AbstractCoreError, ValueError):
    """A session file is damaged or cannot be written, or two turns would wait for each other."""


class MCPConnectionError(AbstractCoreError):
    """A server of tools could not be reached, or went away."""


# A model in this process.
class EngineError(AbstractCoreError):
    """A model in this process failed."""


class ModelLoadError(EngineError):
    """The model could not be loaded; the message names the path."""


class EngineDeadError(EngineError):
    """The engine died with this request in it; the next call starts it again."""


class OutOfMemoryError(EngineError):
    """The model or its KV cache does not fit into memory."""
