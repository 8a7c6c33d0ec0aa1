"""The plain words of the package: messages, tool calls, usage, requests, responses and stream chunks.

Everything a model produces is a `StreamChunk`; everything a caller asks is a
`GenerateRequest`. Nothing here knows a vendor, a socket or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from abstractcore.costs import Charges, cost_of, joined, read_charges

if TYPE_CHECKING:
    from decimal import Decimal

Phase = Literal["thinking", "tool_calling", "generating", "done"]
PHASES: tuple[Phase, ...] = ("thinking", "tool_calling", "generating", "done")
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]
BatchState = Literal[
    "validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"
]
EventKind = Literal["model_call", "model_answer", "tool_call", "tool_progress", "tool_result"]
Role = Literal["system", "user", "assistant", "tool"]
Thinking = bool | Literal["low", "medium", "high"] | None


class TextPart(TypedDict):
    """A piece of text inside a message whose content is a list."""

    type: Literal["text"]
    text: str


class ImagePart(TypedDict):
    """An image: a *url* (fetched by the provider, never by us) or base64 *data* with its *media_type*."""

    type: Literal["image"]
    url: NotRequired[str]
    data: NotRequired[str]
    media_type: NotRequired[str]


ContentPart = TextPart | ImagePart


class ToolCallDict(TypedDict):
    """A tool call as it stands in a message."""

    id: str
    name: str
    arguments: dict[str, Any]
    arguments_raw: NotRequired[str]


class Message(TypedDict):
    """One turn's entry: plain, JSON-serialisable data.

    *provider_data* holds what one codec must send back unmodified (thinking signatures,
    reasoning details), keyed by the codec's name; other codecs ignore it.
    """

    role: Role
    content: str | list[ContentPart]
    tool_calls: NotRequired[list[ToolCallDict]]
    tool_call_id: NotRequired[str]
    reasoning: NotRequired[str]
    name: NotRequired[str]
    timestamp: NotRequired[str]
    metadata: NotRequired[dict[str, Any]]
    provider_data: NotRequired[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's request to run a tool.

    When the model wrote arguments that are not a JSON object, *arguments* is empty and
    *arguments_raw* holds its words.
    """

    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    arguments_raw: str | None = None

    def as_dict(self) -> ToolCallDict:
        """Give the call as it stands in a message."""
        call: ToolCallDict = {"id": self.id, "name": self.name, "arguments": self.arguments}
        if self.arguments_raw is not None:
            call["arguments_raw"] = self.arguments_raw
        return call


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool: *parameters* is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The JSON Schema that the answer must follow, and the name it goes by on the wire."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; what the provider did not tell is None, never 0.

    *input_tokens* is the whole prompt, *cached_tokens* the part of it that was read from a
    cache, *cache_write_tokens* the part that was written to one at a price of its own;
    *reasoning_tokens* are part of *output_tokens*. *charges* is what `cost` is reckoned from.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None
    charges: Charges = field(default=(), repr=False, compare=False)

    @property
    def cost(self) -> Decimal | None:
        """What it cost in US dollars; None where that is not known, as for a model of your own.

        A provider's own word counts first, then the price list of the package genai-prices, whose
        prices may have changed since. Raises MissingDependencyError where the list is not installed.
        """
        return cost_of(self.charges)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Usage:
        """Read what `dataclasses.asdict` and JSON have made of a usage."""
        fields: dict[str, Any] = {**data, "charges": read_charges(data.get("charges", ()))}
        return cls(**fields)

    def __add__(self, other: Usage) -> Usage:
        """Sum what both know; a count that only one of them knows is kept."""
        return Usage(
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.total_tokens, other.total_tokens),
            _sum(self.cached_tokens, other.cached_tokens),
            _sum(self.reasoning_tokens, other.reasoning_tokens),
            _sum(self.cache_write_tokens, other.cache_write_tokens),
            joined(self.charges, other.charges),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


@dataclass(frozen=True, slots=True)
class StreamChunk:
    """One streamed value: its phase, and the new text in *content* (always a str).

    A `tool_calling` chunk carries a whole `tool_call`. The last chunk is `done`: it carries
    `finish_reason` and `usage`. *agent* and *iteration* say which agent and which model
    call it comes from. *metadata* holds what only the end of an answer knows (model,
    request id, the vendor's own words). With a `response_model`, *partial* is the object as
    far as the text goes: plain dicts and lists, not yet validated.
    """

    phase: Phase
    content: str = ""
    agent: str | None = None
    iteration: int = 0
    tool_call: ToolCall | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    metadata: Mapping[str, Any] | None = None
    partial: Any = None

    def is_text(self) -> bool:
        """Whether *content* is text of the model, thought or answered."""
        return self.phase == "generating" or self.phase == "thinking"

    def is_tool_call(self) -> bool:
        """Whether the model calls a tool here."""
        return self.phase == "tool_calling"

    def is_done(self) -> bool:
        """Whether this is the end of one answer."""
        return self.phase == "done"


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """One moment of an agent's run: a model is asked, has answered, calls a tool, or reads its result.

    *content* is the answer's text or the tool's result, *usage* the answer's tokens.
    """

    kind: EventKind
    agent: str | None = None
    iteration: int = 0
    content: str = ""
    tool_call: ToolCall | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One question to one model, in no vendor's words.

    A system prompt is the first message. A field that is None is not sent. *extra* goes to
    the wire unchanged.
    """

    model: str
    messages: Sequence[Message]
    stream: bool = False
    tools: Sequence[ToolSpec] = ()
    tool_choice: str | None = None
    schema: OutputSchema | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: Sequence[str] | None = None
    max_output_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking: Thinking = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class GenerateResponse:
    """A model's whole answer.

    *content* is "" when the model only called tools. *gen_time* is in milliseconds.
    *warnings* names every parameter that was left out and why. *raw* is the vendor's own
    words: the decoded body, or for a stream its last events' fields. *parsed* is the
    validated object when a `response_model` was given.
    """

    content: str = ""
    reasoning: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    finish_reason: FinishReason | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    provider: str | None = None
    request_id: str | None = None
    gen_time: float | None = None
    warnings: list[str] = field(default_factory=list[str])
    raw: Any = None
    parsed: Any = None
    provider_data: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts for one model to embed, in no vendor's words.

    *dimensions* is how long the vectors shall be, None: as the model makes them. With *truncate* a text
    that is too long for the model is cut. *extra* goes to the wire unchanged.
    """

    model: str
    texts: Sequence[str]
    dimensions: int | None = None
    truncate: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class EmbeddingResponse:
    """One vector for each text, in the texts' order. `len`, a loop and an index go over the vectors.

    *gen_time* is in milliseconds. *warnings* names every parameter that was left out and why.
    *request_ids* are those of all requests that it took.
    """

    vectors: list[list[float]] = field(default_factory=list[list[float]], repr=False)
    model: str | None = None
    provider: str | None = None
    usage: Usage = field(default_factory=Usage)
    gen_time: float | None = None
    warnings: list[str] = field(default_factory=list[str])
    request_ids: list[str] = field(default_factory=list[str])

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has; 0 when there is none."""
        return len(self.vectors[0]) if self.vectors else 0

    def numpy(self) -> Any:
        """Give the vectors as a numpy array of float32, one row for each text.

        Raises MissingDependencyError where numpy is not installed.
        """
        try:
            import numpy
        except ImportError as failure:
            from abstractcore.errors import MissingDependencyError

            raise MissingDependencyError("numpy is not installed: pip install numpy") from failure
        return numpy.array(self.vectors, dtype=numpy.float32).reshape(len(self.vectors), self.dimensions)

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[list[float]]:
        return iter(self.vectors)

    def __getitem__(self, index: int) -> list[float]:
        return self.vectors[index]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a provider answers: true or false by itself, with the *seconds* it took or the *error*."""

    ok: bool
    seconds: float
    error: Exception | None = None

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How many requests of a batch there are, and what became of them; what is not told is None."""

    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    expired: int | None = None
