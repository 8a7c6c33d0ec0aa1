"""What a client sent: one recorded request, and the reading of its head and body from bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class Fields(dict[str, Any]):
    """A JSON object whose keys are attributes too: `request.messages[-1].content`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived. *received_at* is on the monotonic clock."""

    method: str
    target: str
    headers: dict[str, str]
    raw_headers: tuple[tuple[str, str], ...]
    body: bytes
    connection_id: int
    number_on_connection: int
    received_at: float
    version: str = "HTTP/1.1"

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    @property
    def json(self) -> Any:
        """The body as JSON; a body that is not strict JSON raises."""
        return json.loads(self.body, object_hook=Fields, parse_constant=_refuse)

    @property
    def messages(self) -> list[Fields]:
        messages: list[Fields] = self.json["messages"]
        return messages

    @property
    def wants_stream(self) -> bool:
        """Whether the body asks for a stream by `"stream": true`."""
        return bool(self.body) and self.json.get("stream") is True

    @property
    def wants_close(self) -> bool:
        return self.version == "HTTP/1.0" or self.headers.get("connection", "").lower() == "close"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not strict JSON")


@dataclass(frozen=True)
class RequestHead:
    """The request line and the headers, names in lower case; the last of equal names wins in *headers*."""

    method: str
    target: str
    version: str
    raw_headers: tuple[tuple[str, str], ...]
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", {name.lower(): value for name, value in self.raw_headers})

    @property
    def content_length(self) -> int:
        return int(self.headers.get("content-length", 0))

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"


def read_head(data: bytes) -> RequestHead:
    """Read what stands before the empty line; ValueError when it is not HTTP/1."""
    request_line, *lines = data.decode("latin-1").split("\r\n")
    method, target, version = request_line.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP/1: {request_line!r}")
    return RequestHead(method, target, version, tuple(_header_fields(lines)))


def _header_fields(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a header: {line!r}")
        yield name, value.strip()
