"""The figures to hold, and what has become worse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

WORSE = 1.5
_FILE = Path(__file__).parent / "recorded.json"


def recorded() -> dict[str, float]:
    """The figures that were kept."""
    return json.loads(_FILE.read_text()) if _FILE.exists() else {}


def keep(figures: Mapping[str, float]) -> None:
    """Keep *figures* as those to hold."""
    kept = {name: float(f"{value:.4g}") for name, value in figures.items()}
    _FILE.write_text(json.dumps(kept, indent=2) + "\n")


def regressions(found: Mapping[str, float], held: Mapping[str, float]) -> dict[str, str]:
    """What costs 1.5 times what it did, or more."""
    return {
        name: f"{value:.2f} x raw httpx, {value / held[name]:.2f} times the recorded {held[name]:.2f}"
        for name, value in found.items()
        if value >= WORSE * held[name]
    }
