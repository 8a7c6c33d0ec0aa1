"""What looks at a call does not break it: of a tracer or meter that raises there is a line in the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from abstractcore import BasicSession
from tests.fakes.any_wire import call, text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("telemetry is broken")


class Processor(SpanProcessor):
    """Raises where its name says."""

    def __init__(self, where: str) -> None:
        setattr(self, where, broken)


class Provider(TracerProvider):
    """Gives no tracer."""

    get_tracer = broken


class Tracer:
    start_span = broken


class TracerOnly(TracerProvider):
    """Gives a tracer that starts nothing."""

    def get_tracer(self, *_: Any, **__: Any) -> Any:
        return Tracer()


class Histogram:
    record = broken


class Meters:
    """Gives histograms that count nothing."""

    class Meter:
        def create_histogram(self, *_: Any, **__: Any) -> Any:
            return Histogram()

    def get_meter(self, *_: Any, **__: Any) -> Any:
        return self.Meter()


def provider(what: str) -> TracerProvider:
    if what in ("on_start", "on_end"):
        made = TracerProvider()
        made.add_span_processor(Processor(what))
        return made
    return Provider() if what == "get_tracer" else TracerOnly()


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("what", ["on_start", "on_end", "get_tracer", "start_span"])
def test_a_tracer_that_raises_breaks_no_call(
    what: str,
    surface: Surface,
    whole_or_stream: WholeOrStream,
    server: FakeServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider(what))
    caplog.set_level(logging.WARNING, "abstractcore")
    server.replies(call("add", a=1, b=2), text("3"))
    session = BasicSession(server.llm(), tools=[add])

    answer = whole_or_stream.ask(surface, session, "1+2?", run_tools=True)

    assert answer.content == "3"
    assert "OpenTelemetry" in caplog.text


def test_a_meter_that_raises_breaks_no_call(
    surface: Surface, whole_or_stream: WholeOrStream, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opentelemetry.metrics._internal._METER_PROVIDER", Meters())
    server.replies(call("add", a=1, b=2), text("3"))
    session = BasicSession(server.llm(), tools=[add])

    assert whole_or_stream.ask(surface, session, "1+2?", run_tools=True).content == "3"
