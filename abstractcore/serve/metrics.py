"""What a gateway counts, in the words of Prometheus: requests, errors, tokens, times.

Labels come out of small sets: dialects, served names and classes of errors, never what a client wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from abstractcore.types import Usage

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600)
_ASKED = ("dialect", "model")


class Metrics:
    """The counts of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "abstractcore_requests",
            "Requests that were answered, by HTTP status; 499: the client left.",
            (*_ASKED, "status"),
            registry=registry,
        )
        self.errors = Counter(
            "abstractcore_errors", "Requests that failed, by error.", (*_ASKED, "error"), registry=registry
        )
        self.in_flight = Gauge("abstractcore_requests_in_flight", "Requests under way.", registry=registry)
        self.tokens = Counter(
            "abstractcore_tokens",
            "Tokens, where the model told them.",
            ("model", "kind"),
            registry=registry,
        )
        self.first_chunk = Histogram(
            "abstractcore_time_to_first_token_seconds",
            "From a streamed request to its first text or call.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.seconds = Histogram(
            "abstractcore_request_seconds",
            "From a request to the end of its answer.",
            _ASKED,
            buckets=_SECONDS,
            registry=registry,
        )

    def count_tokens(self, model: str, usage: Usage) -> None:
        """Add the tokens of an answer."""
        counts = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cached_tokens,
            "reasoning": usage.reasoning_tokens,
        }
        for kind, count in counts.items():
            if count:
                self.tokens.labels(model, kind).inc(count)

    def page(self) -> bytes:
        """Write what has been counted."""
        return generate_latest(self._registry)
