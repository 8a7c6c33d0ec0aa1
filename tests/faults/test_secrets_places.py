"""FAULTS 1.10, CONTRACT A8: where a key goes, and that it goes nowhere else; not into a pickle."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest

from abstractcore import AuthenticationError, create_llm
from tests.fakes import faults, network, openai_chat
from tests.fakes.replies import Hang, sse
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.faults.planted import HEADER_KEY, KEY, assert_clean, assert_failure_clean, planted

# ---- pickles and copies -----------------------------------------------------------------------


def test_an_llm_pickles_before_and_after_use_without_its_key(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.10, A8: the copy reads the environment where it is loaded."""
    server.replies(openai_chat.text("fine"))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")
    llm = create_llm("openai", "test-model", api_key=KEY, headers={"X-Trace": "1", "X-Token": HEADER_KEY},
                     temperature=0.5, timeout=7, max_retries=1)  # fmt: skip
    before = pickle.dumps(llm)
    surface.generate(llm, "hi")
    after = pickle.dumps(llm)
    surface.close(llm)
    assert_clean(repr(before) + repr(after))
    assert before == after

    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-other-place")
    other = pickle.loads(after)
    assert surface.generate(other, "hi").content == "fine"
    surface.close(other)
    own, copied = server.requests
    assert own.headers["authorization"] == f"Bearer {KEY}"
    assert copied.headers["authorization"] == "Bearer key-of-the-other-place"
    assert (copied.headers["x-trace"], copied.headers.get("x-token")) == ("1", None)
    assert copied.json.temperature == 0.5
    assert copied.body == own.body


def test_a_pickle_that_finds_no_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A8: with the variable's name."""
    pickled = pickle.dumps(create_llm("openai", "m", api_key=KEY))

    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        pickle.loads(pickled)


def test_a_closed_llm_and_one_in_use_pickle_too(surface: Surface, server: FakeServer) -> None:
    """A8: a stream that is open stays here."""
    server.replies(sse([*openai_chat.text_chunks("x")[:2], Hang()], done=False))
    llm = planted(server)
    with surface.open_stream(llm, "hi"):
        assert_clean(repr(pickle.dumps(llm)))
    surface.close(llm)
    assert pickle.loads(pickle.dumps(llm)).model == "test-model"
    assert copy.copy(server.llm()).provider == "openai-compatible"


def test_a_failure_pickles_without_a_key(surface: Surface, server: FakeServer) -> None:
    """1.10: a pickled vendor exception carries its request; ours does not, and comes back whole."""
    server.replies(openai_chat.error(401, f"bad key {KEY} ({HEADER_KEY})", code=KEY))
    with pytest.raises(AuthenticationError) as caught:
        surface.generate(planted(server), "a prompt of one's own")

    pickled = pickle.dumps(caught.value)
    again = pickle.loads(pickled)

    assert_clean(repr(pickled))
    assert b"prompt of one" not in pickled
    assert (type(again), str(again), vars(again)) == (
        type(caught.value),
        str(caught.value),
        vars(caught.value),
    )


# ---- where a key goes -------------------------------------------------------------------------


def test_a_key_goes_into_one_header_and_no_url(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream
) -> None:
    """1.10: URLs."""
    server.replies(openai_chat.text("fine"))
    whole_or_stream.ask(surface, planted(server), "hi")

    (request,) = server.requests
    assert_clean(request.target)
    assert_clean(request.body.decode())
    assert [name.lower() for name, value in request.raw_headers if KEY in value] == ["authorization"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_take_a_key_elsewhere(
    status: int, surface: Surface, server: FakeServer, make_server: Any, whole_or_stream: WholeOrStream
) -> None:
    """1.10: never sent to another origin."""
    other = make_server()
    server.replies(faults.redirect(other.url + "/v1/chat/completions", status=status))

    with pytest.raises(Exception) as caught:  # noqa: PT011
        whole_or_stream.ask(surface, planted(server), "hi")

    assert_failure_clean(caught.value)
    assert (other.connections, len(server.requests)) == (0, 1)


def test_a_key_in_the_environment_goes_to_its_own_service(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1.10: `base_url=` that leads elsewhere gets a key only through `api_key=`."""
    for variable in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    server.replies(openai_chat.text("fine"))

    for provider in ("openai", "openrouter", "groq", "openai-compatible", "vllm", "ollama", "lmstudio"):
        llm = server.llm(provider)
        (outcome,) = surface.gather(surface.later(llm, "hi", timeout=2))
        if isinstance(outcome, Exception):  # a reply in another wire's words is no answer
            assert_failure_clean(outcome)

    assert server.requests
    for request in server.requests:
        assert_clean(repr(request.raw_headers) + request.target)


FAR = ["http://models.example/v1", "http://10.0.0.7:8000", "http://127.0.0.1.evil.example/v1",
       "http://127.evil.example", "http://0x7f.1.example/", "http://localhost.evil.example/"]  # fmt: skip
NEAR = ["http://127.0.0.1:1/v1", "http://127.8.9.10/", "http://localhost:8000/v1", "http://[::1]:8000/",
        "http://app.localhost/", "http://LOCALHOST/", "https://models.example/v1"]  # fmt: skip


@pytest.mark.parametrize("url", FAR)
def test_plain_http_to_another_machine_warns(url: str) -> None:
    """1.10: nor over plain http to a non-loopback host without a warning; at the caller's own line."""
    with pytest.warns(UserWarning, match="unencrypted") as caught:
        create_llm("openai-compatible", "m", base_url=url, api_key=KEY)
    (warning,) = caught
    assert warning.filename == __file__
    assert_clean(str(warning.message))


@pytest.mark.parametrize("url", NEAR)
def test_plain_http_to_this_machine_does_not_warn(url: str) -> None:
    """1.10."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_llm("openai-compatible", "m", base_url=url, api_key=KEY)
        create_llm("openai-compatible", "m", base_url=FAR[0])


def test_a_proxy_is_not_told_a_key(
    surface: Surface, tls_server: FakeServer, proxy: Any, monkeypatch: pytest.MonkeyPatch, trusted: None
) -> None:
    """1.10: the way through a proxy is asked for without it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    tls_server.replies(openai_chat.text("fine"))

    assert surface.generate(planted(tls_server), "hi").content == "fine"

    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert_clean(repr(proxy.requests))


def test_a_refused_connection_shows_no_key(surface: Surface) -> None:
    """1.10: the phases before there is a server."""
    for url in (f"http://127.0.0.1:{network.refused_port()}", "http://no-such-host.invalid.localhost"):
        llm = create_llm("openai-compatible", "m", base_url=url, api_key=KEY, max_retries=0)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            surface.generate(llm, "hi", timeout=3)
        assert_failure_clean(caught.value)
