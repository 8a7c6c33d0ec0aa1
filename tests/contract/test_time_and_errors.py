"""CONTRACT B7, B8, B9: one clock, one retry policy, one error tree, the same on both surfaces."""

from __future__ import annotations

import asyncio
import email.utils
import inspect
import pickle
import random
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import abstractcore
from abstractcore import (
    AbstractCoreError,
    APIError,
    BadRequestError,
    BasicSession,
    ConfigurationError,
    ConnectionFailedError,
    ContextLengthError,
    IncompleteStreamError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    TransportError,
    create_llm,
    errors,
)
from abstractcore.drivers.connections import Limits
from abstractcore.generation.ask import DEFAULT_TIMEOUT
from tests.fakes import faults
from tests.fakes.network import blackhole, refused_port
from tests.fakes.openai_chat import error, text
from tests.fakes.replies import Hang, Pause, sse, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


class Clock:
    def __enter__(self) -> Clock:
        self.start = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.start


# ---- B7 --------------------------------------------------------------------------------------


def test_b7_the_defaults_are_those_of_the_contract():
    assert DEFAULT_TIMEOUT == 600.0
    limits = inspect.signature(abstractcore.factory._remote).parameters  # pyright: ignore
    assert (limits["connect_timeout"].default, limits["read_timeout"].default) == (5.0, 120.0)
    assert Limits(5.0, 120.0, None)


def test_b7_the_object_s_timeout_holds_for_every_call_and_the_argument_beats_it(
    surface: Surface, server: FakeServer
):
    server.replies(faults.hangs())
    llm = server.llm(timeout=60, max_retries=0)

    with Clock() as clock, pytest.raises(RequestTimeoutError):
        surface.generate(llm, "hello", timeout=0.15)
    assert clock.seconds < 1

    with Clock() as clock, pytest.raises(RequestTimeoutError):
        surface.generate(server.llm(timeout=0.15), "hello")
    assert clock.seconds < 1


def test_b7_the_timeout_bounds_a_connection_that_is_never_made(surface: Surface, server: FakeServer):
    with blackhole() as url:
        llm = server.llm(base_url=url)
        with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
            surface.generate(llm, "hello", timeout=0.2)

    assert clock.seconds < 1
    assert raised.value.phase in ("connect", "total")


def test_b7_connecting_has_a_bound_of_its_own(surface: Surface, server: FakeServer):
    with blackhole() as url:
        llm = server.llm(base_url=url, connect_timeout=0.1, max_retries=0)
        with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
            surface.generate(llm, "hello")

    assert clock.seconds < 1
    assert raised.value.phase == "connect"


BOUNDED = {
    "silence before the headers": faults.hangs,
    "a dripping head": lambda: faults.drips(text("word " * 50), pause=0.03),
    "a dripping body": lambda: faults.drips(text("word " * 50), pause=0.03, head=False),
    "headers without end": faults.endless_headers,
    "comments without end": faults.comments_only,
}


@pytest.mark.parametrize("name", list(BOUNDED))
def test_b7_the_timeout_bounds_the_whole_call(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    server.replies(BOUNDED[name]())

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        whole_or_stream.ask(surface, server.llm(), "hello", timeout=0.2)

    assert clock.seconds < 1
    assert isinstance(raised.value, TimeoutError)
    assert not raised.value.retryable or raised.value.phase != "total"
    surface.wait_for(server, lambda server: server.disconnects == 1)
    assert len(server.requests) == 1


def test_b7_the_timeout_bounds_a_stream_that_goes_on(surface: Surface, server: FakeServer):
    server.replies(text("word " * 200, between=[Pause(0.02)]))

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.stream(server.llm(), "hello", timeout=0.25)

    assert clock.seconds < 1
    assert raised.value.phase == "total"
    assert raised.value.partial is not None
    assert raised.value.partial.content.startswith("word")
    surface.wait_for(server, lambda server: server.disconnects == 1)


def test_b7_silence_counts_once_the_headers_are_in(surface: Surface, server: FakeServer):
    server.replies(sse([Hang()]))

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.stream(server.llm(read_timeout=0.1, max_retries=0), "hello")

    assert clock.seconds < 1
    assert raised.value.phase == "body"


def test_b7_before_the_headers_only_the_total_counts(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    """Reasoning models are silent for minutes."""
    server.replies(text("Thought through.").after(Pause(0.3)))

    answer = whole_or_stream.ask(surface, server.llm(read_timeout=0.1), "hello")

    assert answer.content == "Thought through."


def test_b7_a_retry_that_would_overrun_is_not_slept_on(surface: Surface, server: FakeServer):
    server.replies(error(429, headers={"Retry-After": "5"}))

    with Clock() as clock, pytest.raises(RateLimitError) as raised:
        surface.generate(server.llm(), "hello", timeout=1)

    assert clock.seconds < 0.5
    assert (raised.value.attempts, raised.value.retry_after) == (1, 5)


def test_b7_the_timeout_covers_the_retries_too(surface: Surface, server: FakeServer):
    server.replies(error(503), faults.hangs())

    with Clock() as clock, pytest.raises(RequestTimeoutError) as raised:
        surface.generate(server.llm(), "hello", timeout=0.3)

    assert clock.seconds < 1
    assert raised.value.attempts == 2


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True])
def test_b7_a_timeout_that_is_none_is_refused(surface: Surface, server: FakeServer, timeout: Any):
    with pytest.raises(ValueError, match="timeout"):
        surface.generate(server.llm(), "hello", timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        server.llm(timeout=timeout)


async def test_b7_a_timeout_of_asyncio_is_python_s_own(server: FakeServer):
    server.replies(faults.hangs(), text("Hi."))
    async with server.llm() as llm:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(0.1):
                await llm.agenerate("hello")
        assert type(raised.value) is TimeoutError
        assert (await llm.agenerate("hello")).content == "Hi."


# ---- B8 --------------------------------------------------------------------------------------

AGAIN = {
    "408": lambda: error(408),
    "409": lambda: error(409),
    "429": lambda: error(429),
    "500": lambda: error(500),
    "502": lambda: error(502),
    "503": lambda: error(503),
    "504": lambda: error(504),
    "529": lambda: error(529),
    "a close before the headers": faults.closes,
    "a reset before the headers": faults.resets,
}


@pytest.mark.parametrize("name", list(AGAIN))
def test_b8_a_failure_worth_it_is_asked_again(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    server.replies(AGAIN[name](), AGAIN[name](), text("Hi."))

    assert whole_or_stream.ask(surface, server.llm(), "hello").content == "Hi."
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


@pytest.mark.parametrize("name", list(AGAIN))
def test_b8_after_the_last_retry_the_failure_itself_is_raised(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    server.replies(AGAIN[name]())

    with pytest.raises((APIError, ConnectionFailedError)) as raised:
        whole_or_stream.ask(surface, server.llm(max_retries=1), "hello")

    assert (raised.value.attempts, raised.value.retryable) == (2, True)
    assert len(server.requests) == 2


NEVER = {
    "400": (lambda: error(400), BadRequestError),
    "501": (lambda: error(501), ServerError),
    "a spend cap": (lambda: error(429, code="insufficient_quota"), QuotaExceededError),
    "402": (lambda: error(402), QuotaExceededError),
    "Retry-After over a minute": (lambda: error(429, headers={"Retry-After": "61"}), RateLimitError),
    "a 200 that is no answer": (lambda: whole(200, b"null"), ResponseError),
    "a 200 of HTML": (faults.html, ResponseError),
}


@pytest.mark.parametrize("name", list(NEVER))
def test_b8_what_waiting_does_not_mend_is_raised_at_once(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, name: str
):
    reply, kind = NEVER[name]
    server.replies(reply())

    with Clock() as clock, pytest.raises(kind) as raised:
        whole_or_stream.ask(surface, server.llm(), "hello")

    assert clock.seconds < 1
    assert raised.value.attempts == len(server.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_b8_the_server_s_wait_is_kept(surface: Surface, server: FakeServer, form: str):
    headers = {
        "seconds": {"Retry-After": "0.3"},
        "milliseconds": {"retry-after-ms": "300"},
        "date": {"Retry-After": email.utils.formatdate(time.time() + 2, usegmt=True)},
    }[form]
    server.replies(error(429, headers=headers), text("Hi."))

    surface.generate(server.llm(), "hello")

    first, second = server.requests
    assert 0.29 < second.received_at - first.received_at < 3


def test_b8_the_backoff_is_exponential_with_full_jitter(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: asked.append((low, high)) or 0.0)
    server.replies(error(500))

    with pytest.raises(ServerError):
        surface.generate(server.llm(max_retries=6), "hello")

    spans = list(dict.fromkeys(asked))
    assert spans == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0)]


def test_b8_after_the_first_chunk_nothing_is_asked_again(surface: Surface, server: FakeServer):
    server.replies(text("one two three", ending="reset", done=False, finish_reason=None))

    with pytest.raises(IncompleteStreamError) as raised:
        surface.stream(server.llm(), "hello")

    assert len(server.requests) == 1
    assert not raised.value.retryable


def test_b8_tenacity_is_loaded_at_the_first_failure_only():
    import subprocess
    import sys

    code = """
import sys
from tests.fakes.openai_chat import text, error
from tests.fakes.server import FakeServer
with FakeServer() as server:
    server.replies(text("Hi."), error(500), text("Hi."))
    llm = server.llm()
    llm.generate("hello")
    assert "tenacity" not in sys.modules
    llm.generate("hello")
    assert "tenacity" in sys.modules
    llm.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- B9 --------------------------------------------------------------------------------------

STATUSES = {
    304: "APIError", 400: "BadRequestError", 401: "AuthenticationError", 402: "QuotaExceededError",
    403: "PermissionDeniedError", 404: "ModelNotFoundError", 405: "BadRequestError", 408: "APIError",
    409: "ConflictError", 413: "BadRequestError", 418: "BadRequestError", 422: "BadRequestError",
    429: "RateLimitError", 500: "ServerError", 501: "ServerError", 503: "ServerError", 529: "OverloadedError",
}  # fmt: skip


@pytest.mark.parametrize(("status", "name"), list(STATUSES.items()))
def test_b9_a_status_gives_its_class_and_its_fields(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, status: int, name: str
):
    server.replies(error(status, "It failed.", code="some_code", headers={"x-request-id": "req-9"}))

    with pytest.raises(APIError) as raised:
        whole_or_stream.ask(surface, server.llm(max_retries=0), PROMPT)

    failure = raised.value
    assert type(failure).__name__ == name
    assert (failure.provider, failure.model, failure.attempts) == ("openai-compatible", "test-model", 1)
    assert failure.status_code == status
    if status != 304:  # which has no body
        assert (failure.code, failure.request_id) == ("some_code", "req-9")
        assert "It failed." in str(failure)


def test_b9_a_prompt_that_is_too_long_has_a_class_of_its_own(surface: Surface, server: FakeServer):
    server.replies(error(400, code="context_length_exceeded"))

    with pytest.raises(ContextLengthError):
        surface.generate(server.llm(), PROMPT)


def test_b9_a_provider_that_cannot_be_reached_is_a_transport_error(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
):
    llm = server.llm(base_url=f"http://127.0.0.1:{refused_port()}", max_retries=0)

    with pytest.raises(ConnectionFailedError) as raised:
        whole_or_stream.ask(surface, llm, PROMPT)

    assert raised.value.phase == "connect"
    assert isinstance(raised.value, ConnectionError)
    assert isinstance(raised.value, TransportError)


BASES = {
    "ConfigurationError": ValueError,
    "MissingDependencyError": ImportError,
    "AsyncToolError": TypeError,
    "ConnectionFailedError": ConnectionError,
    "RequestTimeoutError": TimeoutError,
    "SessionError": ValueError,
}


def _drawn_tree() -> Iterator[tuple[str, str]]:
    """Each name in the docstring's drawing, and the name that it hangs from."""
    path: list[str] = []
    for line in str(errors.__doc__).splitlines():
        branch = len(line) - len(line.lstrip("│├└─ "))
        name = line[branch:].partition(" ")[0].partition("(")[0]
        if name.endswith("Error") and (branch or not path):
            path[branch // 3 :] = [name]
            yield name, path[-2] if branch else ""


def test_b9_the_tree_is_the_one_that_is_drawn():
    drawn = dict(_drawn_tree())

    for name, parent in drawn.items():
        kind = getattr(errors, name)
        assert not parent or kind.__bases__[0] is getattr(errors, parent), name
        assert issubclass(kind, BASES.get(name, Exception))
    defined = {n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, AbstractCoreError)}
    assert set(drawn) == defined


ALL_FAULTS = {
    "status": lambda: error(401, f"Incorrect API key provided: {KEY}"),
    "echo": lambda: whole(400, f'{{"error": {{"message": "bad key {KEY}"}}}}'),
    "html": faults.html,
    "not HTTP": faults.not_http,
    "reset": faults.resets,
    "cut body": lambda: text("Hi.").cut(0.5),
    "bad gzip": lambda: faults.gzipped(text("Hi."), fault="garbage"),
    "deep": faults.deep_json,
    "hangs": faults.hangs,
}


@pytest.mark.parametrize("name", list(ALL_FAULTS))
@pytest.mark.parametrize("kind", ["llm", "session"])
def test_b9_no_foreign_exception_and_no_secret_crosses_the_api(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, caplog: Any, kind: str, name: str
):
    """Neither in the error, nor its traceback with locals, nor a log line, nor a pickle."""
    server.replies(ALL_FAULTS[name]())
    llm = server.llm(api_key=KEY, max_retries=0)
    asked = llm if kind == "llm" else BasicSession(llm)
    caplog.set_level(0)

    with pytest.raises(AbstractCoreError) as raised:
        whole_or_stream.ask(surface, asked, PROMPT, timeout=0.3)

    failure = raised.value
    told = "".join(map(str, (failure, repr(failure), failure.args, vars(failure), caplog.text, repr(llm))))
    assert KEY not in told
    assert PROMPT not in told
    assert KEY.encode() not in pickle.dumps(failure)
    assert type(pickle.loads(pickle.dumps(failure))) is type(failure)
    frames = traceback.TracebackException.from_exception(failure, capture_locals=True).stack
    inside = [frame for frame in frames if "/abstractcore/" in frame.filename]
    assert inside
    assert not [frame for frame in inside if KEY in str(frame.locals)]


def test_b9_errors_pickle_with_their_fields():
    failure = RateLimitError("Wait.", provider="p", model="m", retry_after=3.0, status_code=429, attempts=2)

    copy = pickle.loads(pickle.dumps(failure))

    assert type(copy) is RateLimitError
    assert (str(copy), vars(copy)) == ("Wait.", vars(failure))


def test_b9_construction_errors_are_value_errors():
    for wrong in ({"max_retries": -1}, {"temperature": float("nan")}, {"connect_timeout": 0}, {"top_p": 2}):
        with pytest.raises(ConfigurationError):
            create_llm("ollama", "m", **wrong)  # pyright: ignore
