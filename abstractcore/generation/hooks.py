"""What a program may hear of an LLM's calls, and how its callbacks are called. Knows no surface."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from abstractcore.drivers.generators import Nested
from abstractcore.errors import AbstractCoreError, ConfigurationError
from abstractcore.generation.call import Call, chunks
from abstractcore.types import GenerateRequest, GenerateResponse, StreamChunk, Usage

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider

EventName = Literal["request", "retry", "chunk", "response", "error"]
EVENTS: tuple[EventName, ...] = get_args(EventName)


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """A request is about to be sent, the first of a call or a retry: *attempt* counts from 1."""

    provider: str
    model: str
    attempt: int
    request: GenerateRequest = field(repr=False)


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """A request failed with *error* and is about to be sent again, as the given *attempt*."""

    provider: str
    model: str
    attempt: int
    error: AbstractCoreError


@dataclass(frozen=True, slots=True)
class ChunkEvent:
    """A chunk has come; an answer that is not streamed comes as chunks too."""

    provider: str
    model: str
    chunk: StreamChunk = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResponseEvent:
    """An answer is whole, after *seconds* of its call; *usage* is what this one answer used."""

    provider: str
    model: str
    seconds: float
    usage: Usage
    response: GenerateResponse = field(repr=False)


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A call failed with *error*, after *seconds* and with no retry to come.

    An answer that does not follow its schema is such a failure, though the model is then asked again.
    """

    provider: str
    model: str
    seconds: float
    error: AbstractCoreError


class Hooks:
    """The callbacks of one LLM. What a callback raises is raised to the caller of the LLM."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[Any], None]]] = {name: [] for name in EVENTS}

    def __bool__(self) -> bool:
        return any(self._callbacks.values())

    def add(self, event: str, callback: Any) -> Callable[[], None]:
        """Call *callback* from now on at each *event*; what comes back ends that."""
        if event not in self._callbacks:
            raise ConfigurationError(f"unknown event {event!r}: there are {', '.join(EVENTS)}")
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            raise ConfigurationError("a callback must be a plain function of one argument, the event")
        own = _Own(cast("Callable[[Any], None]", callback))
        callbacks = self._callbacks[event]
        callbacks.append(own)

        def remove() -> None:
            if own in callbacks:
                callbacks.remove(own)

        return remove

    def call(self, event: EventName, kind: Callable[..., Any], *fields: Any) -> None:
        """Call who waits for *event* with a *kind* of these *fields*, in the order they were added."""
        if callbacks := tuple(self._callbacks[event]):
            told = kind(*fields)
            for callback in callbacks:
                callback(told)


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """A callback of its own, so that the same function can be added twice and removed once."""

    callback: Callable[[Any], None]

    def __call__(self, event: Any) -> None:
        self.callback(event)


class _Heard:
    """A provider whose requests are told of; in all else it is *inner*."""

    def __init__(self, inner: Provider, hooks: Hooks) -> None:
        self.name = inner.name
        self.model = inner.model
        self._inner = inner
        self._hooks = hooks
        self._attempt = 0
        self._failure: AbstractCoreError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once, and tell of it first."""
        self._attempt += 1
        told = (self.name, request.model, self._attempt)
        if self._failure is not None:
            self._hooks.call("retry", RetryEvent, *told, self._failure)
        self._hooks.call("request", RequestEvent, *told, request)
        try:
            async with aclosing(Nested(self._inner.stream(driver, request, deadline))) as source:
                async for chunk in source:
                    yield chunk
        except AbstractCoreError as raised:
            self._failure = raised
            raise

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """List the models."""
        return await self._inner.models(driver, deadline)

    def close(self) -> None:
        """Release everything."""
        self._inner.close()


async def heard(
    hooks: Hooks, call: Call, provider: Provider, request: GenerateRequest, retry: Retry
) -> AsyncGenerator[StreamChunk]:
    """Answer *request* as `chunks` does, and tell the callbacks of it."""
    who = (provider.name, request.model)
    deadline = call.deadline
    try:
        async with aclosing(Nested(chunks(call, _Heard(provider, hooks), request, retry))) as source:
            async for chunk in source:
                hooks.call("chunk", ChunkEvent, *who, chunk)
                if chunk.phase == "done":
                    passed, used = deadline.seconds - deadline.left(), chunk.usage or Usage()
                    hooks.call("response", ResponseEvent, *who, passed, used, call.collector.response())
                yield chunk
    except AbstractCoreError as failure:
        hooks.call("error", ErrorEvent, *who, deadline.seconds - deadline.left(), failure)
        raise
