"""abstractcore: one Python object for every language model.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # what a type checker reads; at run time __getattr__ finds the same names
    from abstractcore import aio, distributed, errors, models, testing, tools, types
    from abstractcore.agents.agent import Agent
    from abstractcore.agents.printing import pretty_print
    from abstractcore.agents.workflows import Chain, EvaluatorOptimizer, Parallel, Router
    from abstractcore.batching import AsyncBatchJob, BatchJob
    from abstractcore.conversation import Client, chat, client
    from abstractcore.errors import (
        AbstractCoreError,
        APIError,
        AsyncToolError,
        AuthenticationError,
        BadRequestError,
        BatchError,
        ClosedError,
        ConfigurationError,
        ConflictError,
        ConnectionFailedError,
        ContextLengthError,
        EngineDeadError,
        EngineError,
        IncompleteStreamError,
        MCPConnectionError,
        MCPToolsChangedError,
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
    from abstractcore.failover import FallbackLLM, fallback
    from abstractcore.generation.hooks import (
        ChunkEvent,
        ErrorEvent,
        RequestEvent,
        ResponseEvent,
        RetryEvent,
    )
    from abstractcore.generation.many import MapResult
    from abstractcore.generation.tool_runs import ToolPolicy
    from abstractcore.llm import LLM
    from abstractcore.mapping import AsyncMapResults, MapResults
    from abstractcore.mcp import MCPClient
    from abstractcore.session import BasicSession
    from abstractcore.streams import AsyncStream, Stream
    from abstractcore.tools import Tool, ToolContext, tool
    from abstractcore.types import (
        AgentEvent,
        BatchCounts,
        EmbeddingResponse,
        GenerateResponse,
        Health,
        Message,
        StreamChunk,
        ToolCall,
        Usage,
    )

__all__ = [
    "LLM",
    "APIError",
    "AbstractCoreError",
    "Agent",
    "AgentEvent",
    "AsyncBatchJob",
    "AsyncMapResults",
    "AsyncStream",
    "AsyncToolError",
    "AuthenticationError",
    "BadRequestError",
    "BasicSession",
    "BatchCounts",
    "BatchError",
    "BatchJob",
    "Chain",
    "ChunkEvent",
    "Client",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContextLengthError",
    "EmbeddingResponse",
    "EngineDeadError",
    "EngineError",
    "ErrorEvent",
    "EvaluatorOptimizer",
    "FallbackLLM",
    "GenerateResponse",
    "Health",
    "IncompleteStreamError",
    "MCPClient",
    "MCPConnectionError",
    "MCPToolsChangedError",
    "MapResult",
    "MapResults",
    "Message",
    "MissingDependencyError",
    "ModelLoadError",
    "ModelNotFoundError",
    "OutOfMemoryError",
    "OverloadedError",
    "Parallel",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestEvent",
    "RequestTimeoutError",
    "ResponseError",
    "ResponseEvent",
    "RetryEvent",
    "Router",
    "ServerError",
    "SessionError",
    "Stream",
    "StreamChunk",
    "StructuredOutputError",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolPolicy",
    "TransportError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "Usage",
    "aio",
    "chat",
    "client",
    "create_llm",
    "distributed",
    "errors",
    "fallback",
    "models",
    "pretty_print",
    "testing",
    "tool",
    "tools",
    "types",
]

_ROOMS = ("aio", "distributed", "errors", "models", "testing", "tools", "types")
_HOME = {
    "Agent": "agents.agent",
    "pretty_print": "agents.printing",
    **dict.fromkeys(("Chain", "EvaluatorOptimizer", "Parallel", "Router"), "agents.workflows"),
    **dict.fromkeys(
        (
            "AgentEvent",
            "BatchCounts",
            "EmbeddingResponse",
            "GenerateResponse",
            "Health",
            "Message",
            "StreamChunk",
            "ToolCall",
            "Usage",
        ),
        "types",
    ),
    **dict.fromkeys(("Tool", "ToolContext", "tool"), "tools"),
    "ToolPolicy": "generation.tool_runs",
    **dict.fromkeys(("AsyncStream", "Stream"), "streams"),
    "LLM": "llm",
    **dict.fromkeys(
        ("ChunkEvent", "ErrorEvent", "RequestEvent", "ResponseEvent", "RetryEvent"), "generation.hooks"
    ),
    "MapResult": "generation.many",
    **dict.fromkeys(("AsyncMapResults", "MapResults"), "mapping"),
    **dict.fromkeys(("AsyncBatchJob", "BatchJob"), "batching"),
    "MCPClient": "mcp",
    "BasicSession": "session",
    **dict.fromkeys(("Client", "chat", "client"), "conversation"),
    "create_llm": "factory",
    **dict.fromkeys(("FallbackLLM", "fallback"), "failover"),
}  # the others are errors


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        return version("abstractcore")
    if name not in __all__:
        raise AttributeError(f"module 'abstractcore' has no attribute {name!r}")
    if name in _ROOMS:
        return import_module(f"abstractcore.{name}")
    value = getattr(import_module(f"abstractcore.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
