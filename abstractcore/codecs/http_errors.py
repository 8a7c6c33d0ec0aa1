"""A failure's status, headers and body, or an error inside a 200, as one error of our tree.

Knows what the vendors' error bodies look like and what their codes and wordings mean. Does not
know who asked: the provider's and the model's name, and the attempts, are added above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from abstractcore.codecs.error_words import KIND_BY_CODE, REFINEMENTS, ErrorWords, masked, read_words
from abstractcore.codecs.json_text import as_object, clean, is_array, is_object, parse
from abstractcore.errors import (
    AbstractCoreError,
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)

_MAX_MESSAGE = 1_000
_MAX_BODY = 64 * 1024
_REQUEST_ID_HEADERS = (
    "x-request-id", "request-id", "x-generation-id", "apim-request-id", "x-amzn-requestid", "cf-ray",
)  # fmt: skip
# A server may repeat what it was sent, and a prompt is nobody's to log: FastAPI's `input`,
# OpenRouter's `flagged_input`.
_ECHOES = frozenset({"input", "flagged_input"})


class _Status(NamedTuple):
    kind: type[APIError]
    is_retryable: bool = False


_STATUS: dict[int, _Status] = {
    400: _Status(BadRequestError),
    401: _Status(AuthenticationError),
    402: _Status(QuotaExceededError),
    403: _Status(PermissionDeniedError),
    404: _Status(ModelNotFoundError),
    405: _Status(BadRequestError),
    408: _Status(APIError, is_retryable=True),
    409: _Status(ConflictError, is_retryable=True),
    413: _Status(BadRequestError),
    418: _Status(BadRequestError),
    422: _Status(BadRequestError),
    429: _Status(RateLimitError, is_retryable=True),
    501: _Status(ServerError),
    529: _Status(OverloadedError, is_retryable=True),
}
_ASKED_TO_RETRY = {"true": True, "false": False}


def _unchanged(text: str) -> str:
    return text


def read_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    scrub: Callable[[str], str] = _unchanged,
) -> APIError:
    """Read a failed response; *headers* have lower-case names, *now* is the wall clock in seconds.

    *scrub* takes the caller's key out of every string of the server; what looks like a key is
    masked in any case.
    """
    found = _read_body(body, scrub)
    words = read_words(found)
    kind, is_retryable = _refined(_of_status(status), status, words)
    # The vendors' SDKs obey this header too.
    is_retryable = _ASKED_TO_RETRY.get(headers.get("x-should-retry", "").lower(), is_retryable)
    return kind(
        _message(status, words),
        status_code=status,
        code=words.code,
        body=found,
        retry_after=retry_after(headers, now=now),
        request_id=request_id(headers) or words.request_id,
        retryable=is_retryable and not issubclass(kind, QuotaExceededError),
        location=_redirect_host(status, headers),
    )


def error_in_body(
    error: object,
    *,
    status: int = 200,
    request_id: str | None = None,
    scrub: Callable[[str], str] = _unchanged,
) -> APIError:
    """Read the error that a 200 body or a stream event carries.

    A number as its code means what the status means; a known word decides otherwise; what is
    left is the server's failure, and worth another attempt.
    """
    found = _scrubbed(error, scrub)
    words = read_words({"error": found})
    if words.status is not None:
        status, known = words.status, _of_status(words.status)
    else:
        kind = KIND_BY_CODE.get(words.code or "", ServerError)
        known = _Status(kind, is_retryable=issubclass(kind, (ServerError, RateLimitError)))
    kind, is_retryable = _refined(known, status, words)
    return kind(
        _message(status, words),
        status_code=status,
        code=words.code,
        body=found,
        request_id=request_id or words.request_id,
        retryable=is_retryable and not issubclass(kind, QuotaExceededError),
    )


def scrub_error(failure: AbstractCoreError, scrub: Callable[[str], str]) -> None:
    """Take the caller's key out of all that *failure* says, when it was read from the server's text."""
    for name, value in list(vars(failure).items()):
        setattr(failure, name, _scrubbed(value, scrub))
    failure.args = (failure.message,)
    if scrub(repr(failure.__cause__)) != repr(failure.__cause__):  # it quotes the server
        failure.__cause__ = failure.__context__ = None


def request_id(headers: Mapping[str, str]) -> str | None:
    """Find the name under which the vendor's support can find this request."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read how many seconds to wait; None when the server does not say so in a way that can be followed.

    A wait that no number can hold is infinite: it is for the caller to give up at once.
    """
    milliseconds = _seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    try:
        float(text)
    except ValueError:
        sent = _timestamp(headers.get("date", ""))
        until = _timestamp(text)
        wait = until - (now if sent is None else sent) if until is not None else 0
        return wait if wait > 0 else None
    return _seconds(text)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return None if math.isnan(seconds) or seconds < 0 else seconds


def _timestamp(text: str) -> float | None:
    """Read an HTTP date as seconds since 1970."""
    from email.utils import mktime_tz, parsedate_tz

    try:
        date = parsedate_tz(text)
        # A date without a zone is meant as GMT; mktime_tz would read it as this machine's time.
        return None if date is None else float(mktime_tz((*date[:9], date[9] or 0)))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _of_status(status: int) -> _Status:
    if known := _STATUS.get(status):
        return known
    return _Status(ServerError, is_retryable=True) if 500 <= status <= 599 else _Status(APIError)


def _refined(known: _Status, status: int, words: ErrorWords) -> _Status:
    """Let a vendor's code or wording say what its status does not: one class for one cause."""
    for kind, is_retryable, kinds, codes, wording in REFINEMENTS:
        if not issubclass(known.kind, kinds):
            continue
        if words.codes & codes or (wording and wording.search(words.text)):
            return _Status(kind, is_retryable)
    return known


def _message(status: int, words: ErrorWords) -> str:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    head = "the answer is an error" if status == 200 else f"HTTP {status} {reason}".rstrip()
    message = f"{head}: {words.text}" if words.text else head
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 1] + "…"


def _redirect_host(status: int, headers: Mapping[str, str]) -> str | None:
    if not 300 <= status <= 399:
        return None
    try:
        return urlsplit(headers.get("location", "")).hostname
    except ValueError:
        return None


def _read_body(body: bytes, scrub: Callable[[str], str]) -> Any:
    text = body[:_MAX_BODY].decode("utf-8-sig", "replace")
    try:
        return _scrubbed(parse(text), scrub)
    except (ValueError, RecursionError):
        return masked(scrub(text)) if text.strip() else None


def _scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    """Take keys and echoed prompts out of a server's JSON."""
    try:
        return _without_secrets(clean(value), scrub)
    except RecursionError:
        return None


def _without_secrets(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return masked(scrub(value))
    if is_array(value):
        return [_without_secrets(item, scrub) for item in value]
    if is_object(value):
        return {
            masked(scrub(name)): _without_secrets(item, scrub)
            for name, item in as_object(value).items()
            if name not in _ECHOES
        }
    return value
