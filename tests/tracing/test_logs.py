"""The lines of the log: who was asked and how it went, and nobody's words."""

from __future__ import annotations

import logging
import random
import subprocess
import sys

import pytest

from abstractcore import BasicSession, RateLimitError
from tests.fakes.any_wire import call, error, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

PROMPT = "a prompt that is nobody's business"
KEY = "sk-live-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


def lines(caplog: pytest.LogCaptureFixture, logger: str = "abstractcore.calls") -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == logger]


def test_a_call_writes_its_request_and_its_answer(
    surface: Surface, server: FakeServer, whole_or_stream: WholeOrStream, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies(text("a secret answer", usage={"input_tokens": 4, "output_tokens": 6}))
    caplog.set_level(logging.DEBUG, "abstractcore")

    whole_or_stream.ask(surface, server.llm(api_key=KEY), PROMPT)

    [request, answer] = lines(caplog)
    assert request == ("DEBUG", "openai-compatible test-model: request 1")
    assert answer[1].startswith("openai-compatible test-model: answered after ")
    assert "tokens in 4, out 6, stop" in answer[1]
    for words in (PROMPT, "secret", KEY):
        assert words not in caplog.text


def test_a_retry_and_a_failure_are_worth_knowing(
    surface: Surface, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies(error(503, message=PROMPT), error(429, message=PROMPT))
    caplog.set_level(logging.INFO, "abstractcore")

    [outcome] = surface.gather(surface.later(server.llm(max_retries=1), PROMPT))

    assert isinstance(outcome, RateLimitError)
    [retry, failure] = lines(caplog)
    assert retry == ("INFO", "openai-compatible test-model: request 2 after ServerError 503")
    assert failure[0] == "INFO"
    assert failure[1].endswith("s: RateLimitError 429")
    assert PROMPT not in caplog.text


def test_a_tool_s_failure_is_a_warning(
    surface: Surface, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The model reads it, and the programmer would not."""

    def weather(city: str) -> str:
        raise KeyError("no such city")

    server.replies(call("weather", city="Oslo"), text("I do not know."))
    caplog.set_level(logging.WARNING, "abstractcore")

    surface.generate(BasicSession(server.llm(), tools=[weather]), PROMPT, run_tools=True)

    assert lines(caplog, "abstractcore.tools") == [("WARNING", "tool weather failed: KeyError")]
    assert [record.exc_info for record in caplog.records] == [None]


def test_at_debug_it_has_its_traceback(
    surface: Surface, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def weather(city: str) -> str:
        raise KeyError("no such city")

    server.replies(call("weather", city="Oslo"), text("I do not know."))
    caplog.set_level(logging.DEBUG, "abstractcore")

    surface.generate(BasicSession(server.llm(), tools=[weather]), PROMPT, run_tools=True)

    [line] = [record for record in caplog.records if record.name == "abstractcore.tools"]
    assert line.exc_text is not None
    assert "no such city" in line.exc_text


_CHILD = """
import logging, sys
from abstractcore import create_llm, Agent, client
from abstractcore.testing import ScriptedLLM, tool_call
assert "abstractcore" not in logging.Logger.manager.loggerDict

def weather(city: str) -> str:
    raise KeyError(city)

llm = create_llm("openai-compatible", "m", base_url="http://127.0.0.1:9/v1")
assert "abstractcore" not in logging.Logger.manager.loggerDict
Agent(client(ScriptedLLM([tool_call("weather", city="Oslo"), "Well."])), tools=[weather]).run("Hi")
handlers = logging.getLogger("abstractcore").handlers
assert [type(each) for each in handlers] == [logging.NullHandler], handlers
"""


def test_a_program_without_logging_set_up_reads_nothing_on_its_stderr() -> None:
    """And neither the import nor a construction touches a logger."""
    ran = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
