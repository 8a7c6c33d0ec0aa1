"""What a row of the fault matrix is: a fault as a fake plays it, and how a call ends that meets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from abstractcore.errors import AbstractCoreError
from tests.fakes.replies import Reply
from tests.fakes.wires import WIRES, Wire

from .per_wire import Meaningless

Connection = Literal["kept", "closed", "none"]
#: One reply, or several in turn; by wire where each has its own words; None where the scene is the fault.
Play = Reply | tuple[Reply, ...] | Mapping[str, Any] | None


@dataclass(frozen=True)
class Fails:
    """The call ends with this error, after so many attempts; *attempts* 3 is what `max_retries=2` allows."""

    kind: type[AbstractCoreError] | tuple[type[AbstractCoreError], ...]
    attempts: int | tuple[int, ...] = 1
    retryable: bool | None = False
    """None: as many attempts as were made say."""
    connection: Connection | None = "closed"
    """What becomes of the connection; "none": there never was one; None: either."""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What stands on the error; a tuple lists what may stand there."""
    says: tuple[str, ...] = ()
    partial: str | None = None
    """What a stream gave out before it failed."""
    within: float = 5.0
    """The seconds that it may take, with waits between attempts left out."""

    @property
    def kinds(self) -> tuple[type[AbstractCoreError], ...]:
        return self.kind if isinstance(self.kind, tuple) else (self.kind,)


@dataclass(frozen=True)
class Answers:
    """The fault is not seen: the call ends with this text."""

    text: str = "The answer."
    attempts: int = 1
    connection: Connection | None = "kept"
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What stands on the response."""
    waits: tuple[float, float] | None = None
    """The least and the most that each wait between attempts may be; None: our own backoff."""
    within: float = 5.0


Outcome = Fails | Answers


@dataclass(frozen=True)
class Row:
    """One line of the table: faults that end alike, each a case with a name."""

    section: str
    fault: str
    outcome: Outcome | None = None
    cases: Mapping[str, Play] = field(default_factory=dict[str, Play])
    stream: Outcome | None = None
    """How a stream ends, where it is not the same."""
    lines: Outcome | None = None
    """How a stream of JSON lines ends, where that is not the same either."""
    ways: tuple[str, ...] = ("whole", "stream")
    scene: str = "server"
    """Where it plays: a name in `scenes.py`."""
    client: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of `create_llm`."""
    call: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options of `generate`."""
    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Options of `generate` that are the fault itself, by case."""
    hidden: tuple[str, ...] = ()
    """What the failure does not show, beside the key and the prompt."""
    counted: Literal["requests", "connections", "nothing"] = "requests"
    """What the server can count of the attempts."""
    has_session: bool = True
    """Whether it is asked through a session; its copies of megabytes would make tracebacks of gigabytes."""
    elsewhere: tuple[str, ...] = ()
    """Test files that show it, where a cell of the matrix cannot."""
    page: str = ""
    """What the page says of it, if that is more than the outcome."""

    def expected(self, wire: Wire, way: str) -> Outcome:
        """How a call on *wire* ends."""
        outcome = self.outcome
        if way == "stream":
            outcome = self.stream or outcome
            if not wire.has_events:
                outcome = self.lines or outcome
        assert outcome is not None
        return outcome


@dataclass(frozen=True)
class Cell:
    """One play of one row on one wire, asked for in one way."""

    row: Row
    name: str
    wire: Wire
    way: str
    replies: tuple[Reply, ...]

    @property
    def id(self) -> str:
        return f"{self.row.section} {self.row.fault}-{self.name}-{self.wire.name}-{self.way}"

    @property
    def expected(self) -> Outcome:
        return self.row.expected(self.wire, self.way)


def cells(rows: tuple[Row, ...]) -> Iterator[Cell]:
    """Every cell of the matrix: row x case x wire x way; the surfaces come on top."""
    for row in rows:
        for name, play in row.cases.items():
            for wire in WIRES.values():
                said = play.get(wire.name) if isinstance(play, Mapping) else play
                if isinstance(said, Meaningless):
                    continue
                replies = said if isinstance(said, tuple) else () if said is None else (said,)
                yield from (Cell(row, name, wire, way, replies) for way in row.ways)
