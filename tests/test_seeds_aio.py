"""The samples of the guide to `aio` run as they are written, and with each of three providers."""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from abstractcore import aio
from abstractcore.models import HuggingFaceModel, LlamaCppModel, MLXModel
from tests.fakes.any_wire import call, text
from tests.fakes.replies import Reply, whole
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.wires import check_is_valid, sent
from tests.real.processes import absent

SEEDS = Path(__file__).parent / "seeds"
TINY = Path(__file__).parent / "models" / "tiny-llama-chat.gguf"
_MODEL = re.compile(r'"(?:anthropic|ollama):[^"]+"')
PROVIDERS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}
STORY = "Once upon a time."


@pytest.fixture(params=["as written", *PROVIDERS])
def provider(request: pytest.FixtureRequest, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The provider that the sample names; every one of them is led to the fake."""
    for variable, path in {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_BASE_URL": "", "OLLAMA_HOST": ""}.items():
        monkeypatch.setenv(variable, server.url + path)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "sk-dummy")
    return request.param


def source_of(name: str, provider: str) -> str:
    source = (SEEDS / f"{name}.py").read_text(encoding="utf-8")
    return source if provider == "as written" else _MODEL.sub(f'"{provider}:a-model"', source)


def model_of(provider: str) -> str:
    return "anthropic:claude-sonnet-4-6" if provider == "as written" else f"{provider}:a-model"


def script(name: str, provider: str) -> dict[str, Any]:
    """Run a sample that is a whole program, and give its names."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source_of(name, provider), f"{name}.py", "exec"), space)
    return space


async def piece(name: str, provider: str, **names: Any) -> dict[str, Any]:
    """Run a sample that stands inside a coroutine, with the *names* that stand before it there."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(source_of(name, provider), f"{name}.py", "exec", flags=flags)
    running = eval(code, names)
    if inspect.isawaitable(running):
        await running
    return names


def in_a_loop(work: Any, server: FakeServer) -> Any:
    """Run a coroutine function with a loop of its own; no socket outlives it."""
    result = asyncio.run(work())
    gc.collect()
    server.wait_for(lambda server: server.open_sockets == 0)
    return result


def paths(server: FakeServer) -> set[str]:
    return {request.path for request in server.requests}


def test_the_quick_start(provider: str, server: FakeServer, capsys: pytest.CaptureFixture[str]):
    server.replies(text("Hello!"))

    script("aio_quick_start", provider)

    assert capsys.readouterr().out == "Hello!\n"
    assert paths(server) == {PROVIDERS[model_of(provider).partition(":")[0]]}
    server.wait_for(lambda server: server.open_sockets == 0)


def test_one_shot_and_multi_turn(provider: str, server: FakeServer):
    server.replies(text("Hi."), text("Hello."), text("You said hi."))

    names = in_a_loop(lambda: piece("aio_one_shot", provider), server)

    assert names["text"] == "Hi."
    assert sent(server.requests[2]).turns == [
        ("system", "You are concise."),
        ("user", "Hi there"),
        ("assistant", "Hello."),
        ("user", "What did I just say?"),
    ]
    if provider == "as written":
        assert [r.path for r in server.requests] == ["/v1/messages", "/api/chat", "/api/chat"]
        assert sent(server.requests[1]).model == "qwen3.5:9b"


@pytest.mark.parametrize("name", ["aio_streaming", "aio_include"])
def test_streaming(name: str, provider: str, server: FakeServer, capsys: pytest.CaptureFixture[str]):
    server.replies(text(STORY, piece=4))

    async def main() -> Any:
        return await piece(name, provider, client=aio.client(model_of(provider)))

    client = in_a_loop(main, server)["client"]
    assert capsys.readouterr().out == STORY
    assert [m["role"] for m in client.messages] == ["user", "assistant"]


def test_agents_with_async_tools(provider: str, server: FakeServer):
    page = server.url + "/page"
    server.always["GET /page"] = whole(200, b"  The TITLE ")
    server.replies(call("fetch", url=page), call("normalize", text="  The TITLE "), text("the title"))

    names = in_a_loop(lambda: piece("aio_async_tools", provider), server)

    assert names["reply"] == "the title"
    last = sent(server.requests[-1])
    assert [item.text for item in last.all("result")] == ["  The TITLE ", "the title"]
    assert last.system == "Use the tools."
    check_is_valid(last.items)


def test_parallel(provider: str, server: FakeServer):
    def reply(request: Recorded) -> Reply:
        asked = sent(request)
        return text("One review." if "Synthesize" in (asked.system or "") else f"Seen: {asked.system}")

    server.route = reply

    async def main() -> Any:
        return await piece(
            "aio_parallel", provider, client=aio.client(model_of(provider), system="Never sent.")
        )

    names = in_a_loop(main, server)
    assert names["result"] == "One review."
    assert names["client"].messages == []
    workers = {sent(request).system: sent(request).turns for request in server.requests[:3]}
    assert {(system or "").split()[4] for system in workers} == {"security", "performance", "readability"}
    assert all(len(turns) == 2 for turns in workers.values())
    last = sent(server.requests[3]).last
    assert last.index("a security") < last.index("a performance") < last.index("a readability")


def test_per_call_timeouts(provider: str, server: FakeServer):
    server.replies(text("Done."))

    async def main() -> Any:
        return await piece("aio_timeout", provider, agent=aio.Agent(aio.client(model_of(provider))))

    assert in_a_loop(main, server)["result"] == "Done."


def test_mcp_tools(provider: str, server: FakeServer):
    pytest.importorskip("mcp", reason="the mcp extra is not installed")
    fastmcp = pytest.importorskip("fastmcp", reason="fastmcp is not installed: pip install --group dev")
    served = fastmcp.FastMCP("Words")

    @served.tool
    def shout(word: str) -> str:
        """Shout a word."""
        return word.upper()

    server.replies(call("shout", word="owl"), text("OWL, said the server."))

    async def main() -> Any:
        names = await piece("aio_mcp", provider, my_fastmcp_server=served)
        await names["main"]()

    in_a_loop(main, server)
    assert sent(server.requests[1]).all("result")[0].text == "OWL"


def test_mixing_with_sync_code(provider: str, server: FakeServer):
    server.route = lambda request: text(f"re: {sent(request).last}")

    names = script("aio_mixing", provider)

    assert names["reply"] == "re: Hello"
    assert names["result"] == "\n\n---\n\n".join(["re: topic"] * 3)
    assert len(names["client"].messages) == 2
    names["client"].close()
    server.wait_for(lambda server: server.open_sockets == 0)


def test_in_process_providers_show_the_pattern():
    """CONTRACT H1"""
    with pytest.raises(ValueError, match=r"async_client = aio\.client\(sync_client\)"):
        aio.client(HuggingFaceModel.QWEN_3_8B)
    for name in ("mlx", "llamacpp", "huggingface", "openvino", "local"):
        with pytest.raises(ValueError, match="sync_client"):
            aio.client(f"{name}:a-model")


def cached_as(name: str, cache: Path) -> None:
    """Lay the tiny model into the hub's local cache in the place of the model *name*."""
    entry = cache / f"models--{name.replace('/', '--')}"
    (entry / "refs").mkdir(parents=True)
    (entry / "refs" / "main").write_text("a" * 40)
    snapshot = entry / "snapshots" / ("a" * 40)
    if "GGUF" in name:
        snapshot.mkdir(parents=True)
        shutil.copy(TINY, snapshot)
    else:
        shutil.copytree(TINY.with_suffix(""), snapshot)


@pytest.mark.parametrize(
    ("package", "model"),
    [
        ("torch", "HuggingFaceModel.QWEN_3_8B"),
        ("mlx_lm", "MLXModel.QWEN_3_8B_4BIT"),
        pytest.param("llama_cpp", "LlamaCppModel.QWEN_3_8B_GGUF", marks=pytest.mark.slow),
        ("openvino_genai", repr(f"openvino:{TINY}")),
    ],
)
def test_in_process_the_async_client_shares_weights_and_state(
    package: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """CONTRACT H1: the sample, its model's id standing for the tiny model; and for the other engines."""
    if find_spec(package) is None:
        absent(f"{package} is not installed")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in (HuggingFaceModel.QWEN_3_8B, MLXModel.QWEN_3_8B_4BIT, LlamaCppModel.QWEN_3_8B_GGUF):
        cached_as(name, tmp_path)
    source = source_of("aio_in_process", "as written").replace("HuggingFaceModel.QWEN_3_8B", model)
    names: dict[str, Any] = {"MLXModel": MLXModel, "LlamaCppModel": LlamaCppModel}
    exec(compile(source, "aio_in_process.py", "exec"), names)
    sync_client, async_client = names["sync_client"], names["async_client"]

    with sync_client:
        sync_client.chat("Hello")
        asyncio.run(async_client.chat("And again"))
        agents = aio.Parallel.from_client(async_client, ["One.", "Two."])
        assert asyncio.run(agents.run("Hello"))
        assert async_client.llm is sync_client.llm
        assert async_client.messages is sync_client.messages
        assert len(sync_client.messages) == 4
        async_client.system_message = "Be brief."
        assert sync_client.system_message == "Be brief."
        assert async_client.tools is sync_client.tools
