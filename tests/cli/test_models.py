"""`abstractcore models` and `abstractcore doctor`: who can answer, and what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run, one_line_of
from tests.fakes import any_wire
from tests.fakes.network import refused_port
from tests.fakes.server import FakeServer

KEY = "sk-never-to-be-shown-0123456789"
SERVERS = (
    "OLLAMA_BASE_URL",
    "LMSTUDIO_BASE_URL",
    "VLLM_BASE_URL",
    "LLAMA_SERVER_BASE_URL",
    "SGLANG_BASE_URL",
)
TINY = Path(__file__).parents[1] / "models" / "tiny-llama-chat.gguf"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of this machine, no engine and no model."""
    from abstractcore.cli import offers

    monkeypatch.setattr(offers, "is_installed", lambda engine: False)
    monkeypatch.setattr("abstractcore.cli.offers.is_worth_asking", offers.is_set)


@pytest.fixture
def settled(server: FakeServer) -> dict[str, str]:
    """The environment in which openai is the fake server, and groq a port that nobody listens on."""
    server.always["GET /v1/models"] = any_wire.models("gpt-5-mini", "gpt-5\x1b[31m")
    return {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "GROQ_API_KEY": KEY,
        "GROQ_BASE_URL": f"http://127.0.0.1:{refused_port()}",
    }


@pytest.mark.usefixtures("nobody")
def test_each_configured_provider_is_asked_and_a_failure_is_not_fatal(
    run: Run, settled: dict[str, str]
) -> None:
    done = run("models", **settled)

    assert done.exit_code == 0
    assert done.stdout == "openai:gpt-5-mini\nopenai:gpt-5[31m\n"
    assert done.stderr.startswith("warning: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("nobody")
def test_a_provider_that_hangs_ends_at_the_bound(run: Run, server: FakeServer) -> None:
    server.always["GET /v1/models"] = any_wire.models("m").cut(0, ending="hang")
    began = time.monotonic()

    done = run("models", "--timeout", "0.3", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1")

    assert time.monotonic() - began < 10
    assert (done.exit_code, done.stdout) == (0, "")
    assert "warning: " in done.stderr
    server.wait_for(lambda s: s.disconnects == 1, 10)


@pytest.mark.usefixtures("nobody")
def test_a_provider_that_fails_is_asked_once(run: Run, server: FakeServer) -> None:
    server.always["GET /v1/models"] = any_wire.error(500, headers={"Retry-After": "0"})

    assert run("models", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1").exit_code == 0

    assert len(server.requests) == 1


def test_one_provider_gives_its_models_or_its_error(run: Run, settled: dict[str, str]) -> None:
    assert run("models", "openai", **settled).stdout == "openai:gpt-5-mini\nopenai:gpt-5[31m\n"

    failed = run("models", "groq", **settled)

    assert failed.exit_code == 7
    one_line_of(failed)


def test_an_engine_lists_the_models_of_this_machine(run: Run) -> None:
    done = run("models", "openvino", ABSTRACTCORE_LOCAL_MODEL=str(TINY))

    assert f"openvino:{TINY}\n" in done.stdout


def test_a_provider_that_does_not_exist_is_one_line(run: Run) -> None:
    done = run("models", "opena")

    assert done.exit_code == 2
    assert "Did you mean openai" in one_line_of(done)


def findings(text: str) -> dict[str, list[str]]:
    rows = [line.split("\t") for line in text.splitlines()]
    return {row[1]: [row[0], *row[2:]] for row in rows}


@pytest.mark.usefixtures("nobody")
def test_the_doctor_says_what_is_there_and_what_to_do(run: Run, settled: dict[str, str]) -> None:
    done = run("doctor", **settled, ABSTRACTCORE_MODEL="openai:gpt-5-mini")

    found = findings(done.stdout)
    assert done.exit_code == 0
    assert found["openai"][0] == "ok"
    assert found["openai"][1].endswith("2 models")
    assert found["groq"][0] == "!!"
    assert "GROQ_BASE_URL" in found["groq"][2]
    assert found["anthropic"] == ["--", "no key", "set ANTHROPIC_API_KEY"]
    assert found["mlx"] == ["--", "not installed", 'pip install "abstractcore[mlx]"']
    assert found["ABSTRACTCORE_MODEL"] == ["ok", "openai:gpt-5-mini", ""]
    assert found["python"][0] == "ok"
    assert found["extra cli"][0] == "ok"
    assert "typer" in found["extra cli"][1]
    assert KEY not in done.output


@pytest.mark.usefixtures("nobody")
def test_a_key_that_is_refused_is_to_be_checked(run: Run, server: FakeServer) -> None:
    server.always["GET /v1/models"] = any_wire.error(401, f"Incorrect API key provided: {KEY}")

    done = run("doctor", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1")

    assert findings(done.stdout)["openai"][0] == "!!"
    assert findings(done.stdout)["openai"][2] == "check OPENAI_API_KEY"
    assert KEY not in done.output


@pytest.mark.usefixtures("nobody")
def test_where_nothing_can_answer_the_doctor_ends_with_1(run: Run) -> None:
    done = run("doctor")

    assert done.exit_code == 1
    assert done.stderr.startswith("error: nothing here can answer")


def test_a_server_of_this_machine_that_does_not_run_is_no_fault(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever listens on this machine's own ports, a port of ours has nobody."""
    from dataclasses import replace

    from abstractcore.cli import offers

    row = replace(offers.PROVIDERS["ollama"], url=f"http://127.0.0.1:{refused_port()}")
    monkeypatch.setattr(offers, "PROVIDERS", {"ollama": row})
    monkeypatch.setattr("abstractcore.factory.PROVIDERS", {"ollama": row})

    assert findings(run("doctor").stdout)["ollama"][:2] == ["--", "no server here"]


def test_the_doctor_looks_at_the_engines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from abstractcore.cli import offers

    monkeypatch.setattr("abstractcore.cli.offers.is_worth_asking", offers.is_set)
    monkeypatch.setattr(offers, "is_installed", lambda engine: engine == "llamacpp")

    done = run("doctor", ABSTRACTCORE_LOCAL_MODEL=str(TINY))

    assert done.exit_code == 0
    state, told, advice = findings(done.stdout)["llamacpp"]
    assert (state, advice) == ("ok", "")
    assert "llama_cpp" in told
    assert not told.endswith("here: 0")
