"""A model in this process as a provider: a request to a prompt, a job's deltas to chunks.

Knows marks, usage and timings. The batch belongs to the scheduler, the model to the runtime.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.base import EmbedLimits
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.codecs.vectors import checked
from abstractcore.engines.prompt import write_prompt
from abstractcore.engines.runtime import Accepted, Delta, Embedded, Texts
from abstractcore.engines.sharing import Lease
from abstractcore.errors import AbstractCoreError, ConfigurationError, UnsupportedFeatureError
from abstractcore.tools.strict_json import surrogate_at
from abstractcore.types import EmbeddingResponse, StreamChunk, Usage

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.engines.runtime import Progress, Runtime
    from abstractcore.engines.scheduler import Ticket
    from abstractcore.types import EmbedRequest, FinishReason, GenerateRequest

_TEXTS_PER_JOB = 256
_SHOWN = 40


class EngineProvider:
    """One model in this process. The weights are loaded at the first call, or by `load`.

    *key* names what is shared: providers whose keys are equal use one model. *sees* tells whether it
    reads images, *embeds* whether the model is there to embed. *embedder* gives the share in it then; it
    raises what the caller lacks for that.
    """

    def __init__(
        self,
        name: str,
        model: str,
        *,
        key: Callable[[], Hashable],
        make: Callable[[], Runtime],
        strict: bool,
        found: Callable[[], list[str]] = list,
        sees: Callable[[], bool] = bool,
        embedder: Callable[[], Lease] | None = None,
        embeds: Callable[[], bool] = bool,
    ) -> None:
        self.name = name
        self.model = model
        self._strict = strict
        self._found = found
        self._sees = sees
        self.lease = Lease(name, key, make)
        self._make_embedder = embedder
        self._embeds = embeds
        self._leases = [self.lease]
        self._on_collect = weakref.finalize(self, _close_later, self._leases)
        self._on_collect.atexit = False

    async def load(self, driver: Driver, deadline: Deadline, progress: Progress | None = None) -> None:
        """Load the model now; *progress* takes a line of text for each stage."""
        lease = self._embedder() if self._embeds() else self.lease
        try:
            await lease.scheduler().load(driver, lease, deadline, progress)
        except AbstractCoreError as failure:
            failure.provider, failure.model = self.name, self.model
            raise

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once. Leaving the generator early ends the job at its next step."""
        prompt, warnings = write_prompt(request, self._sees)
        ticket = self.lease.scheduler().submit(driver, prompt, self.lease)
        answer = _Answer(request.model)
        try:
            accepted = await ticket.next(deadline)
            assert isinstance(accepted, Accepted)
            answer.accept(accepted, warnings)
            if self._strict and answer.warnings:
                raise UnsupportedFeatureError(f"{self.name}: {'; '.join(answer.warnings)}")
            marks = TextMarks(
                think=True,
                tools=bool(prompt.tools),
                opened=accepted.thinks and prompt.schema is None,  # a schema holds from the first token on
                plain_json=prompt.schema is None,
                schemas={tool.name: tool.parameters for tool in request.tools},
            )
            while not answer.is_over:
                for chunk in marks.through(answer.take(await _delta(ticket, deadline))):
                    yield chunk
        finally:
            ticket.leave()

    def embed_limits(self) -> EmbedLimits:
        """Tell how many texts make a job. Raises UnsupportedFeatureError, MissingDependencyError."""
        self._embedder()
        return EmbedLimits(_TEXTS_PER_JOB)

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        """Embed the texts of *request* once. A cancel ends the job at its next step."""
        lease = self._embedder()
        texts = Texts(request.texts, request.dimensions, request.truncate, _told(request))
        ticket = lease.scheduler().submit(driver, texts, lease)
        try:
            told = await ticket.next(deadline)
        finally:
            ticket.leave()
        assert isinstance(told, Embedded)
        vectors = checked(told.vectors, len(request.texts), request.dimensions)
        return EmbeddingResponse(vectors, self.model, usage=Usage(told.tokens, None, told.tokens))

    def _embedder(self) -> Lease:
        if len(self._leases) == 1:
            if self._make_embedder is None:
                raise UnsupportedFeatureError(
                    f"{self.name} offers no embeddings: openvino and huggingface do", provider=self.name
                )
            lease = self._make_embedder()
            if len(self._leases) == 1:  # no other thread came first
                self._leases.append(lease)
        return self._leases[1]

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """List the models that are on this machine, this one first."""
        return await driver.call(self._found)

    def close(self) -> None:
        """Give the share in the model back; the last one frees it. Running calls end with ClosedError."""
        self._on_collect.detach()
        for lease in self._leases:
            lease.close()


def _told(request: EmbedRequest) -> dict[str, str]:
    """Give the request's `extra`, which goes to a process that others share: what is no text stays here."""
    for name, value in request.extra.items():
        if any(not isinstance(part, str) or surrogate_at(part) is not None for part in (name, value)):
            raise ConfigurationError(f"extra: {str(name)[:_SHOWN]} must be text, for a model in this process")
    return dict(request.extra)


def _close_later(leases: list[Lease]) -> None:
    for lease in leases:
        lease.close_later()


async def _delta(ticket: Ticket, deadline: Deadline) -> Delta:
    event = await ticket.next(deadline)
    assert isinstance(event, Delta)
    return event


class _Answer:
    """What one job has given so far, counted and timed."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._began = time.perf_counter()
        self._first: float | None = None
        self._input: int | None = None
        self._output = 0
        self._cached: int | None = None
        self.warnings: tuple[str, ...] = ()
        self.is_over = False

    def accept(self, accepted: Accepted, warnings: tuple[str, ...]) -> None:
        """Note what the prompt came to."""
        self._input = accepted.input_tokens
        self._cached = accepted.cached_tokens
        self.warnings = (*warnings, *accepted.warnings)

    def take(self, delta: Delta) -> list[StreamChunk]:
        """Give a delta's chunks; the last one's are followed by `done`."""
        if self._first is None:
            self._first = time.perf_counter()
        self._output += delta.tokens
        if delta.input_tokens is not None:
            self._input = delta.input_tokens
        chunks = [StreamChunk("generating", delta.text)] if delta.text else []
        if delta.finish_reason is not None:
            self.is_over = True
            chunks.append(self._done(delta.finish_reason))
        return chunks

    def _done(self, reason: FinishReason) -> StreamChunk:
        total = None if self._input is None else self._input + self._output
        usage = Usage(self._input, self._output, total, self._cached)
        metadata: dict[str, Any] = {"model": self._model, "warnings": self.warnings}
        metadata["raw"] = {"finish_reason": reason, "timings": self._timings()}
        return StreamChunk("done", usage=usage, finish_reason=reason, metadata=metadata)

    def _timings(self) -> dict[str, float]:
        """Give seconds, and the pace of the tokens after the first."""
        now = time.perf_counter()
        first = now if self._first is None else self._first
        timings = {"total": now - self._began, "time_to_first_token": first - self._began}
        if self._output > 1 and now > first:
            timings["tokens_per_second"] = (self._output - 1) / (now - first)
        return timings
