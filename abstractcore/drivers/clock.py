"""The clock of one connection: how long its next wait may be, and what it has seen of its peer.

Knows instants, and how an HTTP answer begins. Knows no socket.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abstractcore.drivers.base import Deadline
    from abstractcore.errors import TransportPhase

_HEAD_BYTES = 256 * 1024
_HTTP = b"HTTP/"
_STATUS_BYTES = len(b"HTTP/1.1 200")
# uvloop's timers count whole milliseconds, and may end a wait a little before its deadline.
_EARLY = 0.002


class Clock:
    """How long the next wait of a connection may be, and what it has seen of its peer."""

    __slots__ = (
        "_head_bytes",
        "connect_timeout",
        "deadline",
        "head",
        "heard",
        "heard_at",
        "peer_closed",
        "silence",
        "stage",
        "tunnels",
    )

    def __init__(self, connect_timeout: float, *, tunnels: bool = False) -> None:
        self.connect_timeout = connect_timeout
        self.tunnels = tunnels
        """Whether a proxy is asked for the way before TLS begins; that is a part of connecting."""
        self.deadline: Deadline | None = None
        self.start(None)

    def start(self, deadline: Deadline | None) -> None:
        """Begin a request: until its headers are in, only *deadline* counts."""
        self.deadline = deadline
        self.silence: float | None = None
        self.heard = False
        self.heard_at = time.monotonic()
        self.peer_closed = False
        self.expect_head()

    def expect_head(self) -> None:
        """Wait for the head of an answer from here."""
        self.stage: TransportPhase = "headers"
        self.head = b""
        """How the answer begins, as far as its status."""
        self._head_bytes = 0

    def connected(self) -> None:
        """Note that the socket is there: what is read next is an answer, or a proxy's."""
        self.expect_head()
        if self.tunnels:
            self.stage = "connect"

    def problem_of_head(self, data: bytes) -> str | None:
        """Tell what is wrong with a head that goes on with *data*: no HTTP, or no end.

        An SSH or SMTP server greets and waits: nobody else would notice before the deadline.
        """
        if self.silence is not None:
            return None
        if len(self.head) < _STATUS_BYTES:
            self.head = (self.head + data)[:_STATUS_BYTES]
        self._head_bytes += len(data)
        if not (self.head.startswith(_HTTP) or _HTTP.startswith(self.head)):
            return "not HTTP"
        return "endless headers" if self._head_bytes > _HEAD_BYTES else None

    def hear(self) -> None:
        """Note that bytes have come."""
        self.heard = True
        self.heard_at = time.monotonic()

    def left(self) -> float:
        """Tell the seconds until the deadline."""
        return 1e9 if self.deadline is None else self.deadline.left()

    def connecting(self, stage: TransportPhase) -> float:
        """Tell the seconds that connecting may take from here."""
        self.stage = stage
        return max(0.0, min(self.connect_timeout, self.left()))

    def patience(self) -> float:
        """Tell the seconds that the next read may take."""
        if self.stage == "connect":
            return self.connecting("connect")
        left = self.left()
        return max(0.0, left if self.silence is None else min(left, self.silence))

    def dripped(self) -> bool:
        """Whether the deadline passed while bytes kept coming, and not in a long silence."""
        if self.deadline is None or self.deadline.left() > _EARLY:
            return False
        return self.heard and time.monotonic() - self.heard_at < self.deadline.seconds / 2
