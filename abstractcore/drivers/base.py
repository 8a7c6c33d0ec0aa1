"""What core code may await: the verbs of a driver, and the data that goes through them.

Core logic is `async def` over a driver. `AsyncioDriver` really awaits; `BlockingDriver`
does the work inside the call and never suspends. Knows no vendor and no wire format.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from abstractcore.errors import ConfigurationError

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


class Secret:
    """A key. It shows itself in no repr, no pickle and no traceback; *reveal* is for the socket alone."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the key."""
        return self._value

    def is_sendable(self) -> bool:
        """Whether an HTTP header can carry the key."""
        return self._value.isascii() and self._value.isprintable()

    def scrub(self, text: str) -> str:
        """Replace the key wherever it stands in *text*."""
        return text.replace(self._value, "***") if self._value in text else text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, ("",)


class Headers(dict[str, str]):
    """Headers that a caller gave: any of them may hold a key, so their values show in no traceback."""

    def __repr__(self) -> str:
        return f"Headers({', '.join(map(str, self))})"

    def shareable(self) -> Headers:
        """Give those whose names do not say that they hold a key."""
        return Headers({name: value for name, value in self.items() if not _holds_a_key(name)})

    def scrub(self, text: str) -> str:
        """Replace what the others hold wherever it stands in *text*."""
        for name, value in self.items():
            for word in value.split() if _holds_a_key(name) else ():
                if len(word) >= _SHORTEST_KEY:
                    text = text.replace(word, "***")
        return text


_KEY_WORDS = ("authorization", "cookie", "key", "secret", "token")
_SHORTEST_KEY = 8


def _holds_a_key(header: str) -> bool:
    return any(word in str(header).lower() for word in _KEY_WORDS)


def conceal(options: Any) -> None:
    """Wrap what is secret in *options*, in place, so that no frame that holds them shows it.

    Raises ConfigurationError for a key that is no text.
    """
    kind = type(options.get("api_key"))
    if issubclass(kind, str):
        options["api_key"] = Secret(options["api_key"].strip()) if options["api_key"].strip() else None
    elif kind not in (Secret, type(None)):
        options["api_key"] = None
        raise ConfigurationError(f"api_key must be a str, not {kind.__name__}")
    if isinstance(headers := options.get("headers"), Mapping):
        options["headers"] = Headers(headers)
    if isinstance(options.get("base_url"), str):
        options["base_url"] = without_credentials(options["base_url"])


def without_credentials(url: str) -> str:
    """Mask what a URL must not hold, and is refused for, so that no frame that refuses it shows it."""
    return _QUERY.sub(r"\1***", _LOGIN.sub(r"\1***@", url, count=1))


_LOGIN = re.compile(r"^((?:\s*[^/?#]*://)?)[^/?#]*@")
_QUERY = re.compile(r"([?#]).*$", re.DOTALL)


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
