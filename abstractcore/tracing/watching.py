"""Whether anybody looks: the one question that a call asks while nobody does."""

from __future__ import annotations

import sys

from abstractcore.tracing.logs import CALLS, DEBUG, TOOLS, WARNING
from abstractcore.tracing.telemetry import is_on


def calls_are_watched() -> bool:
    """Whether spans, metrics or log lines of a call that goes well would be kept."""
    return ("opentelemetry" in sys.modules and is_on()) or CALLS.writes(DEBUG)


def tools_are_watched() -> bool:
    """Whether spans, metrics or log lines of a tool would be kept."""
    return ("opentelemetry" in sys.modules and is_on()) or TOOLS.writes(WARNING)
