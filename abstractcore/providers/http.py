"""A provider over HTTP: an endpoint's row, a key and connections, for any codec.

Knows URLs, status codes and content types. The JSON belongs to the codec, the sockets to
the driver.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from abstractcore.codecs.http_errors import read_error, request_id, scrub_error
from abstractcore.costs import Tariff
from abstractcore.drivers.base import Deadline, Driver, HttpReply, HttpRequest
from abstractcore.drivers.colours import Limits
from abstractcore.drivers.connections import Connections
from abstractcore.drivers.keys import Headers
from abstractcore.drivers.proxies import proxy_for
from abstractcore.errors import (
    AbstractCoreError,
    BadRequestError,
    ClosedError,
    ConfigurationError,
    ResponseError,
    UnsupportedFeatureError,
)
from abstractcore.providers.profiles import fit, rejected_field, without

if TYPE_CHECKING:
    from abstractcore.codecs.base import Codec, EmbeddingCodec, EmbedLimits, WireRequest
    from abstractcore.codecs.batches import RawRequest
    from abstractcore.drivers.vendor_clients import VendorClient
    from abstractcore.providers.batching import HttpBatching
    from abstractcore.providers.catalog import Endpoint
    from abstractcore.providers.settings import Resolved
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OURS = ("host", "content-length", "transfer-encoding", "connection")
_ERROR_BYTES = 64 * 1024
_ERROR_SECONDS = 5.0
_DRAIN_SECONDS = 0.1
_BLANK = b"\xef\xbb\xbf \r\n\t"  # a byte order mark, however it was cut, among them
_FILE_BYTES = 1 << 40


class HttpProvider:
    """One model behind one endpoint."""

    _of_batches: Connections | None = None  # made with the first batch

    def __init__(
        self,
        name: str,
        model: str,
        *,
        endpoint: Endpoint,
        codec: Codec,
        where: Resolved,
        limits: Limits,
        headers: Mapping[str, str],
        strict: bool,
        transport: VendorClient | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.codec = codec
        self._embeds_by = endpoint.embeddings
        self.tariff = _tariff(endpoint, str(transport.where) if transport else where.base_url)
        self._base_url = where.base_url
        self._server = f"//{transport.where}" if transport else where.base_url
        self._scrub_key = transport.scrub if transport else where.key.scrub if where.key else str
        self._secret = None if where.key is None else (endpoint.key_header, endpoint.key_prefix, where.key)
        self._has_placeholder = transport is None and where.key is not None and where.key.is_placeholder()
        self._strict = strict
        ours = {} if transport else {"Accept": "*/*", "User-Agent": "abstractcore"}
        common = {**ours, "Accept-Encoding": "gzip, deflate", **endpoint.headers}
        self._own = own = _checked(name, headers)
        self._headers = _merged(common, own)
        if self._secret is not None and self._secret[0].lower() in (header.lower() for header in own):
            self._secret = None  # the caller logs in by a header
        self._connections = transport or Connections(limits, proxy_for(where.base_url))
        self._batches = None if transport else endpoint.batches
        self._limits = limits

    async def stream(
        self, driver: Driver, request: GenerateRequest, deadline: Deadline
    ) -> AsyncGenerator[StreamChunk]:
        """Answer *request* once. A whole answer gives the same chunks as a streamed one."""
        sent = wire = self._encoded(request)
        reply: HttpReply | None = None
        try:
            reply, sent = await self._accepted(driver, wire, request, deadline)
            told = {"request_id": request_id(reply.headers), "warnings": sent.warnings}
            streams = request.stream if wire.stream is None else wire.stream
            source = self._streamed(reply) if streams else self._whole(reply)
            async with aclosing(source) as chunks:
                async for chunk in chunks:
                    yield chunk if chunk.phase != "done" else _with(chunk, told)
        except AbstractCoreError as failure:
            if sent is not wire:
                failure.attempts += 1
            if reply is not None and failure.request_id is None:
                failure.request_id = request_id(reply.headers)
            # The server may have repeated the key, and the frames below hold what it said.
            scrub_error(failure, self._scrub)
            failure.__traceback__ = None
            raise
        finally:
            if reply is not None:
                reply.discard()

    async def models(self, driver: Driver, deadline: Deadline) -> list[str]:
        """Ask the service which models it has."""
        url = self._base_url + self.codec.models_path
        reply: HttpReply | None = None
        try:
            reply = await self._send(
                driver, HttpRequest("GET", url, self._headers, b"", self._secret), deadline
            )
            body = await reply.read()
            return self.codec.models(_json(body) if body.strip() else None)
        except AbstractCoreError as failure:
            self._clean(failure, reply)
            raise
        finally:
            if reply is not None:
                reply.discard()

    def batching(self) -> HttpBatching | None:
        """Give what the service's own batches are asked with; None where it has none."""
        if self._batches is None:
            return None
        from abstractcore.providers.batching import HttpBatching

        if self._of_batches is None:
            vars(self).setdefault("_of_batches", self._make_connections())  # whatever thread comes first
        return HttpBatching(
            self.name,
            self.model,
            self.codec,
            self._batches,
            encode=self._encoded,
            write=_json_body,
            read=_json,
            send=self._send_raw,
            clean=self._clean,
            max_bytes=self._limits.body_bytes,
        )

    def _make_connections(self) -> Connections:
        """Make those of batches: for large files, and not kept, since a kept one may send a request twice."""
        return Connections(
            replace(self._limits, body_bytes=_FILE_BYTES, keepalive=-1.0), proxy_for(self._base_url)
        )

    async def _send_raw(self, driver: Driver, request: RawRequest, deadline: Deadline) -> HttpReply:
        headers = _merged(self._headers, {"Content-Type": request.content_type} if request.body else {})
        url = self._base_url + request.path
        sent = HttpRequest(request.method, url, headers, request.body, self._secret)
        return await self._send(driver, sent, deadline, self._of_batches)

    def embed_limits(self) -> EmbedLimits:
        """Tell how much one request for embeddings may hold. Raises UnsupportedFeatureError."""
        return self._embeddings().limits

    def _embeddings(self) -> EmbeddingCodec:
        codec = self._embeds_by
        if codec is None:
            raise UnsupportedFeatureError(f"{self.name} offers no embeddings", provider=self.name)
        if callable(codec):
            codec = self._embeds_by = codec()
        return codec

    async def embed(self, driver: Driver, request: EmbedRequest, deadline: Deadline) -> EmbeddingResponse:
        """Embed the texts of *request* once."""
        codec = self._embeddings()
        wire = self._unless_strict(codec.encode(request))
        reply: HttpReply | None = None
        try:
            reply = await self._send(driver, self._request("POST", wire), deadline)
            answer = codec.decode(_json(_no_page(await reply.read())), request)
            known = request_id(reply.headers)
            return replace(answer, warnings=list(wire.warnings), request_ids=[known] if known else [])
        except AbstractCoreError as failure:
            self._clean(failure, reply)
            raise
        finally:
            if reply is not None:
                reply.discard()

    def _clean(self, failure: AbstractCoreError, reply: HttpReply | None) -> None:
        """Name the request in a failure, and take out the key, which the server may have repeated."""
        if reply is not None and failure.request_id is None:
            failure.request_id = request_id(reply.headers)
        scrub_error(failure, self._scrub)
        failure.__traceback__ = None  # the frames below hold what the server said

    def _scrub(self, text: str) -> str:
        return self._own.scrub(self._scrub_key(text))

    def scrub(self, text: str) -> str:
        """Take the key out of *text* that is to be kept; a word that stands in for a key is none."""
        return self._own.scrub(text) if self._has_placeholder else self._scrub(text)

    def _encoded(self, request: GenerateRequest) -> WireRequest:
        codec, fitted, told = fit(self.codec, request)
        wire = codec.encode(fitted)
        if told:
            wire = replace(wire, warnings=(*told, *wire.warnings))
        return self._unless_strict(wire)

    def _unless_strict(self, wire: WireRequest) -> WireRequest:
        if self._strict and wire.warnings:
            refused = "; ".join(warning.removesuffix(": left out") for warning in wire.warnings)
            raise UnsupportedFeatureError(f"{self.name}: {refused}")
        return wire

    async def _accepted(
        self, driver: Driver, wire: WireRequest, request: GenerateRequest, deadline: Deadline
    ) -> tuple[HttpReply, WireRequest]:
        """Send *wire*, and once more without an optional field that the server refuses by name.

        The failure of the second request says that it was one more (`attempts`).
        """
        try:
            return await self._send(driver, self._request("POST", wire), deadline), wire
        except BadRequestError as failure:
            refused = None if self._strict else rejected_field(failure, wire.body)
            if refused is None or refused in request.extra:
                raise
        lighter = without(wire, refused, request.model)
        try:
            return await self._send(driver, self._request("POST", lighter), deadline), lighter
        except AbstractCoreError as failure:
            failure.attempts += 1
            raise

    def _request(self, method: str, wire: WireRequest) -> HttpRequest:
        headers = _merged(self._headers, wire.headers, {"Content-Type": "application/json"})
        body = _json_body(wire.body)
        return HttpRequest(method, self._base_url + wire.path, headers, body, self._secret)

    async def _send(
        self, driver: Driver, request: HttpRequest, deadline: Deadline, through: Connections | None = None
    ) -> HttpReply:
        if self._connections.closed:
            raise ClosedError(f"{self.name}: the provider is closed")
        reply = await driver.send(through or self._connections, request, deadline)
        if 200 <= reply.status < 300:
            return reply
        raise await self._refusal(driver, reply)

    async def _refusal(self, driver: Driver, reply: HttpReply) -> AbstractCoreError:
        reply.hurry(_ERROR_SECONDS)
        body = b""
        try:
            body = await reply.read(_ERROR_BYTES)
        except AbstractCoreError:
            # The status alone says what failed; a body that breaks off adds nothing to it.
            reply.discard()
        return read_error(reply.status, reply.headers, body, now=driver.now(), scrub=self._scrub)

    async def _whole(self, reply: HttpReply) -> AsyncGenerator[StreamChunk]:
        for chunk in self._decoded(await reply.read()):
            yield chunk

    def _decoded(self, body: bytes) -> Iterable[StreamChunk]:
        return self.codec.decode(_json(_no_page(body)))

    async def _streamed(self, reply: HttpReply) -> AsyncGenerator[StreamChunk]:
        decoder = self.codec.decoder()
        head, streams = b"", None
        async with aclosing(reply.chunks()) as pieces:
            async for data in pieces:
                if streams is None:
                    data = head = (head + data).lstrip(_BLANK)
                    streams = self.codec.streams(head)
                if streams is None:
                    continue
                if not streams:
                    rest = b"".join([piece async for piece in pieces])
                    for chunk in self._decoded(data + rest):
                        yield chunk
                    return
                for chunk in decoder.feed(data):
                    yield chunk
                if decoder.finished:
                    reply.hurry(_DRAIN_SECONDS)
        for chunk in decoder.feed(head if streams is None else b""):
            yield chunk
        for chunk in decoder.end():
            yield chunk

    @property
    def address(self) -> tuple[str, int | None] | None:
        """The server's host and port."""
        url = urlsplit(self._server)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        return None if url.hostname is None else (url.hostname, port)

    def close(self) -> None:
        """Close every connection; calls that are running fail with ClosedError."""
        self._connections.close()
        if self._of_batches is not None:
            self._of_batches.close()


def limits(
    max_connections: int | None, connect_timeout: float, read_timeout: float, max_body_bytes: int
) -> Limits:
    """Check what bounds the connections. Raises ConfigurationError for a number that is not positive."""
    given: dict[str, Any] = {"connect_timeout": connect_timeout, "read_timeout": read_timeout}
    given["max_body_bytes"] = max_body_bytes
    if max_connections is not None:
        given["max_connections"] = max_connections
    for name, value in given.items():
        is_time = name.endswith("timeout")
        if isinstance(value, bool) or not isinstance(value, int | float if is_time else int) or not value > 0:
            raise ConfigurationError(f"{name} must be {'a number' if is_time else 'an integer'} above 0")
    return Limits(connect_timeout, read_timeout, max_connections, body_bytes=max_body_bytes)


def _tariff(endpoint: Endpoint, url: str) -> Tariff | None:
    """Say whose prices hold; nobody's for a server that people run themselves."""
    if endpoint.is_local and not url.startswith("https://"):
        return None
    return Tariff(url if "://" in url else f"https://{url}", endpoint.prices)


def _checked(name: str, headers: Mapping[str, str]) -> Headers:
    bad = [header for header, value in headers.items() if not _is_sendable(header, value)]
    if bad:
        raise ConfigurationError(f"{name}: the header {str(bad[0])[:40]!r} cannot be sent")
    return Headers(headers)


def _is_sendable(header: object, value: object) -> bool:
    if not isinstance(header, str) or not isinstance(value, str):
        return False
    return bool(_TOKEN.fullmatch(header)) and value.isprintable() and header.lower() not in _OURS


def _merged(*layers: Mapping[str, str]) -> Headers:
    """Put the later over the earlier; the case of a header's name is no difference."""
    found = {name.lower(): (name, value) for layer in layers for name, value in layer.items()}
    return Headers(found.values())


def _with(chunk: StreamChunk, told: Mapping[str, Any]) -> StreamChunk:
    return replace(chunk, metadata={**(chunk.metadata or {}), **told})


def _json_body(body: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as failure:
        problem = type(failure).__name__
    raise ConfigurationError(f"the request cannot be written as JSON ({problem}): see extra= and tools=")


def _no_page(body: bytes) -> bytes:
    if body.lstrip(_BLANK).startswith(b"<"):
        raise ResponseError("the answer is a web page: is base_url right, or is a login in the way?")
    return body


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as failure:
        problem = "is empty" if not body.strip() else f"is not JSON ({type(failure).__name__})"
    raise ResponseError(f"the answer {problem}")
