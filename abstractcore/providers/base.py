"""What a provider is to the rooms above: something that answers one request with chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.types import GenerateRequest, StreamChunk


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
class KeepsSecrets(Protocol):
    """A provider that holds a key."""

    def scrub(self, text: str) -> str:
        """Replace its secrets wherever they stand in *text*."""
        ...
