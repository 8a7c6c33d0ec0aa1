"""Every failed response becomes the one error that says whose turn it is to act."""

from __future__ import annotations

import json
import math
import pickle
import time
from typing import Any

import pytest

from abstractcore import errors
from abstractcore.codecs.http_errors import error_in_body, read_error, retry_after
from abstractcore.errors import APIError

NOW = 1_764_000_000.0  # Mon, 24 Nov 2025 16:00:00 GMT


def error_of(status: int, body: Any = b"", headers: dict[str, str] | None = None, **options: Any) -> APIError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error(status, headers or {}, raw, now=NOW, **options)


STATUSES = {
    300: ("APIError", False),
    304: ("APIError", False),
    307: ("APIError", False),
    400: ("BadRequestError", False),
    401: ("AuthenticationError", False),
    402: ("QuotaExceededError", False),
    403: ("PermissionDeniedError", False),
    404: ("ModelNotFoundError", False),
    405: ("BadRequestError", False),
    408: ("APIError", True),
    409: ("ConflictError", True),
    411: ("APIError", False),
    413: ("BadRequestError", False),
    418: ("BadRequestError", False),
    422: ("BadRequestError", False),
    429: ("RateLimitError", True),
    500: ("ServerError", True),
    501: ("ServerError", False),
    502: ("ServerError", True),
    503: ("ServerError", True),
    504: ("ServerError", True),
    520: ("ServerError", True),
    529: ("OverloadedError", True),
    600: ("APIError", False),
    999: ("APIError", False),
}


@pytest.mark.parametrize(("status", "wanted"), STATUSES.items())
def test_a_status_has_its_class(status: int, wanted: tuple[str, bool]) -> None:
    failure = error_of(status)

    assert (type(failure).__name__, failure.retryable) == wanted
    assert failure.status_code == status
    assert str(status) in failure.message


BODIES = {
    "OpenAI": ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, "m", "c"),
    "OpenAI without code": ({"error": {"message": "m", "type": "t", "code": None}}, "m", "t"),
    "Anthropic": ({"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"}, "m", "t"),
    "Ollama": ({"error": "m"}, "m", None),
    "OpenRouter": ({"error": {"code": 400, "message": "m"}, "user_id": "u"}, "m", "400"),
    "OpenRouter's upstream": (
        {"error": {"code": 400, "message": "m", "metadata": {"raw": "why", "provider_name": "P"}}},
        "m (P: why)",
        "400",
    ),
    "llama-server": ({"error": {"code": 400, "message": "m", "type": "t"}}, "m", "t"),
    "vLLM": ({"object": "error", "message": "m", "type": "T", "param": None, "code": 400}, "m", "T"),
    "Gemini": (
        [{"error": {"code": 400, "message": "m", "status": "FAILED_PRECONDITION"}}],
        "m",
        "FAILED_PRECONDITION",
    ),
    "FastAPI": ({"detail": "m"}, "m", None),
    "FastAPI's validation": (
        {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Missing", "input": {"k": "x"}}]},
        "body.model: Missing",
        None,
    ),
    "a message": ({"message": "m"}, "m", None),
    "a message that is an object": ({"message": {"detail": [{"loc": ["a", 0], "msg": "m"}]}}, "", None),
    "a code beside its text": ({"error": "a_code", "message": "m"}, "m", "a_code"),
    "errors": ({"errors": [{"message": "m"}, {"message": "n"}]}, "m; n", None),
    "a list of errors": ({"error": [{"message": "m", "code": "c"}]}, "m", "c"),
    "a string": ("m", "m", None),
    "a list": (["m"], "", None),
    "null": (None, "", None),
    "a number": (7, "", None),
    "wrong types": ({"error": {"message": 7, "code": [], "type": {}}}, "", None),
    "plain text": (b"m\n\n n", "m n", None),
    "empty": (b"", "", None),
    "a title": (
        b"<!DOCTYPE html><html><head><title>502 Bad &amp; Gateway</title></head>",
        "502 Bad & Gateway",
        None,
    ),
    "HTML": (b"\n<html><style>b {}</style><script>x()</script><h1>Go\naway</h1></html>", "Go away", None),
    "broken JSON": (b'{"error": {"message": "m', '{"error": {"message": "m', None),
    "invalid UTF-8": (b"\xff\xfe m", "\ufffd\ufffd m", None),
    "a byte order mark": (b'\xef\xbb\xbf{"error": "m"}', "m", None),
    "a lone surrogate": (b'{"error": "m\\ud800"}', "m\ufffd", None),
}


@pytest.mark.parametrize(("body", "text", "code"), BODIES.values(), ids=BODIES.keys())
def test_a_body_of_any_shape_is_read(body: Any, text: str, code: str | None) -> None:
    failure = error_of(400, body)

    assert type(failure) is errors.BadRequestError
    assert failure.message == f"HTTP 400 Bad Request: {text}" if text else "HTTP 400 Bad Request"
    assert failure.code == code
    failure.message.encode()
    json.dumps(failure.body, ensure_ascii=False).encode()


def test_the_body_is_kept_but_for_what_the_server_echoes() -> None:
    """B9: no prompt in any error."""
    body = {
        "detail": [{"msg": "m", "input": {"messages": ["my prompt"]}}],
        "flagged_input": "my prompt",
        "n": 1,
    }

    assert error_of(422, body).body == {"detail": [{"msg": "m"}], "n": 1}


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"error":' * 60_000, b"{" * 60_000, b"<" * 60_000])
def test_a_hostile_body_is_only_text(body: bytes) -> None:
    began = time.process_time()

    failure = error_of(500, body)

    assert type(failure) is errors.ServerError
    assert len(failure.message) <= 1_000
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "body", [b"x" * 5_000_000, {"error": {"message": "x" * 100_000}}, {"error": "y " * 50_000}]
)
def test_a_message_is_a_thousand_characters_at_most(body: Any) -> None:
    assert len(error_of(500, body).message) <= 1_000


WORDINGS = {
    "OpenAI's code": (
        400,
        {"error": {"message": "m", "code": "context_length_exceeded"}},
        "ContextLengthError",
    ),
    "vLLM": (400, {"message": "This model's maximum context length is 8 tokens."}, "ContextLengthError"),
    "Ollama": (
        400,
        {"error": "the prompt is longer than the context length currently available to the model"},
        "ContextLengthError",
    ),
    "Anthropic": (
        400,
        {"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}},
        "ContextLengthError",
    ),
    "llama-server": (
        400,
        {
            "error": {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size",
            }
        },
        "ContextLengthError",
    ),
    "Gemini": (
        400,
        {"error": {"message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}},
        "ContextLengthError",
    ),
    "too long by status 413": (413, {"error": {"message": "Prompt is too long"}}, "ContextLengthError"),
    "too many bytes": (
        413,
        {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
        "BadRequestError",
    ),
    "the words in a server failure": (500, {"error": "maximum context length"}, "ServerError"),
    "insufficient quota": (
        429,
        {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
        "QuotaExceededError",
    ),
    "Gemini's limit per minute": (
        429,
        [
            {
                "error": {
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "You exceeded your current quota, please retry in 9s",
                }
            }
        ],
        "RateLimitError",
    ),
    "a spend cap": (
        429,
        {"error": {"message": "You have reached your monthly spend limit."}},
        "QuotaExceededError",
    ),
    "Anthropic's credit": (
        400,
        {
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API.",
            }
        },
        "QuotaExceededError",
    ),
    "xAI's credit": (403, {"error": "Your team has used all available credits."}, "QuotaExceededError"),
    "Gemini's key": (
        400,
        [
            {
                "error": {
                    "status": "INVALID_ARGUMENT",
                    "message": "API key not valid. Please pass a valid API key.",
                }
            }
        ],
        "AuthenticationError",
    ),
    "a model that is not": (
        400,
        {"error": {"message": "x/y is not a valid model ID", "code": 400}},
        "ModelNotFoundError",
    ),
    "overloaded": (503, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "OverloadedError"),
}


@pytest.mark.parametrize(("status", "body", "kind"), WORDINGS.values(), ids=WORDINGS.keys())
def test_one_cause_has_one_class(status: int, body: Any, kind: str) -> None:
    failure = error_of(status, body)

    assert type(failure).__name__ == kind
    assert failure.retryable is (kind in ("RateLimitError", "ServerError", "OverloadedError"))


def test_the_server_may_say_whether_to_retry() -> None:
    assert error_of(500, headers={"x-should-retry": "false"}).retryable is False
    assert error_of(400, headers={"x-should-retry": "True"}).retryable is True
    assert error_of(500, headers={"x-should-retry": "perhaps"}).retryable is True
    assert error_of(402, headers={"x-should-retry": "true"}).retryable is False, "waiting earns no money"


DATE = "Mon, 24 Nov 2025 16:00:00 GMT"
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "none": ({}, None),
    "seconds": ({"retry-after": "3"}, 3.0),
    "a part of a second": ({"retry-after": "0.25"}, 0.25),
    "nothing to wait": ({"retry-after": "0"}, 0.0),
    "milliseconds": ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    "milliseconds that are none": ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    "a day": ({"retry-after": "86400"}, 86_400.0),
    "more than a number holds": ({"retry-after": "1e400"}, math.inf),
    "for ever": ({"retry-after": "inf"}, math.inf),
    "negative": ({"retry-after": "-5"}, None),
    "for minus ever": ({"retry-after": "-inf"}, None),
    "no number": ({"retry-after": "nan"}, None),
    "garbage": ({"retry-after": "garbage"}, None),
    "empty": ({"retry-after": ""}, None),
    "a date": ({"retry-after": "Mon, 24 Nov 2025 16:00:07 GMT"}, 7.0),
    "a date by the server's clock": (
        {"retry-after": "Mon, 24 Nov 2025 18:00:07 GMT", "date": "Mon, 24 Nov 2025 18:00:00 GMT"},
        7.0,
    ),
    "a past date": ({"retry-after": "Mon, 24 Nov 2025 15:59:59 GMT"}, None),
    "this very moment": ({"retry-after": DATE}, None),
    "a date with a broken clock beside it": (
        {"retry-after": "Mon, 24 Nov 2025 16:00:07 GMT", "date": "x"},
        7.0,
    ),
    "a date without a zone": ({"retry-after": "Mon, 24 Nov 2025 16:00:07"}, 7.0),
    "no such date": ({"retry-after": "Mon, 99 Nov 99999999999999999999 99:99:99 GMT"}, None),
}


@pytest.mark.parametrize(("headers", "wait"), WAITS.values(), ids=WAITS.keys())
def test_retry_after_is_read(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, now=NOW) == wait
    assert error_of(429, headers=headers).retry_after == wait


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "x-generation-id", "cf-ray"])
def test_the_request_id_is_found(name: str) -> None:
    assert error_of(500, headers={name: "r1", "server": "x"}).request_id == "r1"


def test_the_request_id_may_stand_in_the_body() -> None:
    assert error_of(500, {"error": {"message": "m"}, "request_id": "r2"}).request_id == "r2"
    assert error_of(500).request_id is None


@pytest.mark.parametrize(
    ("status", "location", "host"),
    [
        (302, "https://login.example.com/sso?key=sk-1234", "login.example.com"),
        (307, "/elsewhere", None),
        (308, "https://[bad/", None),
        (401, "https://login.example.com/", None),
    ],
)
def test_a_redirect_tells_its_host_alone(status: int, location: str, host: str | None) -> None:
    failure = error_of(status, headers={"location": location})

    assert failure.location == host
    assert "sk-" not in repr(failure.__dict__)


KEYS = {
    "sk-proj-abcdefghijklmnop1234": "sk-…1234",
    "sk-ant-api03-abcDEF_ghi-jkl9876": "sk-…9876",
    "sk-proj-****************abcd": "sk-…abcd",
    "sk-12345": "sk-…",
    "Bearer abcdef1234567890xyz": "Bearer …0xyz",
}


@pytest.mark.parametrize(("key", "masked"), KEYS.items())
def test_what_looks_like_a_key_is_masked(key: str, masked: str) -> None:
    for body in (
        {"error": {"message": f"Incorrect: {key}.", "code": key, key: [key]}},
        f"no {key}",
        f"<p>{key}".encode(),
    ):
        failure = error_of(401, body)
        assert key not in repr(failure.__dict__)
    assert error_of(401, {"error": f"Incorrect: {key} was used"}).message.endswith(
        f"Incorrect: {masked} was used"
    )


def test_words_that_only_begin_like_a_key_stay() -> None:
    text = "a task-based risk-assessment needs Bearer authentication"

    assert error_of(400, {"error": text}).message.endswith(text)


def test_the_callers_key_is_scrubbed_everywhere() -> None:
    failure = error_of(
        401,
        {"error": {"message": "bad key hunter22", "code": "hunter22", "hunter22": ["hunter22"]}},
        scrub=lambda text: text.replace("hunter22", "…"),
    )

    assert "hunter22" not in repr(failure.__dict__)


def test_an_error_pickles_with_its_fields() -> None:
    failure = error_of(
        429, {"error": {"message": "m", "code": "c"}}, {"retry-after": "3", "x-request-id": "r"}
    )

    copy = pickle.loads(pickle.dumps(failure))

    assert copy.__dict__ == failure.__dict__


IN_BODIES = {
    "OpenRouter, 429": ({"code": 429, "message": "m"}, "RateLimitError", True, 429),
    "OpenRouter, 502": ({"code": 502, "message": "m"}, "ServerError", True, 502),
    "OpenRouter, 402": ({"code": 402, "message": "m"}, "QuotaExceededError", False, 402),
    "a number as text": ({"code": "400", "message": "m"}, "BadRequestError", False, 400),
    "OpenRouter, mid-stream": ({"code": "server_error", "message": "m"}, "ServerError", True, 200),
    "overloaded": ({"type": "overloaded_error", "message": "m"}, "OverloadedError", True, 200),
    "rate limit": ({"type": "rate_limit_error", "message": "m"}, "RateLimitError", True, 200),
    "rate limit, OpenAI": ({"type": "tokens", "code": "rate_limit_exceeded"}, "RateLimitError", True, 200),
    "quota": ({"code": "insufficient_quota", "message": "m"}, "QuotaExceededError", False, 200),
    "invalid": ({"type": "invalid_request_error", "message": "m"}, "BadRequestError", False, 200),
    "too long": (
        {"type": "invalid_request_error", "message": "prompt is too long"},
        "ContextLengthError",
        False,
        200,
    ),
    "too long, code": ({"code": "context_length_exceeded"}, "ContextLengthError", False, 200),
    "authentication": ({"type": "authentication_error"}, "AuthenticationError", False, 200),
    "Anthropic's own failure": ({"type": "api_error", "message": "m"}, "ServerError", True, 200),
    "unknown": ({"type": "mystery", "message": "m"}, "ServerError", True, 200),
    "a string": ("llama runner process has terminated", "ServerError", True, 200),
    "a list": (["x"], "ServerError", True, 200),
    "true": (True, "ServerError", True, 200),
    "an odd number": ({"code": 7, "message": "m"}, "ServerError", True, 200),
}


@pytest.mark.parametrize(
    ("error", "kind", "is_retryable", "status"), IN_BODIES.values(), ids=IN_BODIES.keys()
)
def test_an_error_inside_a_200_is_read(error: Any, kind: str, is_retryable: bool, status: int) -> None:
    failure = error_in_body(error, request_id="r")

    assert type(failure).__name__ == kind
    assert (failure.retryable, failure.status_code, failure.request_id) == (is_retryable, status, "r")


def test_an_error_inside_a_200_says_so() -> None:
    assert error_in_body("llama gone").message == "the answer is an error: llama gone"
    assert error_in_body({"code": 502, "message": "m"}).message == "HTTP 502 Bad Gateway: m"
    assert error_in_body(object()).message == "the answer is an error"


def test_an_error_inside_a_200_tells_no_key() -> None:
    failure = error_in_body({"message": "key sk-abcdefghijklmnopqrst", "code": "x"})

    assert "sk-abc" not in repr(failure.__dict__)
