"""The pictures of docs/performance.md, drawn with matplotlib, which the extra `plot` brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rows import WIDTHS

OURS, OTHERS = "#0b6e4f", "#9aa5b1"
BARS = {
    "first_cpu": "First answer of a new process, CPU ms",
    "async_cpu": "Async call, CPU µs",
    "chunk_cpu": "Streamed chunk, CPU µs",
    "cpu_1000": "1,000 calls at once, CPU µs a call",
}


def draw(clients: dict[str, dict[str, Any]], folder: Path) -> dict[str, str]:
    """Draw both pictures into *folder*; tell each one's file and what it shows."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    measured = {name: client for name, client in clients.items() if client.get("medians")}
    _bars(measured, folder / "peers-cost.png")
    _lines(measured, folder / "peers-concurrent.png")
    return {
        "peers-cost.png": "CPU of a first answer, a call, a chunk and a call among a thousand, by client",
        "peers-concurrent.png": "Calls a second and p99 by calls at once, by client",
    }


def _bars(clients: dict[str, dict[str, Any]], file: Path) -> None:
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for place, (key, title) in zip(grid.flat, BARS.items(), strict=True):
        have = [(name, c) for name, c in reversed(clients.items()) if key in c["medians"]]
        values = [c["medians"][key] for _, c in have]
        bars = place.barh(
            [name for name, _ in have], values, color=[OURS if c.get("ours") else OTHERS for _, c in have]
        )
        place.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        place.set_title(title, fontsize=10)
        place.margins(x=0.15)
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _lines(clients: dict[str, dict[str, Any]], file: Path) -> None:
    from matplotlib import pyplot

    figure, places = pyplot.subplots(1, 2, figsize=(11, 5), layout="constrained")
    titles = {"speed": "Calls a second, 50 ms at the server", "p99": "p99, ms"}
    for place, (key, title) in zip(places, titles.items(), strict=True):
        for name, client in clients.items():
            points = [
                (w, client["medians"][f"{key}_{w}"]) for w in WIDTHS if f"{key}_{w}" in client["medians"]
            ]
            if points:
                wide = {"linewidth": 3, "zorder": 3} if client.get("ours") else {"linewidth": 1.2}
                place.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name, **wide)
        place.set(xscale="log", yscale="log", xlabel="calls at once", title=title)
        place.grid(alpha=0.3)
    places[0].legend(fontsize=7)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
