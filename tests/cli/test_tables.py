"""The tables that stand on a terminal; into a pipe go lines."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.fakes import any_wire
from tests.fakes.network import refused_port
from tests.fakes.server import FakeServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals here")

if sys.platform != "win32":
    from tests.cli.screen import Screen


@pytest.fixture
def environment(server: FakeServer, tmp_path: Path) -> dict[str, str]:
    """One provider that has ten models, and one that nobody answers for."""
    server.always["GET /v1/models"] = any_wire.models(*(f"model-{number}" for number in range(10)))
    return {
        **os.environ,
        "HF_HUB_CACHE": str(tmp_path),
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "GROQ_API_KEY": "k",
        "GROQ_BASE_URL": f"http://127.0.0.1:{refused_port()}",
    }


def test_models_have_a_row_each_and_a_failure_one_too(environment: dict[str, str]) -> None:
    with Screen(["models"], environment, columns=100, lines=60) as screen:
        assert screen.ended() == 0

    rows = [line.split() for line in screen.lines]
    assert ["provider", "model"] in rows
    assert ["openai", "model-0"] in rows
    assert ["model-7"] in rows
    assert "and 2 more: abstractcore models openai" in " ".join(map(" ".join, rows))
    assert ["groq", "error:"] in [row[:2] for row in rows]


def test_the_doctor_has_a_row_for_each_thing(environment: dict[str, str]) -> None:
    with Screen(["doctor"], environment, columns=100, lines=60) as screen:
        assert screen.ended() == 0

    rows = [line.split() for line in screen.lines]
    assert ["what", "found", "what", "to", "do"] in rows
    assert ["ok", "openai", "answers"] in [row[:3] for row in rows]
    assert ["!!", "groq"] in [row[:2] for row in rows]
    assert ["--", "mistral", "no", "key", "set", "MISTRAL_API_KEY"] in rows


def test_bench_has_a_row_for_each_concurrency(server: FakeServer) -> None:
    server.replies(any_wire.text("Hi", usage={"input_tokens": 3, "output_tokens": 2}))
    command = ["bench", "openai-compatible:m", "--base-url", f"{server.url}/v1", "--at-once", "1,2"]
    with Screen(command, os.environ) as screen:
        assert screen.ended() == 0

    rows = [line.split() for line in screen.lines if line.strip()]
    assert rows[0] == ["at", "once", "tokens/s", "times", "one", "calls/s", "seconds", "a", "call", "failed"]
    assert [row[0] for row in rows[2:]] == ["1", "2"]
