"""What a provider is to the rooms above: something that answers one request with chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from abstractcore.errors import UnsupportedFeatureError

if TYPE_CHECKING:
    from abstractcore.codecs.base import EmbedLimits
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.providers.batching import HttpBatching
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk


class Provider(Protocol):
    """One model behind one endpoint, or in this process. It holds no history."""

    name: str
    model: str

    def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once; the last chunk is `done`. Leaving the generator early stops the work."""
        ...

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """List the ids of the models that can be asked here."""
        ...

    def close(self) -> None:
        """Release everything; calling it again does nothing."""
        ...


@runtime_checkable
class Loads(Protocol):
    """A provider whose model has to be loaded before it answers."""

    async def load(
        self, driver: Driver, deadline: Deadline, progress: Callable[[str], None] | None = None
    ) -> None:
        """Load the model, unless it is loaded; *progress* takes a line of text for each stage."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A provider that can turn texts into vectors."""

    def embed_limits(self) -> EmbedLimits:
        """Tell how much one `embed` may hold. Raises UnsupportedFeatureError where there are none."""
        ...

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        """Embed the texts of *request*, which are within the limits, once."""
        ...


@runtime_checkable
class Addressed(Protocol):
    """A provider that asks a server."""

    @property
    def address(self) -> tuple[str, int | None] | None:
        """The server's host and port, as far as they are known."""
        ...


def embedder_in(provider: Provider) -> Embeds:
    """Give *provider* as one that embeds. Raises UnsupportedFeatureError."""
    if not isinstance(provider, Embeds):
        raise UnsupportedFeatureError(f"{provider.name} offers no embeddings", provider=provider.name)
    return provider


@runtime_checkable
class KeepsSecrets(Protocol):
    """A provider that holds a key."""

    def scrub(self, text: str) -> str:
        """Replace its secrets wherever they stand in *text*."""
        ...


@runtime_checkable
class TakesBatches(Protocol):
    """A provider that may have a batch API of its own."""

    def batching(self) -> HttpBatching | None:
        """Give what its batches are asked with; None where it has none."""
        ...
