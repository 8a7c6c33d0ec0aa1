"""Reads a request's JSON, within a bound of bytes and of time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from abstractcore.codecs.json_text import is_object, parse
from abstractcore.serve.refusals import Refused, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive

_SECONDS = 60.0


class ClientLeft(Exception):
    """The client went away before its request was whole."""


async def read_json(receive: Receive, headers: Mapping[str, str], most: int) -> dict[str, Any]:
    """Give the body's JSON object. Raises Refused, or ClientLeft."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _read(receive, most)
    except TimeoutError:
        raise refused(408, "timeout", f"The request did not arrive within {_SECONDS:g} s.") from None
    return _parsed(body)


async def _read(receive: Receive, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise _too_large(most)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


def _too_large(most: int) -> Refused:
    return refused(413, "too_large", f"The request is larger than {most} bytes.")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = parse(body.decode())
    except RecursionError:
        raise refused(400, "invalid_request", "The body is JSON that is nested too deeply.") from None
    except ValueError as failure:
        raise refused(400, "invalid_request", f"The body is not JSON: {type(failure).__name__}.") from None
    if not is_object(value):
        raise refused(400, "invalid_request", "The body is not a JSON object.")
    return value
