"""One call: a request, its retries until the first chunk, and the errors that name it.

Knows why a request is sent again. Knows no wire, no history and no surface.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from abstractcore.costs import Charge, Tariff
from abstractcore.errors import (
    AbstractCoreError,
    ConfigurationError,
    ConnectionFailedError,
    IncompleteStreamError,
    RequestTimeoutError,
    StructuredOutputError,
)
from abstractcore.generation.schema import parse_output
from abstractcore.providers.stand_ins import standing_in
from abstractcore.tracing.logs import CALLS, INFO, shortly

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.generation.collect import Collector
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider
    from abstractcore.types import GenerateRequest, StreamChunk, Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """All that one answer needs beside its request."""

    driver: Driver
    deadline: Deadline
    collector: Collector
    response_model: Any = None
    runs_tools: bool = False
    """Whether an answer that calls tools is not the last word, and so need not follow the schema."""
    before_request: BeforeRequest | None = None
    scrub: Callable[[str], str] = str
    """Takes the provider's key out of what a tool says when it fails."""


BeforeRequest = Callable[["Driver", "Deadline"], Awaitable[None]]
"""What is awaited before each request is sent, retries among them: a limit on their rate."""


Answer = Callable[[Call, "GenerateRequest"], AsyncGenerator["StreamChunk"]]
"""What answers one request: `chunks` with its provider, or what stands round it."""


async def chunks(
    call: Call, provider: Provider, request: GenerateRequest, retry: Retry
) -> AsyncGenerator[StreamChunk]:
    """Answer *request*, keeping every chunk in the call's collector.

    A failure is retried only before the first chunk has been given out. With a
    `response_model` the text is validated before `done` is given.
    """
    driver, answering = standing_in(call.driver, provider)
    who = f"{provider.name} {request.model}"
    attempts = _Attempts(who, lambda: _open(answering.stream(call.driver, request, call.deadline)))
    if call.before_request is not None:
        attempts.before = partial(call.before_request, call.driver, call.deadline)
    given_out = False
    try:
        first, source = await retry.run(driver, attempts.next, call.deadline)
        async with aclosing(source):
            given_out = True
            yield _taken(call, request, provider, first)
            async for chunk in source:
                yield _taken(call, request, provider, chunk)
    except AbstractCoreError as failure:
        told = _cut_short(failure) if given_out and request.stream else failure
        told.provider, told.model = provider.name, request.model
        attempts.tell(told, call.deadline, beyond=failure.attempts)
        told.partial = call.collector.response()
        if told is failure:
            raise
        raise told from failure


async def models(driver: Driver, provider: Provider, retry: Retry, deadline: Deadline) -> list[str]:
    """List the provider's models, asking again as for an answer."""
    waiting, answering = standing_in(driver, provider)
    return await asked(waiting, provider, retry, lambda: answering.models(driver, deadline), deadline)


async def asked(
    driver: Driver, provider: Provider, retry: Retry, work: Callable[[], Awaitable[T]], deadline: Deadline
) -> T:
    """Do *work* at the provider, and again as for an answer; what it raises names the provider."""
    attempts = _Attempts(f"{provider.name} {provider.model}", work)
    try:
        return await retry.run(driver, attempts.next, deadline)
    except AbstractCoreError as failure:
        attempts.tell(failure, deadline)
        name(failure, provider)
        raise


def name(failure: AbstractCoreError, provider: Provider) -> None:
    """Say in *failure* which provider and model it comes from."""
    failure.provider, failure.model = provider.name, provider.model
    if provider.name not in failure.message:
        failure.message = f"{provider.name} ({provider.model}): {failure.message}"
        failure.args = (failure.message,)


class _Attempts(Generic[T]):
    """Something to ask of *who*, once or again, and how many requests it took."""

    def __init__(self, who: str, work: Callable[[], Awaitable[T]]) -> None:
        self._who = who
        self._work = work
        self._number = 0
        self._failure: AbstractCoreError | None = None
        self.before: Callable[[], Awaitable[None]] | None = None

    async def next(self) -> T:
        if self.before is not None:
            await self.before()
        self._number += 1
        if self._failure is not None:
            CALLS.write(INFO, "%s: request %d after %s", self._who, self._number, shortly(self._failure))
        try:
            return await self._work()
        except AbstractCoreError as failure:
            self._failure = failure
            # The provider counts the requests that it sent beyond one.
            self._number, failure.attempts = self._number + failure.attempts, 0
            raise

    def tell(self, failure: AbstractCoreError, deadline: Deadline, *, beyond: int = 0) -> None:
        if not isinstance(failure, ConfigurationError):  # of which no request was sent
            failure.attempts = self._number + beyond
        passed = deadline.seconds - deadline.left()
        CALLS.write(INFO, "%s: failed after %.3f s: %s", self._who, passed, shortly(failure))


def _taken(call: Call, request: GenerateRequest, provider: Provider, chunk: StreamChunk) -> StreamChunk:
    if chunk.phase != "done":
        call.collector.add(chunk)
        return chunk
    if chunk.usage is not None:
        chunk = replace(chunk, usage=_charged(call, request, provider, chunk.usage, chunk.metadata or {}))
    call.collector.add(chunk)
    _end(call, may_call=call.runs_tools and request.tool_choice != "none")
    return chunk


def _charged(
    call: Call, request: GenerateRequest, provider: Provider, usage: Usage, told: Mapping[str, Any]
) -> Usage:
    raw = told.get("raw")
    tier = raw.get("service_tier") if isinstance(raw, Mapping) else None
    return charged(usage, provider, (told.get("model"), request.model), call.driver.now(), tier)


def charged(
    usage: Usage,
    provider: Provider,
    models: Iterable[str | None],
    now: float,
    tier: Any = None,
    *,
    is_batched: bool = False,
) -> Usage:
    """Give *usage* with what its `cost` is reckoned from, unless the provider has told what it cost."""
    tariff: Tariff | None = getattr(provider, "tariff", None)
    if tariff is None or usage.charges:
        return usage
    charge = Charge(
        tariff,
        tuple(dict.fromkeys(model for model in models if model)),
        now,
        tier if isinstance(tier, str) else None,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        is_batched=is_batched,
    )
    return replace(usage, charges=((charge,),))


def _end(call: Call, *, may_call: bool) -> None:
    """Validate the answer, unless it is one that asks for tools, whose results come next."""
    collector = call.collector
    collector.end(call.deadline.seconds - call.deadline.left())
    if call.response_model is None or (may_call and collector.has_calls):
        return
    parse_answer(call.response_model, collector)


def parse_answer(response_model: Any, collector: Collector) -> None:
    """Validate a whole answer. Raises StructuredOutputError."""
    try:
        collector.parsed = parse_output(response_model, collector.content)
    except StructuredOutputError as failure:
        if collector.response().finish_reason == "length":
            failure.message += " (it was cut off: finish_reason is length, see max_output_tokens)"
            failure.args = (failure.message,)
        raise


async def _open(
    source: AsyncGenerator[StreamChunk],
) -> tuple[StreamChunk, AsyncGenerator[StreamChunk]]:
    try:
        return await anext(source), source
    except StopAsyncIteration:
        raise IncompleteStreamError("the answer ended before it began", retryable=True) from None
    except BaseException:
        await source.aclose()
        raise


def _cut_short(failure: AbstractCoreError) -> AbstractCoreError:
    """Give what the reader of a stream is told of a failure in its middle; it cannot be retried."""
    failure.retryable = False
    if not isinstance(failure, ConnectionFailedError | RequestTimeoutError) or failure.phase == "total":
        return failure
    timed_out = " (timeout)" if isinstance(failure, RequestTimeoutError) else ""
    return IncompleteStreamError(
        f"the stream broke off{timed_out}: {failure.message}",
        phase=failure.phase,
        request_id=failure.request_id,
    )
