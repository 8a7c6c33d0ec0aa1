"""A soak of twenty seconds; `make soak` is the one of ten minutes."""

from __future__ import annotations

import sys

import pytest

from tests.crash.soak import check, soak
from tests.fakes.server import FakeServer


@pytest.mark.skipif(sys.platform == "win32", reason="the resource module is POSIX's")
def test_mixed_calls_and_faults_leave_nothing(server: FakeServer) -> None:
    """Memory, files, threads and sockets are flat, and no failure is of another kind than ours."""
    check(soak(server, 20, seed=1))
    assert server.errors == []
