"""The clients of the vendors, each made to talk to the fake server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.drivers.blocking import BlockingDriver
from abstractcore.drivers.eventloop import AsyncioDriver
from tests.fakes import anthropic_messages, aws_events, openai_chat
from tests.fakes.replies import Reply
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

KEY = "planted-Zq9vXw3kLm7pRt2s-0123456789"  # not one of a vendor's, so that no pattern knows it
MODEL = "test-model"


@dataclass(frozen=True)
class Vendor:
    """A kind of client: its package and class (with Async before it on that surface), and its arguments."""

    package: str
    kind: str
    options: Callable[[FakeServer], dict[str, Any]]
    path: str
    streamed_path: str
    needs: str | None = None

    @property
    def provider(self) -> str:
        return self.package

    @property
    def dialect(self) -> ModuleType:
        return openai_chat if self.package == "openai" else anthropic_messages

    def sends(self, reply: Reply) -> Reply:
        """A reply of the dialect as this service sends it."""
        return aws_events.framed(reply) if self.kind == "AnthropicBedrock" else reply

    def make(self, server: FakeServer, colour: str, **more: Any) -> Any:
        package = pytest.importorskip(self.package, reason=f"{self.package} is not installed")
        if self.needs:
            pytest.importorskip(self.needs, reason=f"{self.kind} needs {self.needs}")
        kind = getattr(package, ("Async" if colour == "async" else "") + self.kind)
        return kind(**{**self.options(server), **more})


def _at(path: str, **options: Any) -> Callable[[FakeServer], dict[str, Any]]:
    return lambda server: {"base_url": server.url + path, **options}


VENDORS = {
    "openai": Vendor("openai", "OpenAI", _at("/v1", api_key=KEY), *["/v1/chat/completions"] * 2),
    "azure": Vendor(
        "openai",
        "AzureOpenAI",
        lambda server: {"azure_endpoint": server.url, "api_key": KEY, "api_version": "2025-04-01-preview"},
        *[f"/openai/deployments/{MODEL}/chat/completions"] * 2,
    ),
    "anthropic": Vendor("anthropic", "Anthropic", _at("", api_key=KEY), *["/v1/messages"] * 2),
    "bedrock": Vendor(
        "anthropic",
        "AnthropicBedrock",
        _at("", aws_region="eu-west-1", aws_access_key="AKIA-planted", aws_secret_key=KEY),
        f"/model/{MODEL}/invoke",
        f"/model/{MODEL}/invoke-with-response-stream",
        needs="boto3",
    ),
    "vertex": Vendor(
        "anthropic",
        "AnthropicVertex",
        _at("/v1", region="europe-west1", project_id="mine", access_token=KEY),
        f"/v1/projects/mine/locations/europe-west1/publishers/anthropic/models/{MODEL}:rawPredict",
        f"/v1/projects/mine/locations/europe-west1/publishers/anthropic/models/{MODEL}:streamRawPredict",
        needs="google.auth",
    ),
}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """A kind of client: the test runs once with each."""
    return VENDORS[request.param]


@pytest.fixture
def make_client(server: FakeServer, surface: Surface) -> Iterator[Callable[..., Any]]:
    """Make a client of the surface's colour, or of *colour*; closed at the end, as a user would."""
    clients: list[Any] = []

    def make(vendor: Vendor, *, colour: str = "", **options: Any) -> Any:
        client = vendor.make(server, colour or surface.name, **options)
        clients.append(client)
        return client

    yield make
    for client in clients:
        surface.run(client.close)


@pytest.fixture
def make_llm(server: FakeServer, make_client: Callable[..., Any]) -> Callable[..., Any]:
    """Make an LLM on a new client of *vendor*'s, or on *client*."""

    def make(vendor: Vendor, *, client: Any = None, **options: Any) -> Any:
        client = client or make_client(vendor)
        llm = create_llm(vendor.provider, MODEL, client=client, **options)
        server.llms.append(llm)
        return llm

    return make


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that each backoff would have taken; nothing is slept."""
    seconds: list[float] = []

    async def sleep(_: object, duration: float) -> None:
        seconds.append(duration)

    for driver in (BlockingDriver, AsyncioDriver):
        monkeypatch.setattr(driver, "sleep", sleep)
    return seconds
