"""Whether the program has set up OpenTelemetry, and what it gives us then.

A program that traces has imported OpenTelemetry and set a provider. So nothing is imported here: what is
not among the loaded modules is off, and so is a provider that the bare API brings, which keeps nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from abstractcore.tracing.logs import CALLS, WARNING

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

P = ParamSpec("P")
SCOPE = "abstractcore"
# Where `opentelemetry-instrument` reads which instrumentations to leave out.
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CAPTURING = ("true", "span_only", "span_and_event")
_BARE = ("opentelemetry.trace", "opentelemetry.metrics")


def harmless(tells: Callable[P, None]) -> Callable[P, None]:
    """Let *tells* raise nothing but write a line: what looks at a call does not break it."""

    @wraps(tells)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tells(*args, **kwargs)
        except Exception as failure:  # noqa: BLE001  # an exporter's or a sampler's, of whatever kind
            _warn(failure)

    return told


def _warn(failure: Exception) -> None:
    CALLS.write(WARNING, "OpenTelemetry failed: %s", type(failure).__name__, failure=failure)


def is_on() -> bool:
    """Whether spans or metrics of ours would be kept."""
    return _tracer_provider() is not None or _meter_provider() is not None


def keeps_content() -> bool:
    """Whether the program has asked for the words of prompts, answers and tool calls in its spans."""
    return os.environ.get(_CAPTURE, "").strip().lower() in _CAPTURING


def tracer() -> Tracer | None:
    """Give what makes our spans; None when nobody keeps them."""
    provider = _tracer_provider()
    return None if provider is None else _of_provider(_tracers, provider, _make_tracer)


def histogram(name: str) -> Histogram | None:
    """Give the metric *name* of `METRICS`; None when nobody keeps it."""
    provider = _meter_provider()
    return None if provider is None else _of_provider(_meters, provider, _make_histograms).get(name)


def _tracer_provider() -> TracerProvider | None:
    return _provider("opentelemetry.trace", "get_tracer_provider")


def _meter_provider() -> MeterProvider | None:
    return _provider("opentelemetry.metrics", "get_meter_provider")


def _provider(module: str, getter: str) -> Any:
    get: Any = getattr(sys.modules.get(module), getter, None)  # another thread may be importing it
    if get is None:
        return None
    try:
        provider = get()
    except Exception as failure:  # noqa: BLE001  # one that the environment names may not load
        _warn(failure)
        return None
    if type(provider).__module__.startswith(_BARE) or _is_disabled():
        return None
    return provider


def _is_disabled() -> bool:
    disabled = os.environ.get(_DISABLED)
    return disabled is not None and SCOPE in [name.strip() for name in disabled.split(",")]


# What was made last, and for which provider: a program has one.
_Made = list[tuple[Any, Any]]
_tracers: _Made = []
_meters: _Made = []


def _of_provider(made: _Made, provider: Any, make: Any) -> Any:
    kept = made[0] if made else None
    if kept is None or kept[0] is not provider:
        kept = (provider, make(provider))
        made[:] = [kept]
    return kept[1]


def _make_tracer(provider: TracerProvider) -> Tracer:
    return provider.get_tracer(SCOPE, _version())


def _make_histograms(provider: MeterProvider) -> dict[str, Histogram]:
    meter = provider.get_meter(SCOPE, _version() or "")
    try:
        return {
            name: meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)
            for name, (unit, description, bounds) in METRICS.items()
        }
    except TypeError:  # OpenTelemetry before 1.30 takes no bounds, and without them the figures mislead
        return {}


def _version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("abstractcore")
    except PackageNotFoundError:  # a copy that nobody has installed
        return None


_CALL_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_AGENT_SECONDS = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6]
_WORKFLOW_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]

TOKENS = "gen_ai.client.token.usage"
CALL_SECONDS = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
NEXT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TOOL_SECONDS = "gen_ai.execute_tool.duration"
AGENT_SECONDS = "gen_ai.invoke_agent.duration"
WORKFLOW_SECONDS = "gen_ai.invoke_workflow.duration"

#: Unit, description and bounds, as the conventions for generative AI have them.
METRICS: dict[str, tuple[str, str, list[float]]] = {
    TOKENS: ("{token}", "Number of input and output tokens used.", [4.0**power for power in range(14)]),
    CALL_SECONDS: ("s", "GenAI operation duration.", _CALL_SECONDS),
    FIRST_CHUNK: ("s", "Time from the request of a stream to its first chunk.", _CALL_SECONDS),
    NEXT_CHUNK: ("s", "Time from one chunk of a stream to the next.", _CALL_SECONDS),
    TOOL_SECONDS: ("s", "Duration of a tool execution.", _CALL_SECONDS),
    AGENT_SECONDS: ("s", "Duration of an agent's run.", _AGENT_SECONDS),
    WORKFLOW_SECONDS: ("s", "Duration of a workflow's run.", [float(each) for each in _WORKFLOW_SECONDS]),
}
