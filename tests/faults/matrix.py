"""The fault matrix: every row of FAULTS 1.1-1.5 and 1.7.

`test_matrix.py` plays each row on each wire, on both surfaces, whole and streamed;
`python -m tests.faults.matrix` writes the tables of docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from . import rows_body, rows_input, rows_network, rows_status, rows_stream
from .table import Answers, Fails, Outcome, Row

ROWS: tuple[Row, ...] = (
    *rows_network.ROWS,
    *rows_status.ROWS,
    *rows_body.ROWS,
    *rows_stream.ROWS,
    *rows_input.ROWS,
)
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- The tables: python -m tests.faults.matrix -->\n", "<!-- The tables end. -->\n"
SECTIONS = {
    "1.1": "The network",
    "1.2": "The server answers with a failure",
    "1.3": "It answers with 200, but the body is wrong",
    "1.4": "A stream is written oddly",
    "1.5": "A stream goes wrong",
    "1.7": "What you pass",
}
CONNECTIONS = {"kept": "kept", "closed": "closed", "none": "none yet", None: "kept where its body was read"}


def tables() -> str:
    """The page's tables, one a section."""
    return "\n".join(line for name in SECTIONS for line in _table(name)) + "\n"


def _table(section: str) -> Iterator[str]:
    yield f"\n## {SECTIONS[section]}\n"
    yield "| what happens | what you get | asked again | the connection |"
    yield "|---|---|---|---|"
    for row in ROWS:
        if row.section == section:
            yield f"| {row.fault} | {_told(row)} | {_asked_again(row)} | {_connection(row)} |"


def _told(row: Row) -> str:
    if row.page or row.outcome is None:
        return row.page
    told = _words(row.outcome)
    for other, where in ((row.stream, "as a stream"), (row.lines, "as a stream of lines")):
        if other is not None and _words(other) != told:
            told += f"; {where} {_words(other)}"
    return told


def _words(outcome: Outcome) -> str:
    if isinstance(outcome, Answers):
        return "the answer"
    told = " or ".join(f"`{kind.__name__}`" for kind in outcome.kinds)
    phase = outcome.fields.get("phase")
    if phase:
        told += f" (phase {' or '.join(f'`{name}`' for name in _several(phase))})"
    return told + (", with the text so far in `partial`" if outcome.partial else "")


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,)


def _asked_again(row: Row) -> str:
    if row.outcome is None:
        return ""
    outcomes = [outcome for outcome in (row.outcome, row.stream, row.lines) if outcome is not None]
    answers = list(dict.fromkeys(map(_retried, outcomes)))
    return answers[0] if len(answers) == 1 else "no; an incomplete stream, yes"


def _retried(outcome: Outcome) -> str:
    if isinstance(outcome, Fails) and outcome.retryable is None:
        return "an incomplete stream, yes"
    if isinstance(outcome, Fails) and outcome.retryable and outcome.attempts == 1:
        return "no; later perhaps"
    return "yes" if outcome.attempts != 1 and outcome.attempts != 0 else "no"


def _connection(row: Row) -> str:
    return "" if row.outcome is None else CONNECTIONS[row.outcome.connection]


def write(page: Path = PAGE) -> None:
    """Put the tables in their place on the page."""
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    page.write_text(head + BEGIN + tables() + "\n" + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    write()
