"""CONTRACT A: create_llm makes an object from names and settings, and does nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from abstractcore import (
    LLM,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    MissingDependencyError,
    ModelLoadError,
    UnknownProviderError,
    create_llm,
)
from abstractcore.engines.catalog import ENGINES
from abstractcore.providers.catalog import PROVIDERS
from tests.fakes.any_wire import text
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire, sent

REMOTE = ("openai", "anthropic", "ollama", "lmstudio", "openrouter", "vllm", "openai-compatible")
MORE = (
    "groq", "deepseek", "mistral", "together", "xai", "gemini", "fireworks", "cerebras", "llama-server",
    "sglang",
)  # fmt: skip
EXTRAS = {
    "openvino": "openvino_genai",
    "mlx": "mlx_lm",
    "huggingface": "transformers",
    "llamacpp": "llama_cpp",
}


def test_a1_the_options_have_their_names_and_defaults(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    options = {"timeout": 5, "max_retries": 0, "temperature": 0.5}
    llm = wire.llm(server, model="m", api_key="sk-test", **options)

    assert surface.generate(llm, "hello").content == "Hi."
    assert wire.sent(server.requests[0]).sampling["temperature"] == 0.5
    assert server.requests[0].headers["authorization"] == "Bearer sk-test"
    assert (llm.provider, llm.model) == (wire.provider, "m")


def test_a1_a_default_gives_way_to_the_argument_of_the_call(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    llm = wire.llm(server, temperature=0.5, seed=1)

    surface.generate(llm, "hello", temperature=0)

    sampling = wire.sent(server.requests[0]).sampling
    assert (sampling["temperature"], sampling.get("seed")) == (0, None if "seed" in wire.lacks else 1)


@pytest.mark.parametrize("name", ["OLLAMA", "Ollama", " ollama "])
def test_a1_provider_names_are_case_insensitive(name: str):
    with create_llm(name, "m") as llm:
        assert llm.provider == "ollama"


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("ollama:qwen3:4b-instruct", "ollama", "qwen3:4b-instruct"),
        ("vLLM:Qwen/Qwen3-8B", "vllm", "Qwen/Qwen3-8B"),
    ],
)
def test_a1_one_text_names_provider_and_model(text: str, provider: str, model: str):
    with create_llm(text) as llm:
        assert (llm.provider, llm.model) == (provider, model)


def test_a1_two_models_are_refused():
    with pytest.raises(ConfigurationError, match="two models"):
        create_llm("ollama:qwen3", "llama3")


def test_a1_a_remote_provider_wants_a_model():
    with pytest.raises(ConfigurationError, match=r"ollama: which model\? Pass model="):
        create_llm("ollama")


@pytest.mark.parametrize("name", [*REMOTE, *MORE])
def test_a2_every_remote_provider_is_a_row(name: str):
    with create_llm(name, "m", base_url="http://127.0.0.1:9/v1", api_key="k") as llm:
        assert llm.provider == name


@pytest.mark.parametrize("name", [*EXTRAS, "local"])
def test_a2_every_engine_is_known(name: str):
    """In this process, or not installed: never an unknown name."""
    with suppress(MissingDependencyError, ModelLoadError):
        create_llm(name, "no-such-model").close()


# ---- A4: what construction does, and does not ---------------------------------------------------


class _Refuse:
    def __init__(self, what: str):
        self.what = what

    def __call__(self, *args: Any, **options: Any) -> Any:
        raise AssertionError(f"construction called {self.what}")


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a4_construction_does_no_network_io_and_writes_no_file(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    for function in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, function, _Refuse(function))
    monkeypatch.setattr(Path, "write_bytes", _Refuse("write_bytes"))

    create_llm(name, "m", base_url=None if PROVIDERS[name].url else "http://localhost:1", api_key="k").close()

    assert list(tmp_path.iterdir()) == []


def test_a4_construction_touches_no_logger_and_starts_no_thread():
    root = logging.getLogger()
    before = (set(root.manager.loggerDict), list(root.handlers), root.level, threading.active_count())

    create_llm("ollama", "m").close()

    assert (set(root.manager.loggerDict), list(root.handlers), root.level, threading.active_count()) == before


async def test_a4_construction_does_not_block_a_running_loop():
    """A thousand objects take less than one slow tick of a UI."""
    loop = asyncio.get_running_loop()
    create_llm("ollama", "m").close()
    start = loop.time()

    for _ in range(1000):
        create_llm("ollama", "m").close()

    assert loop.time() - start < 2.0


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if row.key])
def test_a4_a_missing_key_names_its_variable_at_construction(name: str):
    with pytest.raises(AuthenticationError, match=rf"{name}: no API key\. Pass api_key= or set") as raised:
        create_llm(name, "m")

    assert str(PROVIDERS[name].key) in str(raised.value)
    assert raised.value.provider == name
    assert raised.value.attempts == 0


def test_a4_elsewhere_no_key_is_needed_and_none_is_sent(
    surface: Surface, server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    """A base_url= that is not the vendor's is another server: the vendor's key stays here."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-vendor")
    server.replies(text("Hi."))

    surface.generate(server.llm("openai"), "hello")

    assert "authorization" not in server.requests[0].headers


def _hide(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make *module* as good as not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: None if name.startswith(module) else real(name, *args),
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize("name", [name for name in EXTRAS if name in ENGINES])
def test_a4_a_missing_extra_is_the_pip_line_that_installs_it(name: str, monkeypatch: pytest.MonkeyPatch):
    _hide(monkeypatch, EXTRAS[name])

    with pytest.raises(MissingDependencyError) as raised:
        create_llm(name, "model")

    assert f'pip install "abstractcore[{name}]"' in str(raised.value)
    assert isinstance(raised.value, ImportError)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("opena", "openai"), ("antropic", "anthropic"), ("olama", "ollama"), ("lm-studio", "lmstudio")],
)
def test_a4_an_unknown_provider_is_answered_with_the_close_matches(wrong: str, right: str):
    with pytest.raises(UnknownProviderError, match=f"Did you mean .*{right}") as raised:
        create_llm(wrong, "m")

    assert isinstance(raised.value, ValueError)


def test_a4_a_name_like_no_other_is_answered_with_all_of_them():
    with pytest.raises(UnknownProviderError, match=r"There are: .*anthropic.*vllm"):
        create_llm("zzz", "m")


# ---- A5, A6 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "right"), [("temprature", "temperature"), ("baseurl", "base_url"), ("max_retry", "max_retries")]
)
def test_a5_create_llm_names_the_close_match_of_an_unknown_argument(wrong: str, right: str):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'. Did you mean '{right}'"):
        create_llm("ollama", "m", **{wrong: 1})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("temprature", "temperature"), ("max_tokens", "max_output_tokens"), ("tool", "tools")],
)
def test_a5_generate_names_the_close_match_of_an_unknown_argument(
    surface: Surface, server: FakeServer, wrong: str, right: str
):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'. Did you mean '{right}'"):
        surface.generate(server.llm(), "hello", **{wrong: 1})
    assert server.requests == []


def test_a5_an_unknown_argument_is_not_swallowed_because_it_is_none():
    with pytest.raises(TypeError, match="temprature"):
        create_llm("ollama", "m", temprature=None)  # pyright: ignore[reportCallIssue]
    create_llm("ollama", "m", temperature=None, device=None).close()


def test_a5_extra_reaches_the_wire_unchanged(surface: Surface, server: FakeServer, wire: Wire):
    extra = {"logit_bias": {"50256": -100}, "service_tier": "flex", "provider": {"order": ["a", "b"]}}
    server.replies(text("Hi."))

    surface.generate(wire.llm(server), "hello", extra=extra)

    assert {name: server.requests[0].json[name] for name in extra} == extra


@pytest.mark.parametrize("model", ["gpt-99-ultra", "org/model:free", "ft:gpt-5:acme::x1", "モデル"])
def test_a6_any_model_id_is_accepted(surface: Surface, server: FakeServer, wire: Wire, model: str):
    server.replies(text("Hi."))

    surface.generate(wire.llm(server, model=model), "hello")

    assert server.requests[0].json["model"] == model


# ---- A7: from everywhere, and closed for good ---------------------------------------------------


def test_a7_one_object_serves_every_kind_of_caller(server: FakeServer, wire: Wire):
    """Sync code, async code, several threads, any number of asyncio.run: answers are never crossed."""
    server.route = lambda request: text(sent(request).last)
    llm = wire.llm(server)

    async def ask(word: str) -> str:
        return (await llm.agenerate(word)).content

    assert llm.generate("sync").content == "sync"
    assert [asyncio.run(ask(f"run {number}")) for number in range(3)] == ["run 0", "run 1", "run 2"]
    assert llm.generate("sync again").content == "sync again"
    assert _in_threads(lambda word: llm.generate(word).content, 8) == [f"thread {n}" for n in range(8)]
    assert _in_threads(lambda word: asyncio.run(ask(word)), 4) == [f"thread {n}" for n in range(4)]


def _in_threads(work: Callable[[str], str], count: int) -> list[str]:
    answers = [""] * count

    def one(number: int) -> None:
        answers[number] = work(f"thread {number}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return answers


async def test_a7_sync_calls_work_inside_a_running_loop(server: FakeServer, wire: Wire):
    """As in a notebook; streams too."""
    server.replies(text("Hi there."))
    llm = wire.llm(server)

    assert llm.generate("hello").content == "Hi there."
    assert "".join(chunk.content for chunk in llm.generate("hello", stream=True)) == "Hi there."
    assert (await llm.agenerate("hello")).content == "Hi there."
    await llm.aclose()


def test_a7_closing_releases_every_socket(surface: Surface, server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    llm = wire.llm(server)
    surface.generate(llm, "hello")
    assert server.open_sockets == 1

    surface.close(llm)

    surface.wait_for(server, lambda server: server.open_sockets == 0)


def test_a7_a_with_block_closes(server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    with wire.llm(server) as llm:
        llm.generate("hello")
    with pytest.raises(ClosedError):
        llm.generate("hello")
    server.wait_for(lambda server: server.open_sockets == 0)


async def test_a7_an_async_with_block_closes(server: FakeServer, wire: Wire):
    server.replies(text("Hi."))
    async with wire.llm(server) as llm:
        await llm.agenerate("hello")
    with pytest.raises(ClosedError):
        await llm.agenerate("hello")
    await server.until(lambda server: server.open_sockets == 0)


@pytest.mark.parametrize("options", [{}, {"stream": True}], ids=["whole", "stream"])
def test_a7_using_it_after_close_raises(surface: Surface, server: FakeServer, options: dict[str, Any]):
    llm = server.llm()
    surface.close(llm)
    surface.close(llm)

    with pytest.raises(ClosedError, match="closed"):
        surface.generate(llm, "hello", **options)
    assert server.requests == []


# ---- A8 --------------------------------------------------------------------------------------

_LOADED_ELSEWHERE = """
import json, pickle, sys
llm = pickle.loads(sys.stdin.buffer.read())
print(json.dumps([llm.provider, llm.model, llm.generate("hello").content]))
"""


@pytest.mark.parametrize("is_used", [False, True], ids=["before use", "after use"])
def test_a8_a_provider_pickles_without_its_key(
    is_used: bool, surface: Surface, server: FakeServer, wire: Wire
):
    import pickle

    server.replies(text("Hi."))
    llm = wire.llm(
        server, api_key="sk-secret", headers={"X-Api-Key": "also-secret", "X-Team": "red"}, temperature=0.5
    )
    if is_used:
        surface.generate(llm, "hello")

    data = pickle.dumps(llm)
    copy: LLM = pickle.loads(data)
    server.llms.append(copy)

    assert b"secret" not in data
    assert surface.generate(copy, "hello").content == "Hi."
    asked = server.requests[-1]
    assert "authorization" not in asked.headers
    assert "x-api-key" not in asked.headers
    assert asked.headers["x-team"] == "red"
    assert wire.sent(asked).sampling["temperature"] == 0.5


def test_a8_the_copy_reads_the_environment_where_it_is_loaded(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    """In another process, with another address and key."""
    import pickle

    monkeypatch.setenv("OPENAI_API_KEY", "sk-here")
    data = pickle.dumps(create_llm("openai", "gpt-5-mini"))
    server.replies(text("Hi."))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-there")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")

    child = subprocess.run(
        [sys.executable, "-c", _LOADED_ELSEWHERE], input=data, capture_output=True, check=True
    )

    assert json.loads(child.stdout) == ["openai", "gpt-5-mini", "Hi."]
    assert server.requests[0].headers["authorization"] == "Bearer sk-there"
    assert b"sk-here" not in data
