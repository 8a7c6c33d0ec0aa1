"""fallback: several LLMs as one, each asked when those before it fail. Knows no wire and no surface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from abstractcore.drivers.base import Deadline
from abstractcore.drivers.breaker import Breaker, BreakerState
from abstractcore.errors import (
    AbstractCoreError,
    ConfigurationError,
    EngineError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
    UnsupportedFeatureError,
)
from abstractcore.generation.ask import sampling_fields
from abstractcore.generation.messages import check_timeout
from abstractcore.generation.retry import Retry
from abstractcore.llm import LLM, Watch
from abstractcore.types import GenerateRequest, Health, StreamChunk

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver
    from abstractcore.generation.batch_service import BatchService
    from abstractcore.generation.call import Call
    from abstractcore.generation.embed import EmbedArguments
    from abstractcore.types import EmbeddingResponse

#: What another provider may well do better. A key that is refused, a model that does not exist and a
#: request that is wrong are not among them: whoever made them should hear of it.
FALLBACK_ON: tuple[type[AbstractCoreError], ...] = (
    TransportError, RateLimitError, ServerError, ResponseError, EngineError,
)  # fmt: skip


def fallback(
    llms: Iterable[LLM],
    *,
    on: type[AbstractCoreError] | Iterable[type[AbstractCoreError]] | None = None,
    timeout: float | None = None,
    max_failures: int = 5,
    reset_timeout: float = 30.0,
    clock: Callable[[], float] | None = None,
) -> FallbackLLM:
    """Make one LLM of several: each call goes to the first, and to the next when that one fails.

    *on* names the failures that are handed on: unless given, the network's, RateLimitError
    (QuotaExceededError too), ServerError, ResponseError, EngineError, and whatever may be retried.
    All others are raised. Once a chunk has come, nobody else is asked for that answer. *timeout*
    (600 s) bounds the whole call, and an LLM's own timeout its part of it.

    An LLM that fails *max_failures* times in a row is left out for *reset_timeout* seconds, and then
    tried with one call. When all are left out, the one whose time ends first is asked all the same.
    *clock* gives the seconds that this goes by. Closing the LLM that comes back closes them all.
    """
    llms = list(llms)
    _check(llms, max_failures, reset_timeout)
    kinds = FALLBACK_ON if on is None else (on,) if isinstance(on, type) else tuple(on)
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, AbstractCoreError) for kind in kinds):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("on must be error classes of abstractcore, such as RateLimitError")
    seconds = check_timeout(timeout)
    again = {
        "llms": llms,
        "on": on if on is None else kinds,
        "timeout": timeout,
        "max_failures": max_failures,
        "reset_timeout": reset_timeout,
        "clock": clock,
    }
    members = [_Member(llm, Breaker(max_failures, reset_timeout, clock)) for llm in llms]
    return FallbackLLM(members, kinds, also_retryable=on is None, seconds=seconds, made_by=(fallback, again))


def _check(llms: Sequence[Any], max_failures: Any, reset_timeout: float) -> None:
    if not llms:
        raise ConfigurationError("fallback needs an LLM at least")
    for llm in llms:
        if not isinstance(llm, LLM):
            raise ConfigurationError(f"fallback takes what create_llm() made, not {type(llm).__name__}")
    if not isinstance(max_failures, int) or max_failures < 1:
        raise ConfigurationError("max_failures must be a whole number above 0")
    if not reset_timeout >= 0:
        raise ConfigurationError("reset_timeout must be seconds, 0 or more")


@dataclass(frozen=True, slots=True)
class _Member:
    llm: LLM
    breaker: Breaker

    @property
    def name(self) -> str:
        return f"{self.llm.provider}:{self.llm.model}"

    async def chunks(self, call: Call, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
        """Answer *request* with this LLM's own defaults, and within its own timeout."""
        defaults = self.llm._defaults  # pyright: ignore[reportPrivateUsage]
        fields = {
            name: value
            for name, value in sampling_fields(defaults).items()
            if value not in (None, {}) and getattr(request, name) in (None, {})
        }
        own = Deadline.after(defaults.get("timeout") or call.deadline.seconds)
        if own.at < call.deadline.at:
            # The same beginning, so that what is told of the time that has passed stays true.
            earlier = call.deadline.at - own.at
            call = replace(call, deadline=Deadline(own.at, call.deadline.seconds - earlier))
        answering = self.llm.answer(call, replace(request, model=self.llm.model, **fields))
        async with aclosing(answering) as chunks:
            async for chunk in chunks:
                yield chunk


class FallbackLLM(LLM):
    """Several LLMs as one; `fallback` makes it. `response.provider` and `.model` say who answered."""

    def __init__(
        self,
        members: Sequence[_Member],
        on: tuple[type[AbstractCoreError], ...],
        *,
        also_retryable: bool,
        seconds: float | None,
        made_by: tuple[Callable[..., LLM], dict[str, Any]],
    ) -> None:
        defaults = {} if seconds is None else {"timeout": seconds}
        # Each member retries by its own policy, and answers through its own provider.
        super().__init__(
            members[0].llm._provider,  # pyright: ignore[reportPrivateUsage]
            retry=Retry(0),
            defaults=defaults,
            made_by=made_by,
        )
        self._members = members
        self._on = on
        self._also_retryable = also_retryable

    @property
    def provider(self) -> str:
        """Always "fallback"; a response names the provider that answered."""
        return "fallback"

    @property
    def model(self) -> str:
        """All that may answer, in order."""
        return ", ".join(member.name for member in self._members)

    @property
    def llms(self) -> list[LLM]:
        """The LLMs, in the order they are asked."""
        return [member.llm for member in self._members]

    @property
    def breakers(self) -> list[BreakerState]:
        """Whether each LLM is asked: "closed" (yes), "open" (no) or "half-open" (with one call)."""
        return [member.breaker.state for member in self._members]

    async def answer(self, call: Call, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
        """Answer a whole request with the first LLM that can."""
        self._check_open()
        failures: list[AbstractCoreError] = []
        for member, permit in self._asked(call):
            trial = _Trial(member.breaker, permit)
            call.collector.answered_by(member.llm.provider, member.llm.model)
            try:
                async with aclosing(member.chunks(call, request)) as chunks:
                    async for chunk in chunks:
                        trial.has_begun = True
                        yield chunk
                trial.is_over = True
                return
            except AbstractCoreError as failure:
                trial.note(failure, counts=self._is_handed_on(failure))
                failures.append(failure)
                if trial.has_begun or not trial.has_failed or call.deadline.left() <= 0:
                    break
                call.collector.warn(f"{member.name} did not answer: {type(failure).__name__}: {failure}")
            finally:
                trial.end()
        raise _told(failures)

    def _scrub(self, text: str) -> str:
        for llm in self.llms:
            text = llm._scrub(text)  # pyright: ignore[reportPrivateUsage]
        return text

    def on(self, event: Any, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call *callback* at each *event* of any of the LLMs; the event names its provider."""
        llms = {id(member.llm): member.llm for member in self._members}
        removers = [llm.on(event, callback) for llm in llms.values()]

        def remove() -> None:
            for each in removers:
                each()

        return remove

    def _asked(self, call: Call) -> Iterable[tuple[_Member, int]]:
        """Give, one after the other, the members that may be asked."""
        nobody = True
        for member in self._members:
            if (permit := member.breaker.enter()) is None:
                call.collector.warn(f"{member.name} was not asked: it has failed again and again")
                continue
            nobody = False
            yield member, permit
        if nobody:
            first = min(self._members, key=lambda member: member.breaker.wait())
            if (permit := first.breaker.enter(anyway=True)) is not None:
                yield first, permit

    def _is_handed_on(self, failure: AbstractCoreError) -> bool:
        return isinstance(failure, self._on) or (self._also_retryable and failure.retryable)

    async def _load(self, driver: Driver, progress: Watch, timeout: float | None) -> None:
        self._check_open()
        for member in self._members:
            await member.llm._load(driver, progress, timeout)  # pyright: ignore[reportPrivateUsage]

    async def _models(self, driver: Driver, timeout: float | None) -> list[str]:
        self._check_open()
        listings = [partial(member.llm._models, driver, timeout) for member in self._members]
        listed = [await listing() for listing in listings]
        return list(dict.fromkeys(name for names in listed for name in names))

    async def _embed(
        self, driver: Driver, timeout: float | None, **asked: Unpack[EmbedArguments]
    ) -> EmbeddingResponse:
        raise UnsupportedFeatureError(
            "fallback: vectors of different models do not compare; call embed() on one of .llms"
        )

    def _batch_service(self) -> BatchService:
        raise UnsupportedFeatureError("fallback: a batch is at one provider; call batch() on one of .llms")

    async def _health(self, driver: Driver, timeout: float | None) -> Health:
        self._check_open()
        states = await driver.gather(
            [partial(member.llm._health, driver, timeout) for member in self._members]
        )
        return next((state for state in states if state.ok), states[0])

    def close(self) -> None:
        """Close all the LLMs. Using the object afterwards raises ClosedError."""
        self._closed = True
        for member in self._members:
            member.llm.close()

    async def aclose(self) -> None:
        """Close all the LLMs without stopping the event loop."""
        self._closed = True
        for member in self._members:
            await member.llm.aclose()


@dataclass(slots=True)
class _Trial:
    """One LLM's turn at an answer, and what its breaker is told of it."""

    breaker: Breaker
    permit: int
    has_begun: bool = False
    is_over: bool = False
    has_failed: bool = False

    def note(self, failure: AbstractCoreError, *, counts: bool) -> None:
        """Note the *failure*: one that does not count is the caller's, and the provider has answered."""
        self.has_failed = counts
        self.is_over = not counts and not isinstance(failure, ConfigurationError)

    def end(self) -> None:
        """Tell the breaker; a caller that leaves in the middle of an answer has been answered."""
        if self.has_failed:
            self.breaker.failed(self.permit)
        elif self.is_over or self.has_begun:
            self.breaker.succeeded(self.permit)
        else:
            self.breaker.left(self.permit)


def _told(failures: Sequence[AbstractCoreError]) -> AbstractCoreError:
    """Give the last failure, which knows of those before it."""
    *earlier, last = failures
    last.attempts += sum(failure.attempts for failure in earlier)
    for failure in earlier:
        last.add_note(f"before: {failure.provider} ({failure.model}): {type(failure).__name__}: {failure}")
    return last
