"""A provider's batch API, asked with the retries of its LLM: a batch is made, found, and cancelled.

Knows what may be sent twice. Knows no surface and no vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from abstractcore.drivers.base import Deadline
from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    ConfigurationError,
    TransportError,
    UnsupportedFeatureError,
)
from abstractcore.generation.ask import Ask, with_messages, write_messages
from abstractcore.generation.call import asked, name
from abstractcore.providers.base import TakesBatches
from abstractcore.providers.stand_ins import standing_in

if TYPE_CHECKING:
    from abstractcore.codecs.base import WireRequest
    from abstractcore.codecs.batches import BatchStatus, RawRequest
    from abstractcore.drivers.base import Driver
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider
    from abstractcore.providers.batching import HttpBatching

E = TypeVar("E", bound=AbstractCoreError)
LOOK_SECONDS = 30.0
_DONE_AT_ONCE = 50
# What says that no batch was made, so that it may be asked for again.
_NOT_MADE = (429, 503, 529)
_NOT_SENT = ("connect", "tls", "pool")
_MAYBE_MADE = "; the batch may have been made all the same: look before you ask again"


@dataclass(frozen=True, slots=True)
class BatchService:
    """The batch API behind one LLM."""

    provider: Provider
    retry: Retry

    def batching(self, driver: Driver | None = None) -> HttpBatching:
        """Give what it is asked with. Raises UnsupportedFeatureError where the provider has no batches."""
        provider = self.provider
        if driver is not None and standing_in(driver, provider)[1] is not provider:
            raise UnsupportedFeatureError("batches are neither recorded nor played back")
        batching = provider.batching() if isinstance(provider, TakesBatches) else None
        if batching is None:
            words = "no batch API is known here; llm.map asks many prompts of any provider"
            raise UnsupportedFeatureError(f"{provider.name}: {words}")
        return batching

    def named(self, failure: E) -> E:
        """Say in *failure* whose it is, and take out the key."""
        self.batching().clean(failure, None)
        name(failure, self.provider)
        return failure

    async def check(self, driver: Driver, count: int, ask: Callable[[int], Ask]) -> list[Ask]:
        """Check so many prompts, one by one by *ask*, before anything is sent. Raises ConfigurationError."""
        most = self.batching(driver).batches.frame.max_requests
        if not 0 < count <= most:
            raise ConfigurationError(
                f"{self.provider.name}: a batch holds 1 to {most:,} prompts, and these are {count:,}"
            )
        asks: list[Ask] = []
        for index in range(count):
            await _let_others_go_on(driver, index)
            try:
                asks.append(ask(index))
            except ConfigurationError as failure:
                failure.message = f"prompt {index}: {failure.message}"
                failure.args = (failure.message,)
                raise
        return asks

    async def submit(
        self, driver: Driver, asks: Sequence[Ask], metadata: Mapping[str, str] | None
    ) -> tuple[BatchStatus, dict[int, Sequence[str]]]:
        """Make a batch of *asks*, which were checked; the warnings of each come along."""
        batching = self.batching(driver)
        body, wire, warnings = await _body(driver, batching, asks)
        deadline = Deadline.after(asks[0].seconds)
        submission = batching.batches.submission(body, wire, metadata)
        try:
            request = next(submission)
            while True:
                request = submission.send(await self._send(driver, batching, request, deadline))
        except StopIteration as end:
            return end.value, warnings

    async def find(self, driver: Driver, batch_id: str, seconds: float = LOOK_SECONDS) -> BatchStatus:
        """Ask where the batch of this id stands."""
        batching = self.batching(driver)
        request = batching.batches.look(batch_id)
        return batching.batches.status(await self._send(driver, batching, request, Deadline.after(seconds)))

    async def cancel(self, driver: Driver, batch_id: str) -> BatchStatus:
        """Ask for the end of the batch of this id."""
        batching = self.batching(driver)
        request = batching.batches.cancel(batch_id)
        return batching.batches.status(
            await self._send(driver, batching, request, Deadline.after(LOOK_SECONDS))
        )

    async def _send(
        self, driver: Driver, batching: HttpBatching, request: RawRequest, deadline: Deadline
    ) -> Any:
        async def once() -> Any:
            try:
                return await batching.ask(driver, request, deadline)
            except AbstractCoreError as failure:
                if request.makes and not _is_not_made(failure):
                    _end_here(failure)
                raise

        return await asked(driver, self.provider, self.retry, once, deadline)


def _is_not_made(failure: AbstractCoreError) -> bool:
    if isinstance(failure, APIError):
        return failure.status_code in _NOT_MADE
    return isinstance(failure, TransportError) and failure.phase in _NOT_SENT


def _end_here(failure: AbstractCoreError) -> None:
    failure.retryable = False
    if isinstance(failure, TransportError):
        failure.message += _MAYBE_MADE
        failure.args = (failure.message,)


async def _let_others_go_on(driver: Driver, index: int) -> None:
    """Give an event loop its turn, now and then in a long loop."""
    if index % _DONE_AT_ONCE == 0:
        await driver.sleep(0)


async def _body(
    driver: Driver, batching: HttpBatching, asks: Sequence[Ask]
) -> tuple[bytes, WireRequest, dict[int, Sequence[str]]]:
    """Write all requests. Raises ConfigurationError when they are too large together, or one is no JSON."""
    frame = batching.batches.frame
    pieces: list[bytes] = [frame.head]
    size, wire, warnings = 0, None, {}
    for index, ask in enumerate(asks):
        await _let_others_go_on(driver, index)
        request = with_messages(ask, await write_messages(driver, ask))
        line, wire = batching.line(f"prompt-{index}", request)
        size += len(line) + len(frame.separator)
        if size > frame.max_bytes:
            limit = f"{frame.max_bytes // 1_000_000} MB"
            raise ConfigurationError(
                f"{batching.name}: a batch holds {limit} of requests, and prompt {index} is over it"
            )
        if wire.warnings:
            warnings[index] = wire.warnings
        pieces += (frame.separator, line) if index else (line,)
    assert wire is not None
    return b"".join([*pieces, frame.tail]), wire, warnings
