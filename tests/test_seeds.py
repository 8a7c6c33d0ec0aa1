"""The samples of the async guide run as they are written, on a service's wire and in this process."""

from __future__ import annotations

import gc
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.any_wire import text
from tests.fakes.replies import Reply
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import Wire, sent
from tests.real.processes import absent

SEEDS = Path(__file__).parent / "seeds"
TINY = Path(__file__).parent / "models" / "tiny-llama-chat.gguf"
_MAKES = re.compile(r'create_llm\("(\w+)", model=("[^"]+")\)')
# The sample, the provider's row that it names, the variables that lead it to the fake, and what it asks.
OPENAI = ("openai", {"OPENAI_BASE_URL": "/v1", "OPENAI_API_KEY": "sk-dummy"}, "/v1/chat/completions")
ROWS = {
    "async_single": OPENAI,
    "async_gather": ("ollama", {"OLLAMA_HOST": ""}, "/api/chat"),
    "async_streaming": (
        "anthropic",
        {"ANTHROPIC_BASE_URL": "", "ANTHROPIC_API_KEY": "sk-ant-dummy"},
        "/v1/messages",
    ),
    "async_session": OPENAI,
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
    return text(ANSWERS[sent(request).last])


def made_by(name: str, call: str) -> str:
    """The sample with another call that makes its LLM; {model} in it is the sample's own model."""
    source, count = _MAKES.subn(lambda found: call.format(model=found[2]), (SEEDS / f"{name}.py").read_text())
    assert count == 1
    return source


def on_wire(name: str, wire: Wire, server: FakeServer) -> str:
    options = {"base_url": server.url + "/v1", **wire.options}
    written = "".join(f", {option}={value!r}" for option, value in options.items())
    return made_by(name, f'create_llm("{wire.provider}", model={{model}}{written})')


@pytest.mark.parametrize("name", list(ROWS))
def test_the_sample_runs_behind_its_provider_s_row(
    name: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    server.route = answer
    provider, variables, path = ROWS[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value if "KEY" in variable else server.url + value)
    source = (SEEDS / f"{name}.py").read_text()
    assert f'create_llm("{provider}"' in source

    run(name, source)

    assert capsys.readouterr().out == PRINTED[name]
    key = next((value for variable, value in variables.items() if "KEY" in variable), None)
    for request in server.requests:
        assert request.path == path
        assert key is None or key in (request.headers["authorization"].removeprefix("Bearer "))
    server.wait_for(lambda server: server.open_sockets == 0)


@pytest.mark.parametrize("name", list(ROWS))
def test_the_sample_runs_on_every_wire(
    name: str, wire: Wire, server: FakeServer, capsys: pytest.CaptureFixture[str]
):
    """Its words, with another row and address in `create_llm`."""
    server.route = answer

    run(name, on_wire(name, wire, server))

    assert capsys.readouterr().out == PRINTED[name]
    assert {request.path for request in server.requests} == {wire.path}
    server.wait_for(lambda server: server.open_sockets == 0)


def test_the_session_s_sample_preserves_history(
    wire: Wire, server: FakeServer, capsys: pytest.CaptureFixture[str]
):
    server.route = answer

    run("async_session", on_wire("async_session", wire, server))

    assert capsys.readouterr().out == "Alice.\n"
    assert wire.sent(server.requests[1]).turns == [
        ("system", "You are a helpful assistant."),
        ("user", "My name is Alice."),
        ("assistant", "Hello, Alice."),
        ("user", "What is my name?"),
    ]


@pytest.mark.parametrize("name", list(ROWS))
@pytest.mark.parametrize(
    ("engine", "package", "model"),
    [
        ("openvino", "openvino_genai", TINY),
        ("mlx", "mlx_lm", TINY.with_suffix("")),
        ("huggingface", "torch", TINY.with_suffix("")),
    ],
)
def test_the_sample_runs_on_an_engine(
    name: str, engine: str, package: str, model: Path, capsys: pytest.CaptureFixture[str]
):
    """The path of a model in place of the name; the tiny model's words are its own."""
    if find_spec(package) is None:
        absent(f"{package} is not installed")

    run(name, made_by(name, f"create_llm({engine!r}, model={str(model)!r})"))

    assert capsys.readouterr().out.endswith("\n")
