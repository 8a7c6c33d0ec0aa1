"""Starts the server and the children, and asks them for rounds in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import counting
from rows import Row, leak

if TYPE_CHECKING:
    from clients import Client

HERE = Path(__file__).parent
CHUNKS = 50
LONGEST = 60
"""Seconds after which a child that says nothing is given up; four times as many under callgrind."""


class ChildError(Exception):
    """A child ended, or answered wrong; its text is the end of what the child said."""


@dataclass
class Measured:
    """One client's figures: a list for each, one number a round."""

    client: Client
    python: str
    version: str
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, str] = field(default_factory=dict[str, str])

    def medians(self) -> dict[str, float]:
        """One number for each figure."""
        return {key: statistics.median(values) for key, values in self.figures.items()}

    def has(self, row: Row) -> bool:
        """Whether its adapter has the form that *row* asks for, and the row is not for others."""
        source = HERE / "adapters" / f"{self.client.adapter}.py"
        return row.needs in source.read_text() and (self.client.light or not row.light)


class Child:
    """One running child program."""

    def __init__(self, measured: Measured, url: str, prefix: tuple[str, ...] = ()) -> None:
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the child
        self.is_ready = False
        command = [*prefix, measured.python, str(HERE / "child.py"), measured.client.adapter, url]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=environment(measured.client),
        )

    def ask(self, row: Row, longest: float = LONGEST) -> dict[str, float]:
        """Have one round of *row*."""
        assert self.process.stdin
        self.await_ready(longest)
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"row": row.command, **row.options}) + "\n")
            self.process.stdin.flush()
        return self._read(longest)

    def await_ready(self, longest: float = LONGEST) -> None:
        """Wait until it has imported its client."""
        if not self.is_ready:
            self._read(longest)
            self.is_ready = True

    def _read(self, longest: float) -> dict[str, float]:
        assert self.process.stdout
        with given_up(self.process, longest):
            line = self.process.stdout.readline()
        if not line:
            self.close()
            self.said.seek(0)
            raise ChildError(self.said.read().strip()[-2000:] or "it ended without a word")
        return json.loads(line)

    def close(self) -> None:
        """Let it end; kill it if it does not."""
        with suppress(BrokenPipeError):
            if self.process.stdin:
                self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def given_up(process: subprocess.Popen[str], longest: float) -> Iterator[None]:
    """Kill *process* when the body takes too long."""
    timer = Timer(longest, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def environment(client: Client) -> dict[str, str]:
    """The variables of a child: no keys or settings of this user, and a home of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    home = Path(tempfile.gettempdir()) / "abstractcore-peers"
    home.mkdir(exist_ok=True)
    return {**kept, "HOME": str(home), **client.variables}


@contextmanager
def server() -> Iterator[str]:
    """The one server of all."""
    command = [sys.executable, str(HERE.parent / "loopback.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


# ---- the parts of a run ----------------------------------------------------------------------------


def starts(all_: list[Measured], url: str, rounds: int, seconds: float) -> None:
    """Import and first answer, each in a new process; a client that took *seconds* has had enough."""
    spent = {id(each): 0.0 for each in all_}
    for _ in range(rounds):
        for each in all_:
            if "starting" in each.failures or spent[id(each)] > seconds:
                continue
            began = time.perf_counter()
            command = [each.python, str(HERE / "fresh.py"), each.client.adapter, url]
            ended = subprocess.run(
                command, capture_output=True, text=True, env=environment(each.client), timeout=LONGEST
            )
            if ended.returncode:
                each.failures["starting"] = ended.stderr.strip()[-2000:]
            else:
                keep(each, json.loads(ended.stdout.splitlines()[-1]))
            spent[id(each)] += time.perf_counter() - began


def interleaved(
    all_: list[Measured], url: str, rows: list[Row], deadline: float, say: Callable[[str], None]
) -> None:
    """Every row: its rounds, and in each the clients one after another; after *deadline* one round."""
    children = {id(each): Child(each, url) for each in all_}
    for child in children.values():
        with suppress(ChildError):  # its first row says so again
            child.await_ready()
    try:
        for row in rows:
            began = time.perf_counter()
            spent = dict.fromkeys(children, 0.0)
            for number in range(row.rounds):
                if number and time.perf_counter() > deadline:
                    break
                for each in all_:
                    if each.has(row) and title(row) not in each.failures and spent[id(each)] < row.seconds:
                        started = time.perf_counter()
                        _round(each, children, row, url)
                        spent[id(each)] += time.perf_counter() - started
            say(f"{title(row)}: {time.perf_counter() - began:.0f} s")
    finally:
        for child in children.values():
            child.close()


def _round(each: Measured, children: dict[int, Child], row: Row, url: str) -> None:
    try:
        keep(each, children[id(each)].ask(row))
    except ChildError as failure:
        each.failures[title(row)] = str(failure)
        children[id(each)] = Child(each, url)
        with suppress(ChildError):
            children[id(each)].await_ready()


def leaks(all_: list[Measured], url: str, quick: bool) -> None:
    """The slope of memory, for which each client has a process of its own."""
    for each in all_:
        row = leak(quick, each.client.light)
        child = Child(each, url)
        try:
            keep(each, child.ask(row))
        except ChildError as failure:
            each.failures[title(row)] = str(failure)
        finally:
            child.close()


def instructions(all_: list[Measured], url: str, calls: int) -> None:
    """Instructions of a call and a chunk; two clients at once, since a count does not mind company."""

    def count(each: Measured) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "spans"
            child = Child(each, url, tuple(counting.command(out)))
            try:
                child.ask(Row("instructions", {"calls": calls}, 1), 4 * LONGEST)
            except ChildError as failure:
                each.failures["instructions"] = str(failure)
                return
            finally:
                child.close()
            spans = [("async", calls), ("chunk", CHUNKS)]
            spans += [("sync", calls)] * each.has(Row("", {}, 1, "blocking"))
            for number, (name, parts) in enumerate(spans, 1):
                keep(each, {f"{name}_instructions": counting.counted(out, number) / parts / 1e3})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, all_))


def keep(each: Measured, figures: dict[str, float]) -> None:
    """Add a round's figures."""
    for key, value in figures.items():
        each.figures[key].append(value)


def title(row: Row) -> str:
    """What a row is called while it runs."""
    return f"{row.command} {row.options.get('width', '')}".strip()
