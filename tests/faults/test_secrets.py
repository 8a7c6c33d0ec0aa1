"""FAULTS 1.10: a planted key, and one in the caller's own headers, are searched for everywhere."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from abstractcore import BasicSession, create_llm
from abstractcore.drivers.keys import Secret
from tests.fakes import any_wire, faults
from tests.fakes.replies import Head, Reply, scripted, whole
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.fakes.wires import Wire
from tests.faults.planted import HEADER_KEY, KEY, assert_clean, assert_failure_clean, chain, planted

# ---- objects ----------------------------------------------------------------------------------


def test_no_repr_shows_a_key(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.10: repr/str/format of provider, session, config, request."""
    server.replies(any_wire.text("fine"))
    llm = planted(server, wire)
    session = BasicSession(llm)
    for _ in range(2):
        provider = llm._provider._inner
        for told in (llm, session, llm._provider, provider, session._turns, provider._connections):
            assert_clean(f"{told!r} {told!s} {told}")
            assert_clean([repr(value) for value in vars(told).values()])
        response = surface.generate(session, "hi")
        stream = surface.open_stream(llm, "hi")
        assert_clean(f"{response!r} {stream.stream!r} {stream.partial!r}")
        stream.close()


def test_a_key_is_kept_in_one_kind_of_object(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.10: hold a Secret object: no other attribute, list or dict that an LLM reaches holds the key."""
    server.replies(any_wire.text("fine"))
    llm = planted(server, wire)
    surface.generate(llm, "hi")

    holders = {type(holder).__name__ for holder, value in _strings(llm) if KEY in value}

    assert holders == {"Secret"}


def _strings(root: Any) -> Iterator[tuple[Any, str]]:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen or isinstance(holder, type | type(os)):
            continue
        seen.add(id(holder))
        for value in _inside(holder):
            if isinstance(value, str):
                yield holder, value
            elif isinstance(value, bytes):
                yield holder, value.decode("latin-1")
            else:
                waiting.append(value)


def _inside(holder: Any) -> list[Any]:
    if isinstance(holder, dict):
        return [*holder.keys(), *holder.values()]
    if isinstance(holder, list | tuple | set | frozenset):
        return list(holder)
    if not type(holder).__module__.startswith(("abstractcore", "httpcore")):
        return []
    slots = [name for kind in type(holder).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(holder, "__dict__", {}).values(), *(getattr(holder, name, None) for name in slots)]


def test_a_secret_shows_itself_to_nobody() -> None:
    """1.10."""
    secret = Secret(KEY)

    assert_clean(f"{secret!r} {secret!s} {secret} {[secret]} {pickle.dumps(secret)!r}")
    assert secret.reveal() == KEY


# ---- failures ---------------------------------------------------------------------------------

ECHO = {
    "error": {"message": f"bad key {KEY} ({HEADER_KEY})", "key": KEY, "headers": [{"a": [KEY]}], KEY: KEY}
}
REPLIES: dict[str, Reply] = {
    "401 that echoes the key": whole(401, ECHO),
    "400 that echoes it as text": whole(400, f"Authorization: Bearer {KEY}"),
    "422 that echoes it in a list": whole(422, [KEY, {"detail": KEY}]),
    "500 that echoes it": whole(500, ECHO),
    "HTML that echoes it": whole(500, f"<html>{KEY}</html>"),
    "a status of headers": whole(403, b"{}", headers={"X-Request-Id": KEY, "WWW-Authenticate": KEY}),
    "a redirect with the key": faults.redirect(f"https://elsewhere.test/{KEY}?key={KEY}"),
    "429 that says when, with the key": whole(429, ECHO, headers={"Retry-After": KEY}),
    "200 with an error": whole(200, ECHO),
    "200 with a page": whole(200, f"<html>{KEY}</html>"),
    "200 with no JSON": whole(200, f"not JSON: {KEY}"),
    "200 with a text": whole(200, f'"{KEY}"'),
    "a stream with an error": any_wire.failing("", f"bad key {KEY}", code=KEY, type=KEY),
    "a stream that breaks with an error": any_wire.failing("x", f"bad key {KEY}", code=KEY, type=KEY),
    "a stream of bad data": any_wire.garbled("", f"{KEY} is not JSON"),
    "a stream that breaks with bad data": any_wire.garbled("x", f'{{"{KEY}": "{KEY}'),
    "not HTTP": scripted(faults.Send(f"220 {KEY}\r\n".encode()), faults.Close()),
    "a broken head": scripted(faults.Send(f"HTTP/1.1 200 OK\r\n{KEY} broken\r\n\r\n".encode())),
    "closes": faults.closes(),
    "an odd compression": scripted(Head(200, (("Content-Encoding", KEY), ("Content-Length", "0")))),
    "deep": faults.deep_json(),
}


@pytest.mark.parametrize("name", REPLIES)
def test_no_failure_shows_a_key(
    name: str, surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream
) -> None:
    """1.10: exception str/repr/args/attrs/pickle; tracebacks with capture_locals; of every phase."""
    server.replies(REPLIES[name])
    llm = planted(server, wire, max_retries=0)

    with pytest.raises(Exception) as caught:  # noqa: PT011
        whole_or_stream.ask(surface, llm, "hi", timeout=5)

    assert_failure_clean(caught.value)


GIVEN: dict[str, Any] = {"api_key": KEY, "headers": {"X-Portal-Token": HEADER_KEY}}
BEFORE_A_REQUEST: dict[str, Callable[[], Any]] = {
    "unknown provider": lambda: create_llm("opnai", "m", **GIVEN),
    "unknown argument": lambda: create_llm("openai", "m", **GIVEN, tmperature=1),
    "bad temperature": lambda: create_llm("openai", "m", **GIVEN, temperature=-1),
    "no model": lambda: create_llm("openai", **GIVEN),
    "bad URL": lambda: create_llm("openai", "m", **GIVEN, base_url="http://[bad"),
    "URL with the key": lambda: create_llm("openai", "m", base_url=f"http://{KEY}@x/"),
    "URL with the key as a query": lambda: create_llm("openai", "m", base_url=f"http://x/?key={KEY}"),
    "bad limit": lambda: create_llm("openai", "m", **GIVEN, max_connections=0),
    "key that no header can carry": lambda: create_llm("openai", "m", api_key=KEY + "\n\u2028é"),
    "key of another kind": lambda: create_llm("openai", "m", api_key=KEY.encode()),
    "header of another kind": lambda: create_llm(
        "openai", "m", api_key="k", headers={"A": HEADER_KEY + "\n"}
    ),
    "header that is no text": lambda: create_llm("openai", "m", api_key="k", headers={"A": [HEADER_KEY]}),
    "bad prompt": lambda: create_llm("openai", "m", **GIVEN).generate(7),
    "bad extra": lambda: create_llm("openai", "m", **GIVEN).generate("x", extra={"a": object()}),
    "strict": lambda: create_llm("openai", "m", **GIVEN, strict=True).generate("x", top_k=1),
    "an engine": lambda: create_llm("openvino", "m", **GIVEN),
}


@pytest.mark.parametrize("name", BEFORE_A_REQUEST)
def test_no_failure_before_a_request_shows_a_key(name: str) -> None:
    """1.10: the frames of create_llm hold what the caller passed."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        BEFORE_A_REQUEST[name]()

    failure = caught.value
    for each in chain(failure):
        assert_clean(f"{each!r} {each!s} {each.args!r} {vars(each)!r}")
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if frame.f_globals.get("__name__", "").startswith("abstractcore"):
                assert_clean(f"{frame.f_code.co_name}: {frame.f_locals!r}")


async def test_no_cancelled_call_shows_a_key(server: FakeServer, wire: Wire) -> None:
    """1.10: the traceback of a cancel goes through every frame that waits, at each place in turn."""
    from tests.faults.test_lifecycle import CancelledAt

    server.replies(any_wire.text("one two").in_pieces(60, head=True))
    llm = planted(server, wire)
    count, was_cancelled = 0, True
    while was_cancelled:
        count += 1
        task = asyncio.create_task(CancelledAt(llm.agenerate("hi"), count))
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if was_cancelled := isinstance(outcome, BaseException):
            assert isinstance(outcome, asyncio.CancelledError)
            assert_failure_clean(outcome)
    assert count > 3


async def test_a_call_that_is_cancelled_while_it_writes_shows_no_key(make_server: Any, wire: Wire) -> None:
    """1.10: the buffer that is being sent begins with the headers."""
    server = make_server(receive_buffer=4096)
    server.replies(faults.hangs(begins="head"))
    task = asyncio.create_task(planted(server, wire).agenerate("x" * 5_000_000))
    await server.until(lambda s: s.hanging == 1, 5)
    task.cancel()

    (outcome,) = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(outcome, asyncio.CancelledError)
    assert_failure_clean(outcome)


@pytest.mark.parametrize("size", [1, 5_000_000], ids=["reading", "writing"])
def test_an_interrupted_call_shows_no_key(size: int, make_server: Any, wire: Wire) -> None:
    """1.10: KeyboardInterrupt, as Sentry or rich would show it."""
    server = make_server(receive_buffer=4096)
    server.replies(faults.hangs(begins="head"))
    llm = planted(server, wire)

    def interrupt() -> None:
        server.wait_for(lambda s: s.hanging == 1, 5)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        llm.generate("x" * size)
    thread.join()
    assert_failure_clean(caught.value)


# ---- logs, warnings, output -------------------------------------------------------------------


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What every logger says at DEBUG, ours and the transport's."""
    lines: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.args!r} {vars(record)!r}")

    handler, root = Listening(), logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ["", *logging.Logger.manager.loggerDict]}
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_no_logger_says_a_key_at_debug(
    surface: Surface, server: FakeServer, wire: Wire, whole_or_stream: WholeOrStream, logged: list[str]
) -> None:
    """1.10: logs at DEBUG of our and the transport's loggers, when it goes well and when it fails."""
    llm = planted(server, wire, max_retries=1)
    session = BasicSession(llm)
    server.replies(any_wire.text("fine"))
    whole_or_stream.ask(surface, session, "hi")
    for name in ("401 that echoes the key", "closes", "200 with an error", "a stream of bad data"):
        server.replies(REPLIES[name])
        with pytest.raises(Exception):  # noqa: B017, PT011
            whole_or_stream.ask(surface, session, "hi", timeout=5)
    surface.close(llm)

    logging.getLogger("somebody").debug("this is heard")
    assert any(line.startswith("somebody") for line in logged)
    assert_clean("\n".join(logged))


def child(code: str, server: FakeServer, **environment: str) -> str:
    """What a program says, traceback and all, that is run with everything switched on that talks."""
    command = [sys.executable, "-X", "dev", "-W", "always", "-c", textwrap.dedent(code), server.url + "/v1"]
    variables = {**os.environ, "PYTHONASYNCIODEBUG": "1", "HTTPX_LOG_LEVEL": "trace", **environment}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, env=variables)
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("asks", ["llm.generate('hi')", "asyncio.run(ask())"])
def test_a_program_that_fails_says_no_key(asks: str, server: FakeServer) -> None:
    """1.10: stdout/stderr, logging at DEBUG, warnings on, dying of the failure."""
    server.replies(whole(401, {"error": {"message": f"bad key {KEY}", "headers": [KEY]}}))
    said = child(
        f"""
        import asyncio, logging, sys
        logging.basicConfig(level=logging.DEBUG)
        from abstractcore import create_llm
        async def ask():
            return await llm.agenerate("hi")
        llm = create_llm("openai", "m", base_url=None)
        print(llm, repr(llm), vars(llm))
        {asks}
        """,
        server,
        OPENAI_API_KEY=KEY,
        OPENAI_BASE_URL=server.url + "/v1",
    )
    assert "AuthenticationError" in said
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert_clean(said)
