"""`ray_map` on a real local Ray and `dask_map` on a real local Dask cluster, each in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.conftest import Run
from tests.distributed.programs import MESSAGES, PROMPTS
from tests.docs.conftest import no_engine
from tests.fakes.server import FakeServer

pytestmark = pytest.mark.timeout(180)


def check_rows(rows: list[dict[str, Any]], server: FakeServer) -> None:
    """All are answered in their order, the failed ones apart, by workers with the key of their own."""
    assert [row["prompt"] for row in rows] == PROMPTS
    failed = {row["prompt"]: row["error_type"] for row in rows if row["error"] is not None}
    assert failed == {"refuse me": "BadRequestError"}
    (refused,) = [row for row in rows if row["error"] is not None]
    assert "not that one" in refused["error"]
    assert (refused["response"], refused["output_tokens"]) == (None, None)
    for row in rows:
        if row is not refused:
            late = row["prompt"] == "answer me late"
            assert row["response"] == ("late" if late else f"echo {row['prompt']}")
            assert (row["finish_reason"], row["error_type"], row["input_tokens"]) == ("stop", None, 5)
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer worker-key"}
    assert {request.json["max_completion_tokens"] for request in server.requests[: len(PROMPTS)]} == {9}


def test_dask_answers_every_row(run_program: Run, server: FakeServer) -> None:
    found = run_program("dask")

    *rows, messages = found["rows"]
    check_rows(rows, server)
    assert messages["prompt"] == MESSAGES
    assert messages["response"] == "echo messages"
    assert len({row["pid"] for row in found["rows"]}) == 2
    first, second = found["of_a_bag"]
    assert (first["id"], first["text"], first["response"]) == (7, "a", "echo a")
    assert (second["id"], second["response"], second["error_type"]) == (8, None, "ConfigurationError")
    assert found["made"] == [1, 1]  # LLMs in each worker, after two maps


def test_ray_answers_every_row(run_program: Run, server: FakeServer) -> None:
    found = run_program("ray")

    check_rows(found["rows"], server)
    assert set(found["addresses"]) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert found["processes"]
    assert until_gone(found["processes"]) == []


@pytest.mark.slow
def test_ray_keeps_the_order_of_a_pool(run_program: Run, server: FakeServer) -> None:
    found = run_program("ray_pool")

    rows = found["rows"]
    assert [row["id"] for row in rows] == list(range(60))
    assert [row["response"] for row in rows] == [f"echo prompt {number}" for number in range(60)]
    assert {row["error"] for row in rows} == {None}  # what stood there is written over
    assert [row["response"] for row in found["messages"]] == ["echo messages"] * 2
    assert {len(request.messages) for request in server.requests} == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize(("cluster", "workers"), [("dask_local", 2), ("ray_local", 1)])
def test_weights_are_loaded_once_in_a_worker(run_program: Run, cluster: str, workers: int) -> None:
    """And the processes of the engine end with it."""
    if reason := no_engine():
        pytest.skip(reason)

    found = run_program(cluster)

    assert len(found["rows"]) == 16
    assert {row["error"] for row in found["rows"]} == {None}
    assert {row["output_tokens"] > 0 for row in found["rows"]} == {True}
    assert len(found["engines"]) == workers
    assert found["left"] == []


def until_gone(pids: list[int]) -> list[int]:
    """Those of *pids* that are there after ten seconds."""
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
