"""What is measured, how often, and which figures come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

WIDTHS = (1, 100, 300, 1000)


@dataclass(frozen=True)
class Row:
    """One command to a child. *needs* is what an adapter must have for it."""

    command: str
    options: dict[str, Any]
    rounds: int
    needs: str = "awaited"
    seconds: float = 10.0
    """A client that has had so much of this row leaves its further rounds out."""
    light: bool = False
    """Only for the clients that are."""


def rows(quick: bool) -> list[Row]:
    """The rows of interleaved rounds."""
    rounds, calls, streams, few, seconds = (2, 60, 4, 1, 2.0) if quick else (5, 150, 6, 3, 6.0)
    waves = [
        Row(
            "concurrent",
            {"width": width, "seconds": 0.3 if quick else 0.8},
            few,
            seconds=seconds,
            light=quick and width == WIDTHS[-1],
        )
        for width in (WIDTHS[1::2] if quick else WIDTHS)
    ]
    return [
        Row("async_call", {"calls": calls}, rounds, seconds=seconds),
        Row("sync_call", {"calls": calls}, rounds, "blocking", seconds),
        Row("chunk", {"streams": streams}, rounds, seconds=seconds),
        *waves,
        Row("paced", {"width": 100}, few, seconds=seconds),
        Row("threads", {"width": 32, "calls": 10 if quick else 20}, few, "blocking", seconds),
    ]


def leak(quick: bool, light: bool) -> Row:
    """A process of its own, once. Only a light client makes all the calls."""
    calls, seconds = (4_000, 1.0) if quick else (20_000, 12.0 if light else 3.0)
    return Row("leak", {"calls": calls, "seconds": seconds}, 1)


@dataclass(frozen=True)
class Figure:
    """One column: which way is better, and how it is shown."""

    key: str
    title: str
    better: Literal["lower", "higher"] = "lower"
    decimals: int = 0


STARTING = (
    Figure("import_cpu", "import, CPU ms"),
    Figure("import_rss", "import, RSS MB", decimals=1),
    Figure("first_cpu", "first answer, CPU ms"),
    Figure("first_rss", "first answer, RSS MB", decimals=1),
    Figure("leak", "memory, bytes a call", decimals=1),
    Figure("leak_calls", "over calls", "higher"),
)
CALLING = (
    Figure("async_cpu", "async call, CPU µs"),
    Figure("async_instructions", "async call, thousand instructions"),
    Figure("sync_cpu", "sync call, CPU µs"),
    Figure("sync_instructions", "sync call, thousand instructions"),
    Figure("chunk_cpu", "streamed chunk, CPU µs"),
    Figure("chunk_instructions", "streamed chunk, thousand instructions"),
    Figure("paced_cpu", "100 streams: CPU µs a chunk"),
    Figure("keep_up", "100 streams: keep-up", "higher", 2),
    Figure("threads_speed", "32 threads, calls/s", "higher"),
)


def crowd(width: int) -> tuple[Figure, ...]:
    """The figures of so many calls at once."""
    return (
        Figure(f"cpu_{width}", f"{width:,} at once: CPU µs a call"),
        Figure(f"speed_{width}", "calls/s", "higher"),
        Figure(f"p50_{width}", "p50 ms"),
        Figure(f"p99_{width}", "p99 ms"),
        Figure(f"lag_{width}", "loop lag ms"),
    )


TABLES: dict[str, tuple[Figure, ...]] = {
    "Starting, and what stays": STARTING,
    "One call, one chunk, streams and threads": CALLING,
    **{f"{width:,} at once, a server that takes 50 ms": crowd(width) for width in WIDTHS},
}


@dataclass(frozen=True)
class Target:
    """What abstractcore is to reach: by a number, or as a multiple of raw httpx in the same run."""

    figure: str
    what: str
    target: float
    must: float
    multiple: bool = True
    better: Literal["lower", "higher"] = "lower"

    def met(self, value: float) -> bool:
        """Whether what must be reached is reached."""
        return value <= self.must if self.better == "lower" else value >= self.must


TARGETS = (
    Target("async_instructions", "instructions per async call", 0.30, 0.6),
    Target("chunk_instructions", "instructions per streamed chunk", 0.7, 1.0),
    Target("async_cpu", "CPU per async call", 0.35, 0.7),
    Target("sync_cpu", "CPU per sync call", 0.45, 0.8),
    Target("cpu_1000", "1,000 at once: CPU µs a call", 200, 400, multiple=False),
    Target("speed_1000", "1,000 at once: calls/s", 4500, 2500, multiple=False, better="higher"),
    Target("p99_1000", "1,000 at once: p99 ms", 220, 400, multiple=False),
    Target("lag_1000", "1,000 at once: loop lag ms", 150, 250, multiple=False),
    Target("threads_speed", "32 threads, calls/s", 4, 2, better="higher"),
    Target("paced_cpu", "100 streams: CPU µs a chunk", 90, 120, multiple=False),
    Target("keep_up", "100 streams: keep-up at 5,000 chunks/s", 0.97, 0.95, multiple=False, better="higher"),
    Target("first_cpu", "first answer, CPU", 0.6, 1.0),
    Target("first_rss", "first answer, RSS MB", 10, 15, multiple=False),
    Target("leak", "memory, bytes a call", 5, 20, multiple=False),
)
