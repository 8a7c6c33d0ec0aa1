"""abstractcore beside other clients, in one run: `python benchmarks/peers [--quick] [--only NAME ...]`.

Each peer runs in an environment of its own, which is made under .venv/peers where it is missing. The whole
run takes about ten minutes once they are there, writes peers.json and two pictures into docs/plots, and the
section "Beside others" of docs/performance.md. `--quick` takes some two, has fewer rounds, and only prints.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import counting
import environments
import report
import running
from clients import BASE, CLIENTS, OURS, Client
from rows import rows
from running import Measured

DOCS = Path(__file__).parents[2] / "docs"
PLOTS = DOCS / "plots"
LAST = environments.CACHE / "peers.json"
"""Of the last run, also of a quick one."""


def installed(clients: list[Client]) -> tuple[list[Measured], dict[str, str]]:
    """Those that can be measured here, and of the others why not."""
    ready: list[Measured] = []
    missing: dict[str, str] = {}
    for client in clients:
        try:
            python = environments.python_of(client)
        except environments.NotInstallableError as reason:
            missing[client.name] = str(reason)
        else:
            ready.append(Measured(client, python, environments.version_of(client, python)))
    return ready, missing


def measure(all_: list[Measured], quick: bool) -> None:
    """Take every figure; it says how long each part took."""
    began = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - began:4.0f} s  {text}", file=sys.stderr, flush=True)

    with running.server() as url:
        running.starts(all_, url, *((2, 2.0) if quick else (5, 6.0)))
        say("import and first answer")
        running.interleaved(all_, url, rows(quick), began + (90 if quick else 300), say)
        running.leaks(all_, url, quick)
        say("leak")
        if not counting.missing():
            chosen = [each for each in all_ if not quick or each.client.name in (OURS, BASE)]
            running.instructions(chosen, url, 10)
            say("instructions")


def result_of(all_: list[Measured], missing: dict[str, str], load: float) -> dict[str, Any]:
    """Everything that is kept of a run."""
    clients: dict[str, Any] = {}
    for each in all_:
        clients[each.client.name] = {
            "version": each.version,
            "ours": each.client.ours,
            "medians": each.medians(),
            "failures": each.failures,
            "rounds": each.figures,
        }
    clients.update({name: {"missing": reason} for name, reason in missing.items()})
    return {
        "machine": report.machine(),
        "taken": datetime.date.today().isoformat(),
        "load": f"{load:.1f}",
        "uncounted": counting.missing(),
        "clients": clients,
    }


def keep(result: dict[str, Any]) -> None:
    """Write the JSON, the pictures and the section of the page."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    try:
        from plots import draw

        drawn = draw(result["clients"], PLOTS)
        result["plots"] = {f"{PLOTS.name}/{file}": text for file, text in drawn.items()}
    except ModuleNotFoundError as absent:
        print(f"No pictures: {absent}. pip install 'abstractcore[plot]'", file=sys.stderr)
    (PLOTS / LAST.name).write_text(text_of(result))
    report.write(result)
    print(f"Written: {report.PAGE}, {PLOTS}")


def text_of(result: dict[str, Any]) -> str:
    """As JSON."""
    return json.dumps(result, indent=1, ensure_ascii=False) + "\n"


def many_files() -> None:
    """1,000 connections are more than some systems let a process open."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and only printed")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these clients, beside ours and httpx")
    parser.add_argument("--write", action="store_true", help="write the page after a quick run too")
    parser.add_argument("--render", action="store_true", help="write the page from the last run's figures")
    asked = parser.parse_args()
    if asked.render:
        keep(json.loads(LAST.read_text()))
        return 0
    many_files()
    chosen = [c for c in CLIENTS if not asked.only or c.name in (OURS, BASE, *asked.only)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    all_, missing = installed(chosen)
    measure(all_, asked.quick)
    result = result_of(all_, missing, load)
    LAST.parent.mkdir(parents=True, exist_ok=True)
    LAST.write_text(text_of(result))
    print(report.section(result))
    if asked.write or not (asked.quick or asked.only):
        keep(result)
    return (
        1
        if any(each.failures for each in all_) or "missed" in "".join(report.targets(result["clients"]))
        else 0
    )


if __name__ == "__main__":
    raise SystemExit(main())
