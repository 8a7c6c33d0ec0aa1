"""The figures as text: tables in Markdown, what is missed, and the section of docs/performance.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clients import BASE, OURS
from rows import TABLES, TARGETS, Figure

BEGIN = "<!-- peers: written by `python benchmarks/peers`, down to the next such line -->"
END = "<!-- peers: end -->"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
HOW = """\
`python benchmarks/peers` runs every client in an environment of its own against one server on loopback:
interleaved rounds, medians, the best of a column in bold. CPU is the client process' alone. A client is as
its makers ship it, except as its file in `benchmarks/peers/adapters` says; every answer is compared with what
the server sent. RSS is what a new process grows by. A streamed chunk has its share of the call; keep-up is
the time that the server takes by the time that passed, for a chunk each 20 ms. Instructions are counted by
callgrind."""
Clients = dict[str, dict[str, Any]]
"""By name: version, medians, failures, or the reason why it is not installed."""


def machine() -> str:
    """Where this runs."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{_processor()}, {os.cpu_count()} CPUs, {system}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def tables(clients: Clients) -> Iterator[str]:
    """A table for each group of figures, a line for each client."""
    for title, figures in TABLES.items():
        shown = [figure for figure in figures if any(figure.key in _medians(c) for c in clients.values())]
        if not shown:
            continue
        yield f"### {title}\n"
        yield "| | " + " | ".join(figure.title for figure in shown) + " |"
        yield "|---|" + "---|" * len(shown)
        best = {figure.key: _best(figure, clients) for figure in shown}
        for name, client in clients.items():
            if "missing" not in client:
                cells = (_cell(figure, client, best[figure.key]) for figure in shown)
                yield f"| {name} | " + " | ".join(cells) + " |"
        yield ""


def _medians(client: dict[str, Any]) -> dict[str, float]:
    return client.get("medians", {})


def _best(figure: Figure, clients: Clients) -> float | None:
    values = [_medians(c)[figure.key] for c in clients.values() if figure.key in _medians(c)]
    if figure.key == "leak_calls" or not values:
        return None
    return min(values) if figure.better == "lower" else max(values)


def _cell(figure: Figure, client: dict[str, Any], best: float | None) -> str:
    value = _medians(client).get(figure.key)
    if value is None:
        return "–"
    text = f"{value:,.{figure.decimals}f}"
    return f"**{text}**" if value == best else text


def targets(clients: Clients) -> Iterator[str]:
    """abstractcore beside what it is to reach."""
    ours, base = _medians(clients[OURS]), _medians(clients.get(BASE, {}))
    yield f"| {OURS} | measured | target | must reach | |"
    yield "|---|---|---|---|---|"
    for each in TARGETS:
        value = ours.get(each.figure)
        unit = " × httpx" if each.multiple else ""
        if value is not None and each.multiple:
            value = value / base[each.figure] if base.get(each.figure) else None
        verdict = "not measured" if value is None else "met" if each.met(value) else "**missed**"
        decimals = 2 if each.multiple or each.must < 2 else 0
        shown = "–" if value is None else f"{value:,.{decimals}f}{unit}"
        yield f"| {each.what} | {shown} | {each.target:,g}{unit} | {each.must:,g}{unit} | {verdict} |"


def behind(clients: Clients) -> Iterator[str]:
    """Each figure where a peer does better than abstractcore on the same wire."""
    ours = _medians(clients[OURS])
    for title, figures in TABLES.items():
        for figure in figures:
            better = {
                name: value
                for name, client in clients.items()
                if not client.get("ours")
                and (value := _medians(client).get(figure.key)) is not None
                and figure.key in ours
                and figure.key != "leak_calls"
                and (value < ours[figure.key] if figure.better == "lower" else value > ours[figure.key])
            }
            if better:
                said = ", ".join(f"{name} {value:,.{figure.decimals}f}" for name, value in better.items())
                told = f"{ours[figure.key]:,.{figure.decimals}f}"
                yield f"- {title} – {figure.title}: {told}; better: {said}"


def absent(clients: Clients) -> Iterator[str]:
    """Who is not in the tables, or in some of them, and why."""
    for name, client in clients.items():
        if "missing" in client:
            yield f"- {name} is not installed: {client['missing']}"
        for what, reason in client.get("failures", {}).items():
            yield f"- {name} fails at {what}: `{reason.splitlines()[-1][:160]}`"


def section(result: dict[str, Any]) -> str:
    """The whole of what is written between the markers."""
    clients: Clients = result["clients"]
    versions = ", ".join(f"{name} {c['version']}" for name, c in clients.items() if "version" in c)
    taken = f"{result['taken']}; a load of {result['load']} when it began"
    parts = [
        HOW,
        f"{result['machine']}; {taken}. {versions}.",
        *([f"Instructions are not counted: {result['uncounted']}."] if result.get("uncounted") else []),
        "\n".join(targets(clients)),
        "\n".join(tables(clients)).rstrip(),
    ]
    if missing := "\n".join(absent(clients)):
        parts.append(f"### Not measured\n\n{missing}")
    if lost := "\n".join(behind(clients)):
        parts.append(f"### Where a peer is ahead\n\n{lost}")
    pictures = "\n\n".join(f"![{text}]({path})" for path, text in result.get("plots", {}).items())
    return "\n\n".join([*parts, *([pictures] if pictures else [])])


def write(result: dict[str, Any]) -> None:
    """Put the section into the page, between its markers, or at its end under a heading of its own."""
    page = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    if BEGIN not in page:
        page = f"{page.rstrip()}\n\n## Beside others\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{section(result)}\n\n{END}{rest.partition(END)[2]}")
