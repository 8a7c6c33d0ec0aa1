"""The batches of a service: its requests encoded by the wire's own codec, and its files read by lines.

Knows how a provider sends. The JSON belongs to the two codecs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.framing import NDJSONDecoder
from abstractcore.errors import AbstractCoreError, ResponseError

if TYPE_CHECKING:
    from abstractcore.codecs.base import Codec, WireRequest
    from abstractcore.codecs.batches import BatchCodec, RawRequest
    from abstractcore.drivers.base import Deadline, Driver, HttpReply
    from abstractcore.types import GenerateRequest

Send = Callable[["Driver", "RawRequest", "Deadline"], Awaitable["HttpReply"]]


@dataclass(frozen=True, slots=True)
class HttpBatching:
    """What a provider's batches are asked with. *codec* is the wire's, *batches* that of the batch API.

    *max_bytes* bounds an answer, and a line of a file; *clean* takes the key out of a failure.
    """

    name: str
    model: str
    codec: Codec
    batches: BatchCodec
    encode: Callable[[GenerateRequest], WireRequest]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    send: Send
    clean: Callable[[AbstractCoreError, HttpReply | None], None]
    max_bytes: int

    def line(self, custom_id: str, request: GenerateRequest) -> tuple[bytes, WireRequest]:
        """Write one request of a batch. Raises ConfigurationError for what is no JSON."""
        wire = self.encode(request)
        return self.write(self.batches.line(custom_id, wire)), wire

    async def ask(self, driver: Driver, request: RawRequest, deadline: Deadline) -> Any:
        """Send *request*, and give the answer's JSON."""
        reply: HttpReply | None = None
        try:
            reply = await self.send(driver, request, deadline)
            body = await reply.read(self.max_bytes + 1)
            if len(body) > self.max_bytes:
                raise ResponseError(f"the answer is over {self.max_bytes:,} bytes (max_body_bytes)")
            return self.read(body)
        except AbstractCoreError as failure:
            self.clean(failure, reply)
            raise
        finally:
            if reply is not None:
                reply.discard()

    async def lines(self, driver: Driver, request: RawRequest, deadline: Deadline) -> AsyncGenerator[str]:
        """Give the lines of a file as they arrive. Leaving early closes the connection."""
        reply: HttpReply | None = None
        decoder = NDJSONDecoder(max_event_bytes=self.max_bytes)
        try:
            reply = await self.send(driver, request, deadline)
            async with aclosing(reply.chunks()) as pieces:
                async for data in pieces:
                    for line in decoder.feed(data):
                        yield line
            for line in decoder.end():
                yield line
        except AbstractCoreError as failure:
            self.clean(failure, reply)
            raise
        finally:
            if reply is not None:
                reply.discard()
