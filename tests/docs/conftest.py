"""A world for the samples: a fake server behind every provider, and a tiny model in place of a real one."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore.engines.catalog import ENGINES
from abstractcore.models import HuggingFaceModel, LlamaCppModel, MLXModel
from abstractcore.providers.catalog import PROVIDERS
from tests.docs.answers import answer
from tests.docs.pages import ROOT
from tests.fakes.server import FakeServer

TINY_MODEL = ROOT / "tests" / "models" / "tiny-llama-chat.gguf"
TINY_FOLDER = TINY_MODEL.with_suffix("")
A_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
Run = Callable[..., str]


@pytest.fixture
def docs_server(server: FakeServer) -> FakeServer:
    server.route = answer
    return server


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the Hugging Face hub that has every model of `abstractcore.models`: each is the tiny one."""
    cache = tmp_path_factory.mktemp("hub")
    for name in (*MLXModel, *HuggingFaceModel, *LlamaCppModel):
        entry = cache / f"models--{name.replace('/', '--')}"
        snapshot = entry / "snapshots" / "main"
        snapshot.mkdir(parents=True)
        (entry / "refs").mkdir()
        (entry / "refs" / "main").write_text("main")
        if isinstance(name, LlamaCppModel):
            files = {"model-Q4_K_M.gguf": TINY_MODEL, "model-Q8_0.gguf": TINY_MODEL}
        else:
            files = {file.name: file for file in TINY_FOLDER.iterdir()}
        for file, target in files.items():
            (snapshot / file).symlink_to(target)
    return cache


@pytest.fixture
def environment(docs_server: FakeServer, hub_cache: Path) -> dict[str, str]:
    """The environment of a user whose every provider is the fake server, and every model a tiny one."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    for row in PROVIDERS.values():
        variables[row.url_variables[0]] = docs_server.url + ("" if row.prefix else "/v1")
        if row.key is not None:
            variables[row.key] = "dummy-key"
    # What the vendors' own clients read.
    variables |= {"AZURE_OPENAI_ENDPOINT": docs_server.url, "AZURE_OPENAI_API_KEY": "dummy-key"}
    variables |= {"ANTHROPIC_BEDROCK_BASE_URL": docs_server.url, "AWS_BEARER_TOKEN_BEDROCK": "dummy-key"}
    here = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables |= {"HF_HUB_CACHE": str(hub_cache), "HF_ENDPOINT": "http://127.0.0.1:9"}
    return {**variables, "ABSTRACTCORE_LOCAL_MODEL": str(TINY_MODEL), "PYTHONPATH": here}


@pytest.fixture
def run_python(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run a program to its end in an empty directory with a picture in it; what it printed comes back."""
    (tmp_path / "photo.png").write_bytes(base64.b64decode(A_PIXEL))

    def run(*arguments: Any) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Warning" not in done.stderr, done.stderr
        return done.stdout

    return run


def no_engine(name: str = "openvino") -> str | None:
    """Why this engine cannot run here, or None."""
    row = ENGINES[name]
    assert row is not None
    missing = [package for package in row.packages if importlib.util.find_spec(package) is None]
    return f'{missing[0]} is missing: pip install "abstractcore[{row.extra}]"' if missing else None
