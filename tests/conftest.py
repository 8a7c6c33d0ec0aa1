"""What every test may ask for: a loopback model server, a surface, and no way to a real provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes import any_wire
from tests.fakes.proxy import FakeProxy
from tests.fakes.server import CA_FILE, FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream, surface_named
from tests.fakes.wires import WIRES, Wire

PROVIDER_PREFIXES = (
    "ABSTRACTCORE_", "ANTHROPIC_", "AZURE_OPENAI_", "CEREBRAS_", "DEEPSEEK_", "FIREWORKS_", "GEMINI_",
    "GOOGLE_API", "GROQ_", "LMSTUDIO_", "LM_STUDIO_", "LM_API_", "MISTRAL_", "MOONSHOT_", "NVIDIA_API",
    "OLLAMA_", "OPENAI_", "OPENROUTER_", "PERPLEXITY_", "TOGETHER_", "VLLM_", "XAI_",
)  # fmt: skip
PROVIDER_SUFFIXES = ("_API_KEY", "_API_TOKEN", "_BASE_URL", "_PROXY")


@pytest.fixture(autouse=True)
def no_provider_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, address or proxy of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.upper().startswith(PROVIDER_PREFIXES) or name.upper().endswith(PROVIDER_SUFFIXES):
            monkeypatch.delenv(name)


@pytest.fixture
def opened_llms() -> Iterator[list[Any]]:
    """What `server.llm()` made; closed after the surface has closed its side of it."""
    llms: list[Any] = []
    yield llms
    for llm in llms:
        llm.close()


@pytest.fixture
def make_server(opened_llms: list[Any]) -> Iterator[Callable[..., FakeServer]]:
    """Make a FakeServer with its options; closed, and searched for errors of its own, at the end."""
    servers: list[FakeServer] = []

    def make(**options: Any) -> FakeServer:
        server = FakeServer(**options)
        server.llms = opened_llms
        server.always["GET /v1/models"] = any_wire.models()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()
    assert [server.errors for server in servers if server.errors] == []


@pytest.fixture
def server(make_server: Callable[..., FakeServer]) -> FakeServer:
    """A loopback model server."""
    return make_server()


@pytest.fixture
def tls_server(make_server: Callable[..., FakeServer]) -> FakeServer:
    """A loopback model server behind TLS; `tls_server.ca_file` signed its certificate."""
    return make_server(tls=True)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test authority is trusted, as by a user who sets SSL_CERT_FILE."""
    from abstractcore.drivers.tls import ssl_context

    monkeypatch.setenv("SSL_CERT_FILE", str(CA_FILE))
    ssl_context.cache_clear()
    yield
    ssl_context.cache_clear()


@pytest.fixture
def proxy() -> Iterator[FakeProxy]:
    """A loopback HTTP proxy."""
    with FakeProxy() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def surface(request: pytest.FixtureRequest, opened_llms: list[Any]) -> Iterator[Surface]:
    """The surface to drive the package with: the test runs once on each."""
    surface = surface_named(request.param)
    yield surface
    for llm in opened_llms:
        surface.close(llm)
    surface.shut()


@pytest.fixture(params=["whole", "stream"])
def whole_or_stream(request: pytest.FixtureRequest) -> WholeOrStream:
    """How the answer is asked for: the test runs once with each."""
    return WholeOrStream(request.param)


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    """The wire that is spoken: the test runs once on each."""
    return WIRES[request.param]
