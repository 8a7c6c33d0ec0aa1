"""How a failed command ends: one line on stderr, and a code that says whose turn it is to act."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abstractcore.errors import AbstractCoreError

USAGE = 2
INTERRUPTED = 130
# By the names of errors, so that nothing is imported before something fails. The nearest class counts.
CODES = {
    "AbstractCoreError": 1,
    "ConfigurationError": USAGE,
    "AuthenticationError": 3,
    "PermissionDeniedError": 3,
    "APIError": 4,
    "RateLimitError": 5,
    "ServerError": 6,
    "TransportError": 7,
    "RequestTimeoutError": 8,
    "ResponseError": 9,
    "StructuredOutputError": 9,
    "EngineError": 10,
    "ToolError": 11,
    "MCPConnectionError": 11,
    "SessionError": 12,
}


def code_of(failure: AbstractCoreError) -> int:
    """Give the exit code of an error's class, or of the nearest class above it."""
    return next(CODES[kind.__name__] for kind in type(failure).__mro__ if kind.__name__ in CODES)


def tell(message: str, *, of: str = "error") -> None:
    """Write one line to stderr, whatever *message* holds."""
    print(f"{of}: {one_line(message)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Give *text* on one line, without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
