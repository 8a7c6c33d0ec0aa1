"""Without OpenTelemetry set up, nothing of it is imported, called or paid for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from abstractcore.generation import watched
from abstractcore.testing import ScriptedLLM
from abstractcore.tracing import telemetry
from tests.fakes.surfaces import Surface

if TYPE_CHECKING:
    import pytest

_CHILD = """
import sys
from abstractcore import Agent, client
from abstractcore.testing import ScriptedLLM
{before}
Agent(client(ScriptedLLM(["Hello."]))).run("Hi")
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")) == {modules})
print("abstractcore.generation.watched" in sys.modules)
"""


def _printed(before: str, modules: str) -> list[str]:
    code = _CHILD.format(before=before, modules=modules)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.split()


def test_a_program_without_it_gets_none_of_it() -> None:
    assert _printed("", "[]") == ["True", "False"]


def test_a_program_that_has_only_imported_it_gets_no_spans() -> None:
    modules = "sorted(name for name in sys.modules if name.startswith('opentelemetry'))"
    before = f"from opentelemetry import trace, metrics\nmodules = {modules}"

    assert _printed(before, "modules") == ["True", "False"]


def test_a_provider_that_keeps_nothing_costs_no_more(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a span was begun")

    monkeypatch.setattr(watched, "watched", never)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())

    assert not telemetry.is_on()
    assert surface.generate(ScriptedLLM(["Hello."]), "Hi").content == "Hello."


def test_metrics_alone_are_kept_too(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", meters)

    surface.generate(ScriptedLLM(["Hello."]), "Hi")

    data = reader.get_metrics_data()
    assert data is not None
    assert [one.name for one in data.resource_metrics[0].scope_metrics[0].metrics] == [telemetry.CALL_SECONDS]
    meters.shutdown()
