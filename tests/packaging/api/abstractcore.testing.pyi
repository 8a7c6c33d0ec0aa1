class Cassette:
    path: Any
    mode: Mode
    recordings: list[Recording]
    thread: Any
    is_replaying: bool
    is_recording: bool
    unused: int
    def provider(self, provider: Provider) -> Provider: ...
    def driver(self, driver: Driver) -> Driver: ...
    def add(self, recording: Recording, scrub: Callable[[str], str]) -> None: ...
    def take(self, request: dict[str, Any]) -> Recording: ...
    ...

class CassetteError(ConfigurationError): ...

class CassetteMissError(CassetteError):
    path: str
    request: Mapping[str, Any]
    nearest: Mapping[str, Any] | None
    diff: str
    ...

class FunctionLLM(LLM):
    def __init__(
        self,
        function: Callable[[Request], Answer | Awaitable[Answer]],
        *,
        model: str = "function",
        timeout: float | None = None,
        max_retries: int = 0,
        embeddings: Embeddings | None = None,
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
    ) -> None: ...
    requests: list[Request]
    ...

class Request:
    @classmethod
    def of(cls, request: GenerateRequest) -> Request: ...
    prompt: str
    system_prompt: str | None
    tool_names: list[str]
    tool_results: list[str]
    model: str
    messages: Sequence[Message]
    stream: bool
    tools: Sequence[ToolSpec]
    tool_choice: str | None
    schema: OutputSchema | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    seed: int | None
    stop: Sequence[str] | None
    max_output_tokens: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    thinking: Thinking
    extra: Mapping[str, Any]
    def __init__(
        self,
        model: str,
        messages: Sequence[Message],
        stream: bool = False,
        tools: Sequence[ToolSpec] = (),
        tool_choice: str | None = None,
        schema: OutputSchema | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        stop: Sequence[str] | None = None,
        max_output_tokens: int | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        thinking: Thinking = None,
        extra: Mapping[str, Any] = dict[str, Any](),
    ) -> None: ...
    ...

class ScriptError(ConfigurationError): ...

class ScriptedLLM(LLM):
    def __init__(
        self,
        script: Iterable[Answer],
        *,
        model: str = "scripted",
        timeout: float | None = None,
        max_retries: int = 0,
        embeddings: Embeddings | None = None,
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
    ) -> None: ...
    unused: int
    requests: list[Request]
    ...

class Wait:
    seconds: float
    def __init__(self, seconds: float) -> None: ...
    ...

def cassette(path: str | os.PathLike[str], mode: Mode = "auto") -> Cassette: ...
def thinking(text: str) -> StreamChunk: ...
def tool_call(name: str, **arguments: Any) -> ToolCall: ...
def wait(seconds: float) -> Wait: ...
def word_vector(text: str) -> list[float]: ...
