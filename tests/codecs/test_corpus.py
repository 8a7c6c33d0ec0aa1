"""The corpus of tool calls has the cases that its table names."""

from __future__ import annotations

import re
from pathlib import Path

from tests.codecs.recorded import expected
from tests.docs.pages import rows

FOLDER = Path(__file__).parent
WIRES = ("openai_chat", "openai_responses", "anthropic_messages", "ollama_chat")
STREAMS = {
    f"{path.parent.name}/{path.stem}": path
    for path in sorted(FOLDER.glob("*/*"))
    if path.suffix in (".sse", ".ndjson")
}


def test_every_case_of_the_table_is_a_stream_and_every_oddity_has_one() -> None:
    table = rows(FOLDER / "README.md", "oddity")
    by_oddity = {
        oddity: [f"{wire}/{case}" for wire, cell in zip(WIRES, cells, strict=True) for case in _names(cell)]
        for oddity, *cells in table
    }

    assert [case for cases in by_oddity.values() for case in cases if case not in STREAMS] == []
    assert [oddity for oddity, cases in by_oddity.items() if not cases] == []


def test_forty_streams_and_more_hold_tool_calls() -> None:
    """Also those whose call is cut off, which come to nothing but an error."""
    holding = [name for name, path in STREAMS.items() if expected(path).get("tool_calls")]

    assert len(holding) >= 40
    assert {name.partition("/")[0] for name in holding} == {*WIRES}


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
