"""A program that has set up OpenTelemetry: what it kept of a test's spans and metrics, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Kept:
    """The spans that have ended and the points of the metrics."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider(metric_readers=[self.reader])

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        """In the order they began."""
        return [span.name for span in sorted(self.spans, key=lambda span: span.start_time or 0)]

    def span(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.spans if span.name == name]
        return found

    def parent(self, span: ReadableSpan) -> str | None:
        """The name of the span that *span* is in."""
        if span.parent is None:
            return None
        return next(each.name for each in self.spans if each.context.span_id == span.parent.span_id)

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        scopes = [scope for one in (data.resource_metrics if data else ()) for scope in one.scope_metrics]
        return [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def tracer(self) -> Any:
        """One of the program's own."""
        return self.tracers.get_tracer("the program")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """OpenTelemetry set up for one test: its own way to do that works once in a process."""
    kept = Kept()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", kept.tracers)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", kept.meters)
    yield kept
    kept.tracers.shutdown()
    kept.meters.shutdown()
