"""`python -m tests.overhead` prints what things cost beside raw httpx; `--record` keeps the figures."""

from __future__ import annotations

import argparse
import asyncio

from tests.overhead.guarding import keep, recorded
from tests.overhead.measuring import figures

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    found = asyncio.run(figures())
    before = recorded()
    for name, value in found.items():
        print(f"{name:<20} {value:.4g} x raw httpx, recorded {before.get(name, float('nan')):.4g}")
    if parser.parse_args().record:
        keep(found)
