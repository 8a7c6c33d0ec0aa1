class APIError(AbstractCoreError):
    status_code: int | None
    code: str | None
    body: Any
    retry_after: float | None
    location: str | None
    ...

class AbstractCoreError(Exception):
    provider: str | None
    model: str | None
    attempts: int
    request_id: str | None
    retryable: bool
    partial: GenerateResponse | None
    def __init__(self, message: str = "", **fields: Any) -> None: ...
    message: Any
    ...

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
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]: ...
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

class AgentEvent:
    kind: EventKind
    agent: str | None
    iteration: int
    content: str
    tool_call: ToolCall | None
    usage: Usage | None
    def __init__(
        self,
        kind: EventKind,
        agent: str | None = None,
        iteration: int = 0,
        content: str = "",
        tool_call: ToolCall | None = None,
        usage: Usage | None = None,
    ) -> None: ...
    ...

class AsyncBatchJob:
    async def refresh(self) -> AsyncBatchJob: ...
    async def wait(self, *, timeout: float | None = None, poll: float = LONGEST_PAUSE) -> AsyncBatchJob: ...
    def results(self, *, ordered: bool = True) -> AsyncMapResults: ...
    async def cancel(self) -> AsyncBatchJob: ...
    id: str
    status: BatchState
    is_over: bool
    counts: BatchCounts
    metadata: dict[str, str]
    raw: Any
    ...

class AsyncMapResults:
    async def aclose(self) -> None: ...
    ...

class AsyncStream:
    def send(self, value: Any) -> Any: ...
    def throw(self, *failure: Any) -> Any: ...
    def close(self) -> None: ...
    response: GenerateResponse
    partial: GenerateResponse
    async def aclose(self) -> None: ...
    ...

class AsyncToolError(ConfigurationError, TypeError): ...
class AuthenticationError(APIError): ...
class BadRequestError(APIError): ...

class BasicSession:
    def __init__(
        self,
        provider: LLM | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        auto_compact: bool = False,
        *,
        compact_above: int = 6000,
        **unknown: Any,
    ) -> None: ...
    provider: Any
    system_prompt: Any
    tools: list[Any]
    temperature: Any
    seed: Any
    auto_compact: Any
    compact_above: Any
    mcp_client: Any
    tool_policy: Any
    messages: list[Message]
    usage: Any
    def add_message(self, role: Role, content: str, **metadata: Any) -> Message: ...
    def get_history(self, include_system: bool = True) -> list[Message]: ...
    def count_tokens(self) -> int: ...
    def clear(self) -> None: ...
    def fork(self) -> BasicSession: ...
    def compact(self, *, keep: int = _KEEP, timeout: float | None = None) -> None: ...
    async def acompact(self, *, keep: int = _KEEP, timeout: float | None = None) -> None: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, provider: LLM | None = None, tools: Sequence[Any] | None = None
    ) -> BasicSession: ...
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
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
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
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
    ...

class BatchCounts:
    total: int | None
    succeeded: int | None
    failed: int | None
    cancelled: int | None
    expired: int | None
    def __init__(
        self,
        total: int | None = None,
        succeeded: int | None = None,
        failed: int | None = None,
        cancelled: int | None = None,
        expired: int | None = None,
    ) -> None: ...
    ...

class BatchError(APIError): ...

class BatchJob:
    def refresh(self) -> BatchJob: ...
    def wait(self, *, timeout: float | None = None, poll: float = LONGEST_PAUSE) -> BatchJob: ...
    def results(self, *, ordered: bool = True) -> MapResults: ...
    def cancel(self) -> BatchJob: ...
    id: str
    status: BatchState
    is_over: bool
    counts: BatchCounts
    metadata: dict[str, str]
    raw: Any
    ...

class Chain:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]: ...
    def __init__(self, steps: Sequence[Any], name: str | None = None) -> None: ...
    steps: Any
    name: Any
    @classmethod
    def from_client(cls, client: Any, prompts: Sequence[str], *, name: str | None = None) -> Self: ...
    ...

class ChunkEvent:
    provider: str
    model: str
    chunk: StreamChunk
    def __init__(self, provider: str, model: str, chunk: StreamChunk) -> None: ...
    ...

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
    def close(self) -> None: ...
    session: Any
    llm: LLM
    messages: list[Message]
    system_message: str | None
    tools: list[Any]
    mcp_client: Any
    usage: Usage
    def reset(self) -> None: ...
    ...

class ClosedError(ConfigurationError): ...
class ConfigurationError(AbstractCoreError, ValueError): ...
class ConflictError(APIError): ...
class ConnectionFailedError(TransportError, ConnectionError): ...
class ContextLengthError(BadRequestError): ...

class EmbeddingResponse:
    vectors: list[list[float]]
    model: str | None
    provider: str | None
    usage: Usage
    gen_time: float | None
    warnings: list[str]
    request_ids: list[str]
    dimensions: int
    def numpy(self) -> Any: ...
    def __init__(
        self,
        vectors: list[list[float]] = list[list[float]](),
        model: str | None = None,
        provider: str | None = None,
        usage: Usage = Usage(),
        gen_time: float | None = None,
        warnings: list[str] = list[str](),
        request_ids: list[str] = list[str](),
    ) -> None: ...
    ...

class EngineDeadError(EngineError): ...
class EngineError(AbstractCoreError): ...

class ErrorEvent:
    provider: str
    model: str
    seconds: float
    error: AbstractCoreError
    def __init__(self, provider: str, model: str, seconds: float, error: AbstractCoreError) -> None: ...
    ...

class EvaluatorOptimizer:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]: ...
    def __init__(
        self, generator: Any, evaluator: Any, max_rounds: int = 3, *, name: str | None = None
    ) -> None: ...
    generator: Any
    evaluator: Any
    max_rounds: Any
    name: Any
    ...

class FallbackLLM(LLM):
    provider: str
    model: str
    llms: list[LLM]
    breakers: list[BreakerState]
    def on(self, event: Any, callback: Callable[[Any], None]) -> Callable[[], None]: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...
    ...

class GenerateResponse:
    content: str
    reasoning: str | None
    tool_calls: list[ToolCall]
    finish_reason: FinishReason | None
    usage: Usage
    model: str | None
    provider: str | None
    request_id: str | None
    gen_time: float | None
    warnings: list[str]
    raw: Any
    parsed: Any
    provider_data: dict[str, Any] | None
    def __init__(
        self,
        content: str = "",
        reasoning: str | None = None,
        tool_calls: list[ToolCall] = list[ToolCall](),
        finish_reason: FinishReason | None = None,
        usage: Usage = Usage(),
        model: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        gen_time: float | None = None,
        warnings: list[str] = list[str](),
        raw: Any = None,
        parsed: Any = None,
        provider_data: dict[str, Any] | None = None,
    ) -> None: ...
    ...

class Health:
    ok: bool
    seconds: float
    error: Exception | None
    def __init__(self, ok: bool, seconds: float, error: Exception | None = None) -> None: ...
    ...

class IncompleteStreamError(TransportError): ...

class LLM:
    provider: str
    model: str
    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]: ...
    def load(self, progress: Watch = None, *, timeout: float | None = None) -> None: ...
    async def aload(self, progress: Watch = None, *, timeout: float | None = None) -> None: ...
    def embed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        truncate: bool = False,
        batch_size: int | None = None,
        concurrency: int = 4,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> EmbeddingResponse: ...
    async def aembed(
        self,
        texts: str | Iterable[str],
        *,
        dimensions: int | None = None,
        truncate: bool = False,
        batch_size: int | None = None,
        concurrency: int = 4,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> EmbeddingResponse: ...
    def list_models(self, *, timeout: float | None = None) -> list[str]: ...
    async def alist_models(self, *, timeout: float | None = None) -> list[str]: ...
    def health(self, *, timeout: float | None = None) -> Health: ...
    async def ahealth(self, *, timeout: float | None = None) -> Health: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...
    def batch(
        self,
        prompts: Iterable[BatchPrompt],
        *,
        metadata: Mapping[str, str] | None = None,
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
        system_prompt: str | None = ...,
        tools: Sequence[Any] | None = ...,
        tool_choice: str | None = ...,
        response_model: Any = ...,
        media: Media | Sequence[Media] | None = ...,
        timeout: float | None = ...,
    ) -> BatchJob: ...
    async def abatch(
        self,
        prompts: Iterable[BatchPrompt],
        *,
        metadata: Mapping[str, str] | None = None,
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
        system_prompt: str | None = ...,
        tools: Sequence[Any] | None = ...,
        tool_choice: str | None = ...,
        response_model: Any = ...,
        media: Media | Sequence[Media] | None = ...,
        timeout: float | None = ...,
    ) -> AsyncBatchJob: ...
    def batch_job(
        self, batch_id: str, prompts: Iterable[BatchPrompt] | None = None, *, response_model: Any = None
    ) -> BatchJob: ...
    async def abatch_job(
        self, batch_id: str, prompts: Iterable[BatchPrompt] | None = None, *, response_model: Any = None
    ) -> AsyncBatchJob: ...
    def map(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 10,
        rate: float | None = None,
        tokens_per_minute: float | None = None,
        ordered: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        on_error: Literal["return", "raise"] = "return",
        progress: Progress = None,
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
        system_prompt: str | None = ...,
        tools: Sequence[Any] | None = ...,
        tool_choice: str | None = ...,
        run_tools: bool = ...,
        response_model: Any = ...,
        media: Media | Sequence[Media] | None = ...,
        timeout: float | None = ...,
    ) -> MapResults: ...
    def amap(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        *,
        concurrency: int = 10,
        rate: float | None = None,
        tokens_per_minute: float | None = None,
        ordered: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        on_error: Literal["return", "raise"] = "return",
        progress: Progress = None,
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
        system_prompt: str | None = ...,
        tools: Sequence[Any] | None = ...,
        tool_choice: str | None = ...,
        run_tools: bool = ...,
        response_model: Any = ...,
        media: Media | Sequence[Media] | None = ...,
        timeout: float | None = ...,
    ) -> AsyncMapResults: ...
    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
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
    def agenerate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        system_prompt: str | None = None,
        tools: Sequence[Any] | None = None,
        tool_choice: str | None = None,
        run_tools: bool = False,
        response_model: Any = None,
        return_response: bool = False,
        media: Media | Sequence[Media] | None = None,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
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
    ...

class MCPClient:
    def __init__(
        self,
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
    ) -> None: ...
    def list_tools(self) -> list[ToolSpec]: ...
    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        progress: Callable[[float, float | None, str | None], None] | None = None,
    ) -> str: ...
    def as_tools(self) -> list[Tool[..., Any]]: ...
    def close(self) -> None: ...
    def approve_changes(self) -> None: ...
    ...

class MCPConnectionError(AbstractCoreError): ...

class MCPToolsChangedError(ConfigurationError):
    changes: Mapping[str, tuple[ToolSpec, ToolSpec]]
    ...

class MapResult:
    index: int
    prompt: Any
    response: GenerateResponse | None
    error: AbstractCoreError | None
    def __init__(
        self,
        index: int,
        prompt: Any,
        response: GenerateResponse | None = None,
        error: AbstractCoreError | None = None,
    ) -> None: ...
    ...

class MapResults:
    def close(self) -> None: ...
    ...

class Message:
    role: Role
    content: str | list[ContentPart]
    tool_calls: NotRequired[list[ToolCallDict]]
    tool_call_id: NotRequired[str]
    reasoning: NotRequired[str]
    name: NotRequired[str]
    timestamp: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    provider_data: NotRequired[dict[str, Any]]
    ...

class MissingDependencyError(ConfigurationError, ImportError): ...
class ModelLoadError(EngineError): ...
class ModelNotFoundError(APIError): ...
class OutOfMemoryError(EngineError): ...
class OverloadedError(ServerError): ...

class Parallel:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]: ...
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

class PermissionDeniedError(APIError): ...
class QuotaExceededError(RateLimitError): ...
class RateLimitError(APIError): ...

class RequestEvent:
    provider: str
    model: str
    attempt: int
    request: GenerateRequest
    def __init__(self, provider: str, model: str, attempt: int, request: GenerateRequest) -> None: ...
    ...

class RequestTimeoutError(TransportError, TimeoutError): ...

class ResponseError(AbstractCoreError):
    body: Any
    ...

class ResponseEvent:
    provider: str
    model: str
    seconds: float
    usage: Usage
    response: GenerateResponse
    def __init__(
        self, provider: str, model: str, seconds: float, usage: Usage, response: GenerateResponse
    ) -> None: ...
    ...

class RetryEvent:
    provider: str
    model: str
    attempt: int
    error: AbstractCoreError
    def __init__(self, provider: str, model: str, attempt: int, error: AbstractCoreError) -> None: ...
    ...

class Router:
    def run(
        self,
        task: str,
        *,
        stream: bool = False,
        include: str | Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def as_tool(self, name: str | None = None, description: str | None = None) -> Tool[..., str]: ...
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

class ServerError(APIError): ...
class SessionError(AbstractCoreError, ValueError): ...

class Stream:
    response: GenerateResponse
    partial: GenerateResponse
    def close(self) -> None: ...
    ...

class StreamChunk:
    phase: Phase
    content: str
    agent: str | None
    iteration: int
    tool_call: ToolCall | None
    usage: Usage | None
    finish_reason: FinishReason | None
    metadata: Mapping[str, Any] | None
    partial: Any
    def is_text(self) -> bool: ...
    def is_tool_call(self) -> bool: ...
    def is_done(self) -> bool: ...
    def __init__(
        self,
        phase: Phase,
        content: str = "",
        agent: str | None = None,
        iteration: int = 0,
        tool_call: ToolCall | None = None,
        usage: Usage | None = None,
        finish_reason: FinishReason | None = None,
        metadata: Mapping[str, Any] | None = None,
        partial: Any = None,
    ) -> None: ...
    ...

class StructuredOutputError(AbstractCoreError):
    last_text: str | None
    validation_error: str | None
    ...

class Tool:
    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None: ...
    @classmethod
    def from_function(
        cls, function: Callable[P, R], *, name: str | None = None, description: str | None = None
    ) -> Tool[P, R]: ...
    name: str
    description: str
    parameters: Mapping[str, Any]
    spec: ToolSpec
    context_parameter: str | None
    is_async: bool
    is_generator: bool
    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]: ...
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    ...

class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]
    arguments_raw: str | None
    def as_dict(self) -> ToolCallDict: ...
    def __init__(
        self,
        id: str,
        name: str,
        arguments: dict[str, Any] = dict[str, Any](),
        arguments_raw: str | None = None,
    ) -> None: ...
    ...

class ToolContext:
    tool_call: ToolCall | None
    messages: Sequence[Message]
    agent: str | None
    iteration: int
    tell: Callable[[str], None] | None
    def progress(self, text: str) -> None: ...
    def __init__(
        self,
        tool_call: ToolCall | None = None,
        messages: Sequence[Message] = (),
        agent: str | None = None,
        iteration: int = 0,
        tell: Callable[[str], None] | None = None,
    ) -> None: ...
    ...

class ToolError(AbstractCoreError): ...

class ToolPolicy:
    max_iterations: int
    approve: Approve | None
    concurrent_tool_calls: bool
    tool_timeout: float
    agent: str | None
    events: Callable[[AgentEvent], None] | None
    def tell(self, kind: EventKind, iteration: int, **fields: Any) -> None: ...
    def __init__(
        self,
        max_iterations: int = 10,
        approve: Approve | None = None,
        concurrent_tool_calls: bool = False,
        tool_timeout: float = 60.0,
        agent: str | None = None,
        events: Callable[[AgentEvent], None] | None = None,
    ) -> None: ...
    ...

class TransportError(AbstractCoreError):
    phase: TransportPhase | None
    ...

class UnknownProviderError(ConfigurationError): ...
class UnsupportedFeatureError(ConfigurationError): ...

class Usage:
    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cache_write_tokens: int | None
    charges: Charges
    cost: Decimal | None
    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Usage: ...
    def __init__(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        total_tokens: int | None = None,
        cached_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        charges: Charges = (),
    ) -> None: ...
    ...

aio: module

def chat(text: str, *, model: Model, system: str | None = None, **arguments: Any) -> Any: ...
def client(
    model: Model,
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
def create_llm(
    provider: str,
    model: str | None = None,
    *,
    timeout: float | None = None,
    max_retries: int = 2,
    strict: bool = False,
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
) -> LLM: ...

distributed: module
errors: module

def fallback(
    llms: Iterable[LLM],
    *,
    on: type[AbstractCoreError] | Iterable[type[AbstractCoreError]] | None = None,
    timeout: float | None = None,
    max_failures: int = 5,
    reset_timeout: float = 30.0,
    clock: Callable[[], float] | None = None,
) -> FallbackLLM: ...

models: module

def pretty_print(stream: Stream | AsyncStream) -> Any: ...

testing: module

def tool(
    function: Callable[..., Any] | None = None, *, name: str | None = None, description: str | None = None
) -> Any: ...

tools: module
types: module
