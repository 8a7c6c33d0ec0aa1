"""A vendor's own client in place of our connections: it knows where and as whom to ask, and sends.

Each request is one call of the client's own `post`, the low-level one that checks no body: its
retries are off, its timeouts are what is left of the call, and its answer comes unread. Knows what
the clients of openai and anthropic have in common, and imports neither: they are there already.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.base import Deadline, HttpReply, HttpRequest
from abstractcore.drivers.clock import Clock
from abstractcore.drivers.failures import timed_out
from abstractcore.drivers.keys import Headers, Secret
from abstractcore.drivers.vendor_failures import refused, translated
from abstractcore.drivers.vendor_replies import BlockingReply, LoopReply, ReadReply, VendorReply
from abstractcore.errors import ClosedError, ConfigurationError

if TYPE_CHECKING:
    from abstractcore.drivers.colours import Limits

# How `with_streaming_response`, on every resource of both packages, asks for an answer unread.
_UNREAD = {"X-Stainless-Raw-Response": "stream"}
_PORTS = {"http": 80, "https": 443}
_SECRET_ATTRIBUTES = (
    "access_token", "admin_api_key", "api_key", "auth_token", "aws_access_key", "aws_secret_key",
    "aws_session_token", "_azure_ad_token",
)  # fmt: skip
_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "x-amz-security-token")
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Kind:
    """What a vendor's client is: whose *package* it comes from, and its colour."""

    package: str
    is_async: bool


class VendorClient:
    """One client that the user made, and closes. It keeps its own colour, and its own event loop."""

    def __init__(self, name: str, client: Any, kind: Kind, limits: Limits) -> None:
        self.name = name
        self.client = client
        self.kind = kind
        self.limits = limits
        self.closed = False
        self.running: set[VendorReply] = set()
        self.waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Timeout]] = set()
        url = client.base_url
        self.where = f"{url.host}:{url.port or _PORTS.get(url.scheme)}"
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._sent: tuple[Secret, ...] = ()

    def blocking(self) -> BlockingSender:
        """Give the sender of threads. Raises ConfigurationError for an async client."""
        if self.kind.is_async:
            raise self._other_surface("an async client answers agenerate alone", "a sync client")
        return BlockingSender(self)

    def of_running_loop(self) -> LoopSender:
        """Give the sender of the running loop. Raises ConfigurationError for a sync one, or a second loop."""
        if not self.kind.is_async:
            raise self._other_surface("a sync client answers generate alone", "an async client")
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop() is not loop:
            rule = "a client belongs to the event loop that used it first; make one for each"
            raise ConfigurationError(f"{self.name}: {rule}")
        self._loop = weakref.ref(loop)
        return LoopSender(self)

    def _other_surface(self, rule: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self.name}: {rule}; give {wanted} to an LLM of its own")

    def arguments(self, request: HttpRequest, deadline: Deadline) -> dict[str, Any]:
        """Give what the client's method takes beside the path."""
        left = max(0.001, deadline.left())
        timeout = sys.modules[self.kind.package].Timeout(left, connect=min(left, self.limits.connect_timeout))
        options = {
            "headers": Headers({**request.headers, **_UNREAD}),
            "timeout": timeout,
            "max_retries": 0,
            "follow_redirects": False,
        }
        arguments: dict[str, Any] = {"cast_to": object, "options": options}
        if request.body:
            # The client takes the model out of the body where the URL names it (Azure, Bedrock, Vertex).
            arguments["body"] = body = json.loads(request.body)
            arguments["stream"] = body.get("stream") is True
        return arguments

    def failed(self, failure: Exception, clock: Clock) -> HttpReply | Exception:
        """Give the answer that the client made *failure* of, or our error for it."""
        if self.closed:
            return ClosedError(f"{self.name}: the LLM was closed while this call was running")
        if (response := refused(failure)) is not None:
            self.note(response)
            return ReadReply(response)
        return translated(failure, clock, self.where)

    def unread(self, answer: Any) -> Any:
        """Check that the client gave its answer unread."""
        if not hasattr(answer, "http_response"):
            raise ConfigurationError(
                f"{self.name}: this release of {self.kind.package} gives no unread answers"
            )
        self.note(answer.http_response)
        return answer

    def note(self, response: Any) -> None:
        """Keep the secrets that were sent last, to take them out of what a server says."""
        headers = response.request.headers
        sent = (headers.get(name, "").rpartition(" ")[2] for name in _SECRET_HEADERS)
        self._sent = tuple(Secret(text) for text in sent if len(text) >= _SHORTEST_SECRET)

    def scrub(self, text: str) -> str:
        """Replace the client's keys wherever they stand in *text*."""
        held = (getattr(self.client, name, None) for name in _SECRET_ATTRIBUTES)
        known = (Secret(value) for value in held if isinstance(value, str) and len(value) >= _SHORTEST_SECRET)
        for secret in (*known, *self._sent):
            text = secret.scrub(text)
        return text

    def close(self) -> None:
        """End the calls that are running with ClosedError. The client stays open: it is the user's."""
        self.closed = True
        for reply in list(self.running):
            reply.abort()
        for loop, wait in list(self.waiting):
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_expire, wait)


def _expire(wait: asyncio.Timeout) -> None:
    with contextlib.suppress(RuntimeError):  # it is over already
        wait.reschedule(0.0)


class BlockingSender:
    """Sends from the thread that asks."""

    def __init__(self, owner: VendorClient) -> None:
        self._owner = owner

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        owner, clock = self._owner, Clock(self._owner.limits.connect_timeout)
        clock.start(deadline)
        method = getattr(owner.client, request.method.lower())
        try:
            answer = owner.unread(method(request.url, **owner.arguments(request, deadline)))
        except Exception as failure:  # noqa: BLE001 raised below, without the vendor's as its context
            outcome = owner.failed(failure, clock)
        else:
            outcome = BlockingReply(owner, answer, clock)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class LoopSender:
    """Sends from the loop that is running."""

    def __init__(self, owner: VendorClient) -> None:
        self._owner = owner

    async def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send a request and read the answer's head."""
        owner, clock = self._owner, Clock(self._owner.limits.connect_timeout)
        clock.start(deadline)
        try:
            outcome: HttpReply | Exception = LoopReply(owner, await self._asked(request, deadline), clock)
        except TimeoutError:
            message = f"{owner.name}: the LLM was closed while this call was running"
            outcome = ClosedError(message) if owner.closed else timed_out(clock, owner.where)
        except Exception as failure:  # noqa: BLE001 raised below, without the vendor's as its context
            outcome = owner.failed(failure, clock)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _asked(self, request: HttpRequest, deadline: Deadline) -> Any:
        owner = self._owner
        method = getattr(owner.client, request.method.lower())
        answer: Any = None
        waiting: Any = None
        try:
            async with asyncio.timeout(deadline.left()) as wait:
                waiting = (asyncio.get_running_loop(), wait)
                owner.waiting.add(waiting)
                answer = await method(request.url, **owner.arguments(request, deadline))
        except BaseException:
            if answer is not None:  # it came in the instant in which its time ran out
                await answer.close()
            raise
        finally:
            owner.waiting.discard(waiting)
        return owner.unread(answer)
