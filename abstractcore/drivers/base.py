"""What core code may await: the verbs of a driver, and the data that goes through them.

Core logic is `async def` over a driver. `AsyncioDriver` really awaits; `BlockingDriver`
does the work inside the call and never suspends. Knows no vendor and no wire format.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from abstractcore.drivers.keys import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Deadline:
    """One instant, handed down: each wait uses what is left of it."""

    at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Give the instant that is *seconds* away."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """Tell the seconds that remain; negative once it has passed."""
        return self.at - time.monotonic()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One HTTP request. *secret* is sent in the header that it names; nothing that may be secret is shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    secret: tuple[str, str, Secret] | None = None
    """The header's name, a prefix such as `Bearer `, and the key."""


class HttpReply(Protocol):
    """An answered request whose body has not been read yet."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined by commas."""

    def chunks(self) -> AsyncGenerator[bytes]:
        """Give the body as it arrives, decompressed. At its end the connection goes back to its stack.

        Raises ResponseError when it is larger than the connections' limit.
        """
        ...

    async def read(self, at_most: int | None = None) -> bytes:
        """Read the whole body, or its first *at_most* bytes."""
        ...

    def hurry(self, seconds: float) -> None:
        """Give the rest of the body *seconds*; when they pass, the body ends there, with no error."""
        ...

    def discard(self) -> None:
        """Close the connection at once, unless the body has been read to its end."""
        ...


class Sender(Protocol):
    """The connections of one surface, or of one event loop."""

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        ...


class Senders(Protocol):
    """The connections of one provider; a driver takes those of its own kind."""

    def blocking(self) -> Sender:
        """Give the connections of threads."""
        ...

    def of_running_loop(self) -> Sender:
        """Give the connections of the loop that is running."""
        ...


class Mailbox(Protocol[T]):
    """Values from any thread to one waiting caller."""

    def put(self, value: T) -> None:
        """Hand over a value, from any thread; never blocks and never raises."""
        ...

    async def get(self, deadline: Deadline | None = None) -> T:
        """Wait for the next value. Raises TimeoutError when *deadline* passes first."""
        ...


class Background(Protocol):
    """A job that runs beside its caller."""

    async def stop(self) -> None:
        """End it, its requests too; one that has ended is left alone."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a thread, and the task in it when a loop runs there."""

    thread: int
    task: object | None
    blocks: bool
    """Whether waiting stops the whole thread."""


class Driver(Protocol):
    """The verbs. Each is an `async def` (or gives an async thing) on both surfaces."""

    async def send(self, connections: Senders, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function that may block, where it stops nobody else; contextvars are copied."""
        ...

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Await *work* of a caller's own, for *seconds* at most; TimeoutError cancels it.

        Only the asyncio driver can: the blocking one raises AsyncToolError.
        """
        ...

    async def gather(self, jobs: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Run jobs side by side, and give their results in order."""
        ...

    def background(self, job: Callable[[], Coroutine[Any, Any, None]]) -> Background:
        """Start a job beside the caller. It raises nothing: what it has to tell goes to a mailbox."""
        ...

    def mailbox(self) -> Mailbox[Any]:
        """Open a mailbox that this caller can wait at."""
        ...

    def now(self) -> float:
        """Tell the wall-clock time, in seconds since 1970."""
        ...

    def caller(self) -> Caller:
        """Tell who is asking."""
        ...
