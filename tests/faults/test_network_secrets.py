"""Where a key must not stand: FAULTS 1.10, on the way to the network and back."""

from __future__ import annotations

import logging
import pickle
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.drivers.sockets import BlockingStream
from abstractcore.errors import AbstractCoreError, ConfigurationError
from tests.fakes import faults
from tests.fakes.any_wire import error, text
from tests.fakes.proxy import FakeProxy
from tests.fakes.replies import Reply, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import AsyncSurface, Surface, WholeOrStream
from tests.fakes.wires import Wire

from .asking import KEY, PROMPT, assert_keeps_secrets, failure_of


def frames_of(failure: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(failure, capture_locals=True).format())


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("through", ["proxy", "tunnel"])
def test_no_log_line_holds_a_key(
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    tls_server: FakeServer,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    through: str,
) -> None:
    """1.10 logs at DEBUG of our and the transport's loggers; stdout, stderr; whatever happens."""
    caplog.set_level(logging.DEBUG)
    target = tls_server if through == "tunnel" else server
    with FakeProxy(credentials="proxyuser:hidden-word") as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url_with_credentials)
        target.replies(text("fine"), error(401, f"bad key {KEY}"), faults.closes(), faults.html())
        llm = wire.llm(target, api_key=KEY, max_retries=0)
        whole_or_stream.ask(surface, llm, PROMPT)
        for _ in range(3):
            failure = failure_of(surface, whole_or_stream, llm)
            assert_keeps_secrets(failure, "hidden-word")

    said = caplog.text + "".join(capfd.readouterr()) + "".join(str(record.args) for record in caplog.records)
    assert KEY not in said
    assert "hidden-word" not in said
    assert PROMPT not in said


def test_the_key_goes_in_its_header_and_nowhere_else(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.10 URLs: headers only, never `?key=`."""
    server.replies(text("fine"))

    whole_or_stream.ask(surface, wire.llm(server, api_key=KEY), PROMPT)

    request = server.requests[0]
    assert [name for name, value in request.headers.items() if KEY in value] == ["authorization"]
    assert KEY not in request.target
    assert KEY.encode() not in request.body


def test_no_repr_and_no_pickle_of_an_llm_holds_its_key(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.10 repr, format, pickle of the provider; before and after use."""
    server.replies(text("fine"))
    llm: Any = wire.llm(server, api_key=KEY, headers={"X-Api-Key": KEY, "X-Team": "blue"})
    for _ in range(2):
        provider = llm._provider._inner
        shown = f"{llm!r} {llm} {provider!r} {vars(llm)!r} {vars(provider)!r} {vars(provider._connections)!r}"
        assert KEY not in shown
        assert KEY.encode() not in pickle.dumps(llm)
        whole_or_stream.ask(surface, llm, PROMPT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": float("nan")},
        {"max_connections": 0},
        {"connect_timeout": -1},
        {"base_url": "ftp://somewhere"},
        {"base_url": f"http://user:{KEY}@localhost/v1"},
        {"base_url": f"http://localhost/v1?key={KEY}"},
        {"headers": {"X-Api-Key": KEY, "X Odd": "1"}},
        {"headers": {"X-Api-Key": f"{KEY}\n"}},
        {"headers": {"X-Api-Key": KEY, "X-Number": 7}},
        {"api_key": f"{KEY}\u00e9"},
        {"api_key": f"{KEY}\nX-Injected: 1"},
        {"api_key": 7},
    ],
    ids=lambda wrong: " ".join(wrong),
)
def test_an_argument_that_is_refused_shows_no_key(wrong: dict[str, Any]) -> None:
    """1.10 capture_locals: the frames of `create_llm` hold what it was given."""
    with pytest.raises(ConfigurationError) as caught:
        create_llm("openai", "m", **{"api_key": KEY, **wrong})

    told = f"{caught.value!r} {caught.value.args!r}"
    assert KEY not in told
    ours = frames_of(caught.value).partition("in create_llm")[2]
    assert ours
    if "base_url" not in wrong:
        assert KEY not in ours


def test_an_unknown_argument_shows_no_key() -> None:
    """1.10 capture_locals, and the TypeError of CONTRACT A5."""
    options: dict[str, Any] = {"api_key": KEY, "temprature": 1}
    with pytest.raises(TypeError) as caught:
        create_llm("openai", "m", **options)

    assert KEY not in frames_of(caught.value).partition("in create_llm")[2]


def test_a_key_from_the_environment_shows_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """1.10: a key with a character that no header takes, out of the variable."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\u00e9")
    with pytest.raises(ConfigurationError) as caught:
        create_llm("openai", "m")

    assert KEY not in frames_of(caught.value)


def test_a_key_in_the_clear_is_warned_of() -> None:
    """1.10: nor over plain http to a host that is not this one without a warning."""
    with pytest.warns(UserWarning, match="unencrypted") as caught:
        create_llm("openai-compatible", "m", base_url="http://models.example/v1", api_key=KEY)
    assert KEY not in str(caught[0].message)

    with warnings.catch_warnings(record=True) as none:
        warnings.simplefilter("always")
        for url in (
            "https://models.example/v1",
            "http://localhost:1/v1",
            "http://127.0.0.2/v1",
            "http://[::1]/v1",
        ):
            create_llm("openai-compatible", "m", base_url=url, api_key=KEY)
        create_llm("openai-compatible", "m", base_url="http://models.example/v1")
    assert none == []


def test_a_cancelled_call_shows_no_key(make_server: Any) -> None:
    """1.10 capture_locals of a CancelledError, while a large request is written and while one waits."""
    surface = AsyncSurface()
    server = make_server(receive_buffer=8_192)
    try:
        for prompt, fault in (("x" * 8_000_000, faults.never_reads_body(0.2)), ("Hi", faults.hangs())):
            server.replies(fault)
            count = len(server.requests)
            started = surface.start(surface.later(server.llm(api_key=KEY), prompt))
            server.wait_for(lambda s, count=count: len(s.requests) > count, timeout=5)
            started.cancel()
            outcome = started.outcome(2)
            assert type(outcome).__name__ == "CancelledError"
            assert "connections.py" in (frames := frames_of(outcome))
            assert KEY not in frames
    finally:
        surface.shut()


def test_an_interrupted_call_shows_no_key(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.10 capture_locals of a KeyboardInterrupt in a blocking read; the socket is closed."""

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(BlockingStream, "_receive", interrupted)
    server.replies(faults.hangs())
    llm = server.llm(api_key=KEY, headers={"X-Api-Key": KEY})

    with pytest.raises(KeyboardInterrupt) as caught:
        llm.generate("Hi")

    frames = frames_of(caught.value)
    assert "connections.py" in frames
    assert KEY not in frames
    server.wait_for(lambda s: s.connections == 1 and s.open_sockets == 0)


def test_a_closed_llm_shows_no_key(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.10, of a ClosedError."""
    llm = wire.llm(server, api_key=KEY)
    surface.close(llm)

    with pytest.raises(AbstractCoreError) as caught:
        surface.generate(llm, PROMPT)

    assert_keeps_secrets(caught.value)


# What the server repeats.

ECHOES: dict[str, Callable[[str], Reply]] = {
    "message": lambda key: error(401, f"Incorrect API key provided: {key}."),
    "code": lambda key: error(401, "bad key", code=key),
    "200 shape": lambda key: whole(200, {"choices": [{"message": f"bad {key}"}]}),
    "header": lambda key: error(400, headers={"X-Request-Id": f"for {key}"}),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_key_that_the_server_repeats_stands_nowhere(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire, name: str
) -> None:
    """1.2: replaced by its last four characters at most, in every field; 1.10."""
    server.replies(ECHOES[name](KEY))

    failure = failure_of(surface, whole_or_stream, wire.llm(server, api_key=KEY, max_retries=0))

    assert "0123456789" not in f"{failure!r} {failure!s} {failure.args!r} {vars(failure)!r}"


def test_a_key_in_a_header_of_the_callers_own_stands_nowhere(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, wire: Wire
) -> None:
    """1.10: `headers=` may hold a key too."""
    server.replies(error(400))

    failure_of(surface, whole_or_stream, wire.llm(server, headers={"X-Api-Key": KEY}))

    assert server.requests[0].headers["x-api-key"] == KEY
