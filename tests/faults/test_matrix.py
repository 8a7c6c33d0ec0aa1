"""The fault matrix, played: each row x wire x surface x whole or stream ends as the table says it does.

Every cell is asked through a session by a client with a planted key, and looks at all of: the outcome, the
error's class and fields, the attempts and the waits between them, the connection at the server, the history,
and the key and the prompt in every place where they must not stand.
"""

from __future__ import annotations

import copy
import logging
import os
import pickle
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore import BasicSession
from abstractcore.errors import AbstractCoreError
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

from .matrix import BEGIN, END, PAGE, ROWS, tables
from .planted import assert_clean, chain, planted
from .scenes import SCENES, Hands, Stage
from .table import Answers, Cell, Fails, cells

PROMPT = "Is this my planted prompt?"
EARLIER = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "as it was"}]
BACKOFFS = (0.5, 1.0)
ALL = list(cells(ROWS))


@pytest.fixture
def hands(make_server: Callable[..., FakeServer], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Hands:
    return Hands(make_server, monkeypatch, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sessions are saved."""
    return tmp_path_factory.mktemp("matrix")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in a saved session is looked at, and not how it comes to the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("cell", ALL, ids=[cell.id for cell in ALL])
def test_a_fault_ends_as_the_table_says(
    cell: Cell,
    surface: Surface,
    hands: Hands,
    waits: list[float],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """1.1-1.5, 1.7: every row; a warning of any kind is an error in this suite."""
    caplog.set_level(logging.DEBUG)
    expected = cell.expected
    with SCENES[cell.row.scene](hands) as stage:
        stage.server.replies(*cell.replies)
        llm = planted(stage.server, cell.wire, **stage.options, **cell.row.client)
        session = BasicSession(llm)
        session.messages[:] = copy.deepcopy(EARLIER)
        begun = time.monotonic()

        outcome, given = met(surface, cell, session if cell.row.has_session else llm)

        assert time.monotonic() - begun < expected.within
        attempts = ended_as_expected(cell, llm, outcome, given)
        assert_attempts(cell, stage, attempts, waits)
        assert_connection(cell, stage.server, surface)
        assert caplog.records or not stage.server.requests  # the transport has something to say
    assert_history(cell, session, outcome)
    said = [caplog.text, repr([record.args for record in caplog.records]), *capfd.readouterr()]
    if surface.name == "sync":  # both surfaces save the same session by the same method
        session.save(hands.folder / "session.json")
        said.append((hands.folder / "session.json").read_text())
    assert_nowhere(outcome, [*said, repr(session), repr(llm)])
    if isinstance(outcome, AbstractCoreError):
        assert_not_told(cell, [*said, everything_of(outcome)])


def met(surface: Surface, cell: Cell, asked: Any) -> tuple[Any, str]:
    """Ask: the answer or the failure, and the text that a stream gave out before it."""
    options = {"prompt": PROMPT, **cell.row.call, **cell.row.calls.get(cell.name, {})}
    given = ""
    try:
        if cell.way == "whole":
            return surface.generate(asked, **options), given
        with surface.open_stream(asked, **options) as stream:
            while (chunk := stream.next()) is not None:
                given += chunk.content
            return stream.response, given
    except AbstractCoreError as failure:
        return failure, given


def ended_as_expected(cell: Cell, llm: Any, outcome: Any, given: str) -> int:
    """Compare the outcome with the table; the attempts that it counts."""
    expected = cell.expected
    if isinstance(expected, Answers):
        assert not isinstance(outcome, AbstractCoreError), repr(outcome)
        assert outcome.content == expected.text
        assert cell.way == "whole" or given == expected.text
        assert {name: getattr(outcome, name) for name in expected.fields} == expected.fields
        return expected.attempts
    assert type(outcome) in expected.kinds, repr(outcome)
    assert_failed(expected, outcome, given)
    if cell.row.calls:
        assert cell.name.partition("=")[0] in str(outcome)
    else:
        assert (outcome.provider, outcome.model) == (llm.provider, llm.model)
    return outcome.attempts


def assert_failed(expected: Fails, failure: Any, given: str) -> None:
    several = expected.attempts if isinstance(expected.attempts, tuple) else (expected.attempts,)
    assert failure.attempts in several
    assert failure.retryable is (failure.attempts > 1 if expected.retryable is None else expected.retryable)
    for name, value in expected.fields.items():
        assert getattr(failure, name) in (value if isinstance(value, tuple) else (value,)), name
    told = str(failure)
    assert [words for words in expected.says if words not in told] == [], told
    assert not any(word in told.lower() for word in ("disable", "insecure", "verify=", "<", "hidden"))
    assert len(told) <= 1_000
    assert len(str(getattr(failure, "body", ""))) <= 64 * 1024
    assert "hidden" not in repr(vars(failure))
    told.encode()
    assert given.startswith(expected.partial or "")
    assert given == (expected.partial or "") or failure.partial.content == given
    assert expected.partial is None or failure.partial.content == given


def assert_attempts(cell: Cell, stage: Stage, attempts: int, waits: list[float]) -> None:
    """As many as the server has seen, and between them the waits that were promised."""
    seen = {
        "requests": lambda: len(stage.server.requests),
        "connections": lambda: stage.server.connections,
        "nothing": stage.attempts or (lambda: attempts),
    }[cell.row.counted]
    assert seen() == attempts
    assert len(waits) == max(0, attempts - 1)
    asked = cell.expected.waits if isinstance(cell.expected, Answers) else None
    for wait, most in zip(waits, BACKOFFS, strict=False):
        least, longest = asked or (0.0, most)
        assert least <= wait <= longest


def assert_connection(cell: Cell, server: FakeServer, surface: Surface) -> None:
    match cell.expected.connection:
        case "kept":
            assert (server.connections, server.open_sockets) == (1, 1)
        case "closed":
            surface.wait_for(server, lambda s: s.open_sockets == 0)
        case "none":
            assert server.connections == 0
        case None:
            surface.wait_for(server, lambda s: s.open_sockets <= 1)


def assert_history(cell: Cell, session: BasicSession, outcome: Any) -> None:
    """A turn is there whole, or not at all."""
    assert session.messages[:2] == EARLIER
    if isinstance(cell.expected, Answers) and cell.row.has_session:
        assert [message["content"] for message in session.messages[2:]] == [PROMPT, outcome.content]
    else:
        assert session.messages[2:] == []


def assert_nowhere(outcome: Any, said: list[str]) -> None:
    """The key stands in nothing that was said, and in nothing that is left."""
    assert_clean("\n".join(said))
    if not isinstance(outcome, AbstractCoreError):
        assert_clean(f"{outcome!r} {pickle.dumps(outcome)!r}")
        return
    assert_clean("".join(traceback.TracebackException.from_exception(outcome, capture_locals=True).format()))


def assert_not_told(cell: Cell, said: list[str]) -> None:
    """Nor does the prompt, but in the frames of those who passed it on."""
    told = "\n".join(said)
    assert_clean(told)
    assert [words for words in (PROMPT, *cell.row.hidden) if words in told] == []


def everything_of(failure: AbstractCoreError) -> str:
    """All that the failure says, and all that led to it."""
    again = pickle.loads(pickle.dumps(failure))
    assert (type(again), str(again)) == (type(failure), str(failure))
    told = (f"{each!r} {each!s} {each.args!r} {vars(each)!r}" for each in chain(failure))
    return "\n".join([*told, repr(pickle.dumps(failure))])


# ---- the table itself --------------------------------------------------------------------------


def test_every_row_is_played_or_shown_elsewhere() -> None:
    """A row without cases names the files that show it, and they are there."""
    root = Path(__file__).parents[2]
    for row in ROWS:
        assert bool(row.cases) != bool(row.elsewhere), row.fault
        assert row.outcome is not None or row.page, row.fault
        assert [file for file in row.elsewhere if not (root / file).is_file()] == []
    assert len({cell.id for cell in ALL}) == len(ALL)


def test_the_page_has_the_table_as_it_is() -> None:
    """`python -m tests.faults.matrix` writes it."""
    page = PAGE.read_text(encoding="utf-8")

    assert page.partition(BEGIN)[2].partition(END)[0].strip() == tables().strip()
