"""abstractcore: one Python object for every language model.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # what a type checker reads; at run time __getattr__ finds the same names
    from abstractcore.errors import (
        AbstractCoreError,
        APIError,
        AsyncToolError,
        AuthenticationError,
        BadRequestError,
        ClosedError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ContextLengthError,
        EngineDeadError,
        EngineError,
        IncompleteStreamError,
        MCPConnectionError,
        MissingDependencyError,
        ModelLoadError,
        ModelNotFoundError,
        OutOfMemoryError,
        OverloadedError,
        PermissionDeniedError,
        QuotaExceededError,
        RateLimitError,
        RequestTimeoutError,
        ResponseError,
        ServerError,
        SessionError,
        StructuredOutputError,
        ToolError,
        TransportError,
        UnknownProviderError,
        UnsupportedFeatureError,
    )
    from abstractcore.factory import create_llm
    from abstractcore.llm import LLM
    from abstractcore.session import BasicSession
    from abstractcore.streams import AsyncStream, Stream
    from abstractcore.tools import Tool, ToolContext, tool
    from abstractcore.types import GenerateResponse, Message, StreamChunk, ToolCall, Usage

_ERRORS = """AbstractCoreError APIError AsyncToolError AuthenticationError BadRequestError ClosedError
ConfigurationError ConflictError ConnectionFailedError ContextLengthError EngineDeadError EngineError
IncompleteStreamError MCPConnectionError MissingDependencyError ModelLoadError ModelNotFoundError
OutOfMemoryError OverloadedError PermissionDeniedError QuotaExceededError RateLimitError
RequestTimeoutError ResponseError ServerError SessionError StructuredOutputError ToolError
TransportError UnknownProviderError UnsupportedFeatureError"""

_HOME = {
    **dict.fromkeys(_ERRORS.split(), "errors"),
    **dict.fromkeys(("GenerateResponse", "Message", "StreamChunk", "ToolCall", "Usage"), "types"),
    **dict.fromkeys(("Tool", "ToolContext", "tool"), "tools"),
    **dict.fromkeys(("AsyncStream", "Stream"), "streams"),
    "LLM": "llm",
    "BasicSession": "session",
    "create_llm": "factory",
}
_ROOMS = ("errors", "tools", "types")

__all__ = [*_HOME, *_ROOMS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"abstractcore.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("abstractcore")
    if name not in _HOME:
        raise AttributeError(f"module 'abstractcore' has no attribute {name!r}")
    value = getattr(import_module(f"abstractcore.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *_HOME, *_ROOMS))
