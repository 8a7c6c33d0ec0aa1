APIError: abstractcore.APIError
AbstractCoreError: abstractcore.AbstractCoreError

class Agent:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]: ...
    def __init__(
        self,
        client: Any,
        system: str | None = None,
        *,
        tools: Sequence[Any] = (),
        max_iterations: int = 10,
        name: str | None = None,
        approve: Approve | None = None,
        concurrent_tool_calls: bool = False,
        tool_timeout: float = _TOOL_TIMEOUT,
        events: Callable[[AgentEvent], None] | None = None,
    ) -> None: ...
    client: Any
    system: Any
    tools: list[Any]
    name: Any
    messages: list[Message]
    def restore(self, messages: Sequence[Mapping[str, Any]]) -> None: ...
    ...

AgentEvent: abstractcore.AgentEvent
AsyncBatchJob: abstractcore.AsyncBatchJob
AsyncMapResults: abstractcore.AsyncMapResults
AsyncStream: abstractcore.AsyncStream
AsyncToolError: abstractcore.AsyncToolError
AuthenticationError: abstractcore.AuthenticationError
BadRequestError: abstractcore.BadRequestError
BasicSession: abstractcore.BasicSession
BatchCounts: abstractcore.BatchCounts
BatchError: abstractcore.BatchError
BatchJob: abstractcore.BatchJob

class Chain:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]: ...
    def __init__(self, steps: Sequence[Any], name: str | None = None) -> None: ...
    steps: Any
    name: Any
    @classmethod
    def from_client(cls, client: Any, prompts: Sequence[str], *, name: str | None = None) -> Self: ...
    ...

ChunkEvent: abstractcore.ChunkEvent

class Client:
    def chat(
        self,
        text: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        tools: Sequence[Any] | None = None,
        schema: Any = None,
        images: Media | Sequence[Media] | None = None,
        timeout: float | None = None,
        max_iterations: int | None = ...,
        approve: Approve | None = ...,
        concurrent_tool_calls: bool | None = ...,
        tool_timeout: float | None = ...,
        events: Callable[[AgentEvent], None] | None = ...,
        temperature: float | None = ...,
        top_p: float | None = ...,
        top_k: int | None = ...,
        seed: int | None = ...,
        stop: str | Sequence[str] | None = ...,
        max_output_tokens: int | None = ...,
        presence_penalty: float | None = ...,
        frequency_penalty: float | None = ...,
        thinking: Thinking = ...,
        extra: Mapping[str, Any] | None = ...,
    ) -> Any: ...
    def fork(self) -> Client: ...
    async def aclose(self) -> None: ...
    session: Any
    llm: LLM
    messages: list[Message]
    system_message: str | None
    tools: list[Any]
    mcp_client: Any
    usage: Usage
    def reset(self) -> None: ...
    ...

ClosedError: abstractcore.ClosedError
ConfigurationError: abstractcore.ConfigurationError
ConflictError: abstractcore.ConflictError
ConnectionFailedError: abstractcore.ConnectionFailedError
ContextLengthError: abstractcore.ContextLengthError
EmbeddingResponse: abstractcore.EmbeddingResponse
EngineDeadError: abstractcore.EngineDeadError
EngineError: abstractcore.EngineError
ErrorEvent: abstractcore.ErrorEvent

class EvaluatorOptimizer:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]: ...
    def __init__(
        self, generator: Any, evaluator: Any, max_rounds: int = 3, *, name: str | None = None
    ) -> None: ...
    generator: Any
    evaluator: Any
    max_rounds: Any
    name: Any
    ...

FallbackLLM: abstractcore.FallbackLLM
GenerateResponse: abstractcore.GenerateResponse
Health: abstractcore.Health
IncompleteStreamError: abstractcore.IncompleteStreamError
LLM: abstractcore.LLM

class MCPClient:
    def __init__(self, *_: Any, **__: Any) -> None: ...
    @classmethod
    async def connect(
        cls,
        *,
        timeout: float = _DEFAULT_TIMEOUT,
        server: Any = ...,
        url: str = ...,
        headers: Mapping[str, str] = ...,
        command: str = ...,
        args: Sequence[str] = ...,
        env: Mapping[str, str] = ...,
        cwd: str | os.PathLike[str] = ...,
        config: Mapping[str, Any] = ...,
    ) -> Self: ...
    async def list_tools(self) -> list[ToolSpec]: ...
    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> str: ...
    async def as_tools(self) -> list[Tool[..., Any]]: ...
    async def aclose(self) -> None: ...
    def approve_changes(self) -> None: ...
    ...

MCPConnectionError: abstractcore.MCPConnectionError
MCPToolsChangedError: abstractcore.MCPToolsChangedError
MapResult: abstractcore.MapResult
MapResults: abstractcore.MapResults
Message: abstractcore.Message
MissingDependencyError: abstractcore.MissingDependencyError
ModelLoadError: abstractcore.ModelLoadError
ModelNotFoundError: abstractcore.ModelNotFoundError
OutOfMemoryError: abstractcore.OutOfMemoryError
OverloadedError: abstractcore.OverloadedError

class Parallel:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]: ...
    def __init__(
        self,
        workers: Sequence[Any],
        aggregator: Any = None,
        separator: str = "\n\n---\n\n",
        name: str | None = None,
    ) -> None: ...
    workers: Any
    aggregator: Any
    separator: Any
    name: Any
    @classmethod
    def from_client(
        cls,
        client: Any,
        worker_prompts: Sequence[str],
        aggregator_prompt: str | None = None,
        *,
        name: str | None = None,
    ) -> Self: ...
    ...

PermissionDeniedError: abstractcore.PermissionDeniedError
QuotaExceededError: abstractcore.QuotaExceededError
RateLimitError: abstractcore.RateLimitError
RequestEvent: abstractcore.RequestEvent
RequestTimeoutError: abstractcore.RequestTimeoutError
ResponseError: abstractcore.ResponseError
ResponseEvent: abstractcore.ResponseEvent
RetryEvent: abstractcore.RetryEvent

class Router:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., Any]: ...
    def __init__(
        self,
        client_or_classifier: Any,
        routes: Mapping[str, Any],
        *,
        descriptions: Mapping[str, str] | None = None,
        default: str | None = None,
        name: str | None = None,
    ) -> None: ...
    routes: Any
    name: Any
    ...

ServerError: abstractcore.ServerError
SessionError: abstractcore.SessionError
Stream: abstractcore.Stream
StreamChunk: abstractcore.StreamChunk
StructuredOutputError: abstractcore.StructuredOutputError
Tool: abstractcore.Tool
ToolCall: abstractcore.ToolCall
ToolContext: abstractcore.ToolContext
ToolError: abstractcore.ToolError
ToolPolicy: abstractcore.ToolPolicy
TransportError: abstractcore.TransportError
UnknownProviderError: abstractcore.UnknownProviderError
UnsupportedFeatureError: abstractcore.UnsupportedFeatureError
Usage: abstractcore.Usage

def chat(text: str, *, model: conversation.Model, system: str | None = None, **arguments: Any) -> Any: ...
def client(
    model: conversation.Model | conversation.Client,
    *,
    system: str | None = None,
    tools: Sequence[Any] | None = None,
    temperature: float | None = ...,
    top_p: float | None = ...,
    top_k: int | None = ...,
    seed: int | None = ...,
    stop: str | Sequence[str] | None = ...,
    max_output_tokens: int | None = ...,
    presence_penalty: float | None = ...,
    frequency_penalty: float | None = ...,
    thinking: Thinking = ...,
    extra: Mapping[str, Any] | None = ...,
    base_url: str | None = ...,
    api_key: str | None = ...,
    headers: Mapping[str, str] | None = ...,
    api: str | None = ...,
    prompted_tools: bool | None = ...,
    client: Any = ...,
    max_connections: int | None = ...,
    connect_timeout: float = ...,
    read_timeout: float = ...,
    max_body_bytes: int = ...,
    deterministic: bool = ...,
    device: str | None = ...,
    dtype: str | None = ...,
    cache_gb: int = ...,
    max_batch: int = ...,
    max_context: int | None = ...,
    threads: int | None = ...,
    prefix_cache: bool = ...,
    adapters: str | Sequence[str] = ...,
    draft_model: str | None = ...,
    step_timeout: float = ...,
) -> Client: ...

create_llm: abstractcore.create_llm
distributed: abstractcore.distributed
errors: abstractcore.errors
fallback: abstractcore.fallback
models: abstractcore.models
pretty_print: abstractcore.pretty_print
testing: abstractcore.testing
tool: abstractcore.tool
tools: abstractcore.tools
types: abstractcore.types
