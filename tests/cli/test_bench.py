"""`abstractcore bench`: what it asks, and the table and the picture that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, one_line_of
from tests.fakes import any_wire
from tests.fakes.replies import Pause
from tests.fakes.server import FakeServer

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def address(server: FakeServer) -> list[str]:
    answer = any_wire.text("word " * 10, usage={"input_tokens": 5, "output_tokens": 10})
    server.replies(answer.after(Pause(0.1)))
    return ["openai-compatible:test-model", "--base-url", f"{server.url}/v1"]


def test_each_row_asks_all_prompts_so_many_at_a_time(
    run: Run, server: FakeServer, address: list[str]
) -> None:
    done = run("bench", *address, "--at-once", "1,3", "--calls", "4", "--tokens", "10")

    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [row[0] for row in rows] == ["1", "3"]
    assert all(float(row[1]) > 0 for row in rows)
    assert rows[0][2] == "1.0"
    assert [row[5] for row in rows] == ["0", "0"]
    assert len(server.requests) == 1 + 2 * 4
    assert server.max_concurrent == 3
    assert {request.json["max_tokens"] for request in server.requests} == {10}
    assert len({request.json["messages"][-1]["content"] for request in server.requests}) == 4


def test_a_provider_that_counts_no_tokens_is_measured_in_calls(
    run: Run, server: FakeServer, address: list[str]
) -> None:
    server.replies(any_wire.text("Hi", usage=False))

    (row,) = run("bench", *address, "--at-once", "2").stdout.splitlines()

    assert row.split("\t")[1] == "not told"
    assert float(row.split("\t")[3]) > 0


def test_the_picture_is_a_png(run: Run, address: list[str], tmp_path: Path) -> None:
    file = tmp_path / "pace.png"

    done = run("bench", *address, "--at-once", "1,2", "--plot", str(file))

    assert done.stderr == f"plot: {file}\n"
    assert file.read_bytes().startswith(PNG)


def test_without_matplotlib_nothing_is_asked(
    run: Run, server: FakeServer, address: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    done = run("bench", *address, "--plot", "pace.png")

    assert done.exit_code == 2
    assert 'pip install "abstractcore[plot]"' in one_line_of(done)
    assert server.requests == []


def test_a_picture_that_has_no_place_is_refused_before_any_call(
    run: Run, server: FakeServer, address: list[str], tmp_path: Path
) -> None:
    done = run("bench", *address, "--plot", str(tmp_path / "no" / "pace.png"))

    assert done.exit_code == 2
    assert "no such folder" in one_line_of(done)
    assert server.requests == []


@pytest.mark.parametrize("given", ["0", "1,x", ""])
def test_a_list_that_is_none_is_refused(given: str, run: Run, address: list[str]) -> None:
    assert run("bench", *address, "--at-once", given).exit_code == 2


def test_where_every_call_fails_it_ends_with_the_error(
    run: Run, server: FakeServer, address: list[str]
) -> None:
    server.replies(any_wire.error(401))

    done = run("bench", *address)

    assert done.exit_code == 3
    one_line_of(done)
