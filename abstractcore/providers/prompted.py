"""A provider whose model has no tools of its own, made into one that has."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from abstractcore.codecs.text_marks import TextMarks
from abstractcore.drivers.generators import Nested
from abstractcore.errors import AbstractCoreError, BadRequestError
from abstractcore.providers.base import Addressed, KeepsSecrets, TakesBatches, embedder_in
from abstractcore.tools.prompted import prompted

if TYPE_CHECKING:
    from abstractcore.codecs.base import EmbedLimits
    from abstractcore.costs import Tariff
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.providers.base import Provider
    from abstractcore.providers.batching import HttpBatching
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk

# Ollama: "… does not support tools"; vLLM: "… tool choice requires --enable-auto-tool-choice".
_REFUSALS = ("does not support tools", "enable-auto-tool-choice", "tools are not supported")
_TOLD = "tools are described in the prompt: the model has none of its own"


class PromptedTools:
    """Asks *inner* with the tools in the prompt: always, or once it has said that it knows none."""

    def __init__(self, inner: Provider, *, always: bool) -> None:
        self.name = inner.name
        self.model = inner.model
        self.tariff: Tariff | None = getattr(inner, "tariff", None)
        self._inner = inner
        self._is_needed = always

    def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once, or a second time when the server turns its tools down."""
        if not request.tools and not any(message["role"] == "tool" for message in request.messages):
            return self._inner.stream(driver, request, deadline)
        if self._is_needed:
            return self._prompted(driver, request, deadline)
        return self._tried(driver, request, deadline)

    async def _tried(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        try:
            async with aclosing(self._inner.stream(driver, request, deadline)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except BadRequestError as failure:
            if not any(words in failure.message for words in _REFUSALS):
                raise
            self._is_needed = True
        try:
            async with aclosing(Nested(self._prompted(driver, request, deadline))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except AbstractCoreError as failure:
            failure.attempts += 1
            raise

    async def _prompted(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        schemas = {tool.name: tool.parameters for tool in request.tools}
        marks = TextMarks(think=False, tools=True, plain_json=request.schema is None, schemas=schemas)
        async with aclosing(self._inner.stream(driver, prompted(request), deadline)) as chunks:
            async for chunk in chunks:
                for each in marks.through([chunk]):
                    yield each if each.phase != "done" else _told(each)

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """List the models of the provider inside."""
        return await self._inner.models(driver, deadline)

    def batching(self) -> HttpBatching | None:
        """Give the batches of the provider inside; None when its tools stand in the prompt."""
        if self._is_needed or not isinstance(self._inner, TakesBatches):
            return None
        return self._inner.batching()

    @property
    def address(self) -> tuple[str, int | None] | None:
        """Where the provider inside asks."""
        return self._inner.address if isinstance(self._inner, Addressed) else None

    def embed_limits(self) -> EmbedLimits:
        """Tell how much one `embed` of the provider inside may hold. Raises UnsupportedFeatureError."""
        return embedder_in(self._inner).embed_limits()

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        """Have the provider inside embed the texts of *request*."""
        return await embedder_in(self._inner).embed(driver, request, deadline)

    def scrub(self, text: str) -> str:
        """Take out of *text* what the provider inside keeps secret."""
        return self._inner.scrub(text) if isinstance(self._inner, KeepsSecrets) else text

    def close(self) -> None:
        """Close the provider inside."""
        self._inner.close()


def _told(chunk: StreamChunk) -> StreamChunk:
    end = dict(chunk.metadata or {})
    return replace(chunk, metadata={**end, "warnings": (*end.get("warnings", ()), _TOLD)})
