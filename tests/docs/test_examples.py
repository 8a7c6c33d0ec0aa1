"""Every example runs as its docstring says, against the fake server or the tiny model."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Any

import pytest

from tests.docs.answers import SLOW, TEXT
from tests.docs.conftest import TINY_MODEL, Run, no_engine
from tests.docs.pages import EXAMPLES, ROOT
from tests.fakes.server import FakeServer
from tests.real.processes import absent

FOLDER = ROOT / "examples"
OPENAI = ("openai", "gpt-5-mini")
#: The arguments of each example, and a piece of what it prints.
REMOTE: dict[str, tuple[tuple[str, ...], str]] = {
    "gather_many.py": ((*OPENAI, "300"), "300 answers"),
    "timeout_and_cancel.py": (OPENAI, "cancel: had 'word"),
    "session_save_load.py": ((*OPENAI, "talk.json", "My name is Alice."), "(2 messages in talk.json)"),
    "structured_output.py": (OPENAI, "wants a refund"),
    "tools_passthrough.py": (OPENAI, "get_weather({'city': 'Paris'})"),
    "images.py": ((*OPENAI, "photo.png"), TEXT),
    "switch_provider.py": ((*OPENAI, "ollama", "qwen3:4b-instruct"), "ollama: Your name is Alice."),
    "map_many.py": (
        ("openai:gpt-5-mini", "100", "answers.jsonl"),
        "100 answers in answers.jsonl, 0",
    ),
    "batch_job.py": (("openai:gpt-5-mini", "100", "job.txt"), "Run this again"),
    "events.py": (OPENAI, "answer: openai"),
    "tracing.py": (("openai:gpt-5-mini", "The weather in Oslo?"), "execute_tool get_weather"),
    "fallback.py": (("openai:gpt-5-mini", "ollama:qwen3:4b-instruct"), f"openai: {TEXT}"),
    "embeddings.py": (("openai", "text-embedding-3-small", "Who makes music?"), "3 numbers each, 7 tokens"),
    "gateway.py": (OPENAI, f"anthropic: {TEXT}"),
    "chat_tools.py": (("ask", "-m", "openai:gpt-5-mini", "What is in this folder?"), TEXT),
    "sse_server.py": ((), '"done": true'),
    "testing_cassette.py": (("openai:gpt-5-mini",), "[replayed 2 calls, 0 left]"),
    "testing_scripted.py": ((), "test_any_order_of_questions: passed"),
    "research_parallel.py": (("openai:gpt-5-mini", "Is a wooden house a good idea?"), TEXT),
}
LOCAL: dict[str, tuple[tuple[str, ...], str]] = {
    "quickstart.py": ((), "tokens/s]"),
    "local_batch.py": ((str(TINY_MODEL),), "together"),
    "tokens_per_second.py": ((str(TINY_MODEL),), "at once  tokens/s"),
    "agent_local.py": ((), "Where is the lamp?"),
}
#: Those that need a server of their own: test_agent_examples.py runs them.
SERVED = ("agent_files.py", "agent_server.py", "distributed_map.py")


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES} == {*REMOTE, *LOCAL, *SERVED}


@pytest.mark.parametrize("name", REMOTE)
def test_an_example_runs(name: str, run_python: Run) -> None:
    arguments, piece = REMOTE[name]

    assert piece in run_python(FOLDER / name, *arguments)


@pytest.mark.parametrize("name", LOCAL)
def test_a_local_example_runs(name: str, run_python: Run) -> None:
    if reason := no_engine():
        pytest.skip(reason)
    arguments, piece = LOCAL[name]

    assert piece in run_python(FOLDER / name, *arguments)


def test_a_saved_conversation_goes_on(run_python: Run) -> None:
    arguments = (FOLDER / "session_save_load.py", *OPENAI, "talk.json")
    run_python(*arguments, "My name is Alice.")

    assert "Your name is Alice." in run_python(*arguments, "What is my name?")


def test_a_cluster_of_dask_answers(run_python: Run, docs_server: FakeServer) -> None:
    if importlib.util.find_spec("distributed") is None:
        absent("distributed is not installed: `make test` does that")

    told = run_python(FOLDER / "distributed_map.py", "openai:gpt-5-mini", "30", "dask")

    assert f"30 answers, 0 failures; the last: {TEXT}" in told


def test_a_batch_is_read_by_a_second_run(run_python: Run) -> None:
    arguments = (FOLDER / "batch_job.py", "anthropic:claude-haiku-4-5", "100", "job.txt")
    run_python(*arguments)

    assert "100 answers, 0 failures" in run_python(*arguments)


def test_many_are_asked_at_once_but_not_all(run_python: Run, docs_server: FakeServer) -> None:
    run_python(FOLDER / "gather_many.py", *OPENAI, "300")

    assert len(docs_server.requests) == 300
    assert 2 < docs_server.connections <= 100


async def test_the_model_stops_when_the_browser_leaves(
    docs_server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disconnect is seen at the model's server."""
    monkeypatch.setenv("MODEL", "openai-compatible:test-model")
    monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", docs_server.url)
    specification = importlib.util.spec_from_file_location("sse_server", FOLDER / "sse_server.py")
    assert specification is not None
    assert specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    begun = asyncio.Event()
    arriving: list[dict[str, Any]] = [{"type": "http.request", "body": SLOW.encode()}]

    async def receive() -> dict[str, Any]:
        if not arriving:
            await begun.wait()
        return arriving.pop() if arriving else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if b"word" in message.get("body", b""):
            begun.set()

    async with example.llm:
        await example.app({"type": "http"}, receive, send)

        await docs_server.until(lambda server: server.disconnects == 1)
