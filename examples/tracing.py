"""Trace an agent with OpenTelemetry: the tree of its spans, and what its calls came to.

pip install opentelemetry-sdk
python examples/tracing.py openai:gpt-5-mini "What is the weather in Oslo?"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from abstractcore import Agent, client

# A program in earnest has an OTLPSpanExporter in a BatchSpanProcessor, and a PeriodicExportingMetricReader.
exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()


def set_up() -> None:
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    with trace.get_tracer("example").start_as_current_span("look the weather up"):
        return f"Sun in {city}."


def show(spans: Sequence[ReadableSpan], parent: int | None = None, depth: int = 0) -> None:
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if (span.parent.span_id if span.parent else None) == parent and span.context is not None:
            milliseconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
            print(f"{'  ' * depth}{span.name} ({milliseconds:.0f} ms)")
            show(spans, span.context.span_id, depth + 1)


def main(model: str, task: str) -> None:
    set_up()
    with client(model) as talk:
        print(Agent(talk, tools=[get_weather], name="weather").run(task))
    show(exporter.get_finished_spans())
    data = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
        print(f"{metric.name}: {sum(point.count for point in metric.data.data_points)} times")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
