"""A batch at a provider: made of many prompts, looked at until it is over, its results read in their order.

Knows why a batch is looked at again, and a broken download begun again. Knows no surface and no vendor.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.batches import OVER, RawRequest, unanswered
from abstractcore.drivers.base import Deadline
from abstractcore.errors import (
    AbstractCoreError,
    BadRequestError,
    BatchError,
    ConfigurationError,
    ConflictError,
    RequestTimeoutError,
    TransportError,
)
from abstractcore.generation.batch_service import LOOK_SECONDS, BatchService
from abstractcore.generation.call import charged, parse_answer
from abstractcore.generation.collect import Collector
from abstractcore.generation.many import MapResult

if TYPE_CHECKING:
    from abstractcore.codecs.batches import BatchLine, BatchStatus
    from abstractcore.drivers.base import Driver
    from abstractcore.types import StreamChunk

_FIRST_PAUSE = 1.0
_LONGER = 1.5
# A service that does not answer for a while ends no waiting of hours.
_BLIND_LOOKS = 10
_SHORTEST_LOOK = 0.001
_EVER = 10 * 365 * 24 * 3600.0
_CUSTOM_ID = re.compile(r"prompt-([0-9]{1,9})")


class Batch:
    """One batch: its *status* as it was last seen, and the prompts, when this process knows them."""

    def __init__(
        self,
        service: BatchService,
        status: BatchStatus,
        *,
        prompts: Sequence[Any] | None,
        response_model: Any,
        warnings: Mapping[int, Sequence[str]] | None = None,
    ) -> None:
        self.status = status
        self._service = service
        self._prompts = prompts
        self._response_model = response_model
        self._warnings = warnings or {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status.state in OVER

    async def look(self, driver: Driver, seconds: float = LOOK_SECONDS) -> None:
        """Ask where it stands."""
        self.status = await self._service.find(driver, self.status.id, min(seconds, LOOK_SECONDS))

    async def wait(self, driver: Driver, timeout: float | None, longest_pause: float) -> None:
        """Look until it is over, at growing distances. Raises RequestTimeoutError after *timeout* seconds."""
        deadline = Deadline.after(_EVER if timeout is None else timeout)
        pause, blind = min(_FIRST_PAUSE, longest_pause), 0
        while not self.is_over:
            try:
                await self.look(driver, max(deadline.left(), _SHORTEST_LOOK))
                blind = 0
            except AbstractCoreError as failure:
                blind += 1
                if blind >= _BLIND_LOOKS or not (failure.retryable or isinstance(failure, TransportError)):
                    raise
            if self.is_over:
                return
            if (left := deadline.left()) <= 0:
                message = f"batch {self.status.id} is {self.status.state}, and the {timeout:g} s are over"
                raise self._service.named(RequestTimeoutError(message, phase="total"))
            await driver.sleep(min(pause, left))
            pause = min(pause * _LONGER, longest_pause)

    async def cancel(self, driver: Driver) -> None:
        """Ask for its end; one that is over is left as it is."""
        if self.is_over:
            return
        try:
            self.status = await self._service.cancel(driver, self.status.id)
        except (BadRequestError, ConflictError):
            await self.look(driver)
            if not self.is_over:
                raise

    async def results(self, driver: Driver, *, is_ordered: bool) -> AsyncGenerator[MapResult]:
        """Give each prompt's result: in order, or as the files have them. Leaving ends the download.

        Raises ConfigurationError when the batch is not over, BatchError when it failed as a whole.
        """
        if not self.is_over:
            await self.look(driver)
        self._check_readable()
        held: dict[int, MapResult] = {}
        seen: set[int] = set()
        next_index = 0
        async with aclosing(self._lines(driver)) as lines:
            async for line in lines:
                result = self._result(line, driver.now())
                if result.index in seen:
                    continue
                seen.add(result.index)
                if not is_ordered:
                    yield result
                    continue
                held[result.index] = result
                while next_index in held:
                    yield held.pop(next_index)
                    next_index += 1
        for index in range(next_index if is_ordered else 0, self._total(seen)):
            if index in held:
                yield held.pop(index)
            elif index not in seen:
                yield self._failed(index, unanswered(self.status.state))

    def _check_readable(self) -> None:
        status = self.status
        if not self.is_over:
            raise ConfigurationError(f"batch {status.id} is {status.state}: wait() until it is over")
        if status.state == "failed" and not status.result_paths:
            words = f"batch {status.id} failed: {status.problem or 'no reason given'}"
            raise self._service.named(BatchError(words, code="failed"))

    def _total(self, seen: set[int]) -> int:
        if self._prompts is not None:
            return len(self._prompts)
        return max(self.status.counts.total or 0, max(seen, default=-1) + 1)

    async def _lines(self, driver: Driver) -> AsyncGenerator[BatchLine]:
        for path in self.status.result_paths:
            async with aclosing(self._file(driver, path)) as lines:
                async for line in lines:
                    yield line

    async def _file(self, driver: Driver, path: str) -> AsyncGenerator[BatchLine]:
        """Give the lines of one file, from its beginning again after a failure: whoever reads has seen those.

        A failure counts again from one when the download has come further than any before.
        """
        batching = self._service.batching(driver)
        furthest = failures = 0
        while True:
            number = 0
            try:
                source = batching.lines(driver, RawRequest("GET", path), Deadline.after(_EVER))
                async with aclosing(source) as lines:
                    async for line in lines:
                        number += 1
                        if number <= furthest:
                            continue
                        furthest, failures = number, 0
                        yield batching.batches.result(line)
                return
            except AbstractCoreError as failure:
                failures += 1
                wait = self._service.retry.wait_before(failures, failure)
                if wait is None:
                    failure.attempts = failures
                    raise self._service.named(failure) from failure.__cause__
            await driver.sleep(wait)

    def _result(self, line: BatchLine, now: float) -> MapResult:
        index = self._index_of(line.custom_id)
        if line.error is not None:
            return self._failed(index, line.error)
        batching = self._service.batching()
        collector = Collector(batching.name, batching.model)
        try:
            for chunk in batching.codec.decode(line.body):
                collector.add(self._charged(chunk, now))
            for warning in self._warnings.get(index, ()):
                collector.warn(warning)
            if self._response_model is not None:
                parse_answer(self._response_model, collector)
        except AbstractCoreError as failure:
            failure.partial = collector.response()
            return self._failed(index, failure)
        response = collector.response()
        if line.request_id:
            response = replace(response, request_id=line.request_id)
        return MapResult(index, self._prompt(index), response)

    def _charged(self, chunk: StreamChunk, now: float) -> StreamChunk:
        if chunk.usage is None:
            return chunk
        provider, told = self._service.provider, chunk.metadata or {}
        models = (told.get("model"), provider.model)
        return replace(chunk, usage=charged(chunk.usage, provider, models, now, is_batched=True))

    def _failed(self, index: int, failure: AbstractCoreError) -> MapResult:
        return MapResult(index, self._prompt(index), None, self._service.named(failure))

    def _prompt(self, index: int) -> Any:
        return self._prompts[index] if self._prompts is not None else None

    def _index_of(self, custom_id: str) -> int:
        found = _CUSTOM_ID.fullmatch(custom_id)
        known = self._service.batching().batches.frame.max_requests
        if self._prompts is not None:
            known = len(self._prompts)
        if found is None or int(found[1]) >= known:
            raise ConfigurationError(f"the batch was made of other prompts: a result is named {custom_id!r}")
        return int(found[1])
