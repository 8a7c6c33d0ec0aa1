"""CONTRACT B9: one error tree, the same on both surfaces, with no secret in it."""

from __future__ import annotations

import inspect
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abstractcore import (
    AbstractCoreError,
    APIError,
    BasicSession,
    ConfigurationError,
    ConnectionFailedError,
    ContextLengthError,
    RateLimitError,
    ServerError,
    TransportError,
    create_llm,
    errors,
)
from tests.fakes import anthropic_messages, faults
from tests.fakes.any_wire import error, failing, text
from tests.fakes.network import refused_port
from tests.fakes.replies import whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire

PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"


# ---- B9 --------------------------------------------------------------------------------------

STATUSES = {
    304: "APIError", 400: "BadRequestError", 401: "AuthenticationError", 402: "QuotaExceededError",
    403: "PermissionDeniedError", 404: "ModelNotFoundError", 405: "BadRequestError", 408: "APIError",
    409: "ConflictError", 413: "BadRequestError", 418: "BadRequestError", 422: "BadRequestError",
    429: "RateLimitError", 500: "ServerError", 501: "ServerError", 503: "ServerError", 529: "OverloadedError",
}  # fmt: skip


# The provider's own word for the failure: Anthropic's is the type, and Ollama has none.
CODES: dict[str, Callable[[int], str | None]] = {
    "openai_chat": lambda _: "some_code",
    "openai_responses": lambda _: "some_code",
    "anthropic_messages": lambda status: anthropic_messages.ERRORS.get(status, "some_code"),
    "ollama_chat": lambda _: None,
}


@pytest.mark.parametrize(("status", "name"), list(STATUSES.items()))
def test_b9_a_status_gives_its_class_and_its_fields(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, status: int, name: str
):
    server.replies(error(status, "It failed.", code="some_code", headers={"x-request-id": "req-9"}))

    with pytest.raises(APIError) as raised:
        whole_or_stream.ask(surface, wire.llm(server, max_retries=0), PROMPT)

    failure = raised.value
    assert type(failure).__name__ == name
    assert (failure.provider, failure.model, failure.attempts) == (wire.provider, "test-model", 1)
    assert failure.status_code == status
    if status != 304:  # which has no body
        assert (failure.code, failure.request_id) == (CODES[wire.name](status), "req-9")
        assert "It failed." in str(failure)


TOO_LONG = {
    "openai_chat": "This model's maximum context length is 8192 tokens.",
    "openai_responses": "Your input exceeds the context window of this model.",
    "anthropic_messages": "prompt is too long: 300000 tokens > 200000 maximum",
    "ollama_chat": "the prompt exceeds the available context size, try increasing it",
}


def test_b9_a_prompt_that_is_too_long_has_a_class_of_its_own(
    surface: Surface, server: FakeServer, wire: Wire
):
    server.replies(error(400, TOO_LONG[wire.name]))

    with pytest.raises(ContextLengthError):
        surface.generate(wire.llm(server), PROMPT)


def test_b9_a_failure_amid_a_stream_is_that_of_a_status(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(failing("one two"))

    with pytest.raises(ServerError) as raised:
        surface.stream(wire.llm(server), PROMPT)

    assert raised.value.partial is not None
    assert raised.value.partial.content == "one two"
    assert (raised.value.attempts, len(server.requests)) == (1, 1)


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
    surface: Surface,
    server: FakeServer,
    wire: Wire,
    whole_or_stream: WholeOrStream,
    caplog: Any,
    kind: str,
    name: str,
):
    """Neither in the error, nor its traceback with locals, nor a log line, nor a pickle."""
    server.replies(ALL_FAULTS[name]())
    llm = wire.llm(server, api_key=KEY, max_retries=0)
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
            create_llm("ollama", "m", **wrong)
