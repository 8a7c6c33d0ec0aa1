"""What a codec is: one vendor's wire format, as pure functions of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk


@dataclass(frozen=True, slots=True)
class WireRequest:
    """An encoded request: *path* below the base URL, the JSON *body*, and what had to be left out.

    *stream* says whether the answer comes as a stream, None: as the caller asked. A wire may have
    to stream what the caller wants whole.
    """

    path: str
    body: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stream: bool | None = None


class StreamDecoder(Protocol):
    """Reads one answer's events in order; holds what spans events, nothing else."""

    finished: bool
    """Whether the protocol's end mark has been read."""

    def feed(self, data: bytes) -> Iterable[StreamChunk]:
        """Read the next bytes of the body, cut anywhere, and give the chunks they complete."""
        ...

    def end(self) -> Iterable[StreamChunk]:
        """Say that the body has ended, and give what was held back.

        The last chunk of a whole answer is `done`. Raises IncompleteStreamError when the
        protocol's end mark is missing.
        """
        ...


class Codec(Protocol):
    """One wire format. Its named fields are the differences between the servers that speak it."""

    @property
    def name(self) -> str:
        """The key under which a message's `provider_data` holds what goes back through this codec alone."""
        ...

    @property
    def models_path(self) -> str:
        """Where below the base URL the server lists its models, for `models` to read."""
        ...

    def encode(self, request: GenerateRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        ...

    def decode(self, body: Any) -> Iterable[StreamChunk]:
        """Read a whole answer's decoded JSON as the chunks that a stream would have given.

        The metadata of `done` holds what is known of `model`, `response_id`, `raw_finish_reason`,
        `raw` and `provider_data`, the last as a message holds it: under the codec's name. Raises
        ResponseError for a wrong shape, and the APIError of an error inside a 200.
        """
        ...

    def streams(self, head: bytes) -> bool | None:
        """Whether a body that begins so is a stream of this wire, and not a whole answer or a web page.

        None when *head* is too short to tell.
        """
        ...

    def decoder(self) -> StreamDecoder:
        """Start reading a streamed answer."""
        ...

    def models(self, body: Any) -> list[str]:
        """Read the ids out of the server's list of models."""
        ...


@dataclass(frozen=True, slots=True)
class EmbedLimits:
    """How much one request for embeddings may hold: *texts*, and *tokens* of all of them together.

    A text has *tokens_per_text* at most: one that is longer is refused, or cut.
    """

    texts: int = 256
    tokens: int | None = None
    tokens_per_text: int | None = None


class EmbeddingCodec(Protocol):
    """One wire format of embeddings."""

    @property
    def limits(self) -> EmbedLimits:
        """How much one request may hold."""
        ...

    def encode(self, request: EmbedRequest) -> WireRequest:
        """Write a request; a field that the wire lacks is named in the warnings."""
        ...

    def decode(self, body: Any, request: EmbedRequest) -> EmbeddingResponse:
        """Read an answer's decoded JSON: a vector for each text, in their order.

        Raises ResponseError when there is any other number of them, or one that is unusable.
        """
        ...
