"""The samples of the async guide run as they are written, on a service's wire and in this process."""

from __future__ import annotations

import gc
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.openai_chat import text
from tests.fakes.replies import Reply
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer

SEEDS = Path(__file__).parent / "seeds"
TINY = Path(__file__).parent / "models" / "tiny-llama-chat.gguf"
# The sample, the provider's row that it names, and the variables that lead it to the fake.
ROWS = {
    "async_single": ("openai", {"OPENAI_BASE_URL": "/v1", "OPENAI_API_KEY": "sk-dummy"}),
    "async_gather": ("ollama", {"OLLAMA_HOST": ""}),
    "async_streaming": ("anthropic", {"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": "sk-ant-dummy"}),
    "async_session": ("openai", {"OPENAI_BASE_URL": "/v1", "OPENAI_API_KEY": "sk-dummy"}),
}
ANSWERS = {
    "Explain Python in one paragraph.": "Python is a language.",
    "Summarize Python in 1 sentence.": " Python. ",
    "Summarize JavaScript in 1 sentence.": " JavaScript.\n",
    "Summarize Rust in 1 sentence.": "Rust.",
    "Write a haiku about coding.": "An old silent bug\nA test jumps into the code\nGreen. Silence again.",
    "My name is Alice.": "Hello, Alice.",
    "What is my name?": "Alice.",
}
PRINTED = {
    "async_single": "Python is a language.\n",
    "async_gather": "- Python.\n- JavaScript.\n- Rust.\n",
    "async_streaming": "An old silent bug\nA test jumps into the code\nGreen. Silence again.\n",
    "async_session": "Alice.\n",
}


def run(name: str, source: str) -> None:
    """Run a sample as a script; what it leaves open is noticed here."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, f"{name}.py", "exec"), space)
    space.clear()
    gc.collect()


def answer(request: Recorded) -> Reply:
    return text(ANSWERS[request.messages[-1].content])


@pytest.mark.parametrize("name", list(ROWS))
def test_the_sample_runs_behind_its_provider_s_row(
    name: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    server.route = answer
    provider, variables = ROWS[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value if "KEY" in variable else server.url + value)
    source = (SEEDS / f"{name}.py").read_text()
    assert f'create_llm("{provider}"' in source

    run(name, source)

    assert capsys.readouterr().out == PRINTED[name]
    key = next((value for variable, value in variables.items() if "KEY" in variable), None)
    for request in server.requests:
        assert request.path == "/v1/chat/completions"
        assert request.headers.get("authorization") == (key and f"Bearer {key}")
    server.wait_for(lambda server: server.open_sockets == 0)


def test_the_session_s_sample_preserves_history(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    server.route = answer
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")

    run("async_session", (SEEDS / "async_session.py").read_text())

    assert capsys.readouterr().out == "Alice.\n"
    assert [(m.role, m.content) for m in server.requests[1].messages] == [
        ("system", "You are a helpful assistant."),
        ("user", "My name is Alice."),
        ("assistant", "Hello, Alice."),
        ("user", "What is my name?"),
    ]


@pytest.mark.parametrize("name", list(ROWS))
def test_the_sample_runs_on_the_openvino_engine(name: str, capsys: pytest.CaptureFixture[str]):
    """The path of a model in place of the name; the tiny model's words are its own."""
    pytest.importorskip("openvino_genai", reason="the openvino extra is not installed")
    from abstractcore.engines.catalog import ENGINES

    if "openvino" not in ENGINES:
        pytest.skip("the openvino engine has no row yet")
    source, count = re.subn(
        r"create_llm\([^)]*\)",
        f'create_llm("openvino", model={str(TINY)!r})',
        (SEEDS / f"{name}.py").read_text(),
    )
    assert count == 1

    run(name, source)

    assert capsys.readouterr().out.endswith("\n")
