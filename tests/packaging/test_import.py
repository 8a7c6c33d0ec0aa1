"""Importing the package, and making an LLM, touch no socket, no process and no file but Python's own."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.building import ROOT
from tests.packaging.watched import done_by

PACKAGE = str(ROOT / "abstractcore")
LIBRARIES = site.getsitepackages()
# `import` lists the folders of its path, to find modules in them; the clone is one, where it is installed so.
LISTED = {f"reads {path}" for path in (str(ROOT), *LIBRARIES)}


def own(code: str, *, readable: list[str]) -> list[str]:
    """What *code* does, but for `import` finding the package."""
    return [line for line in done_by(_dedented(code), readable=readable) if line not in LISTED]


def test_the_import_reads_its_own_files_alone() -> None:
    assert own("import abstractcore", readable=[PACKAGE]) == []


def test_every_public_name_is_there_without_socket_process_or_file() -> None:
    """A name is imported when it is first asked for, and httpx and pydantic with some."""
    code = """
        import abstractcore, abstractcore.aio
        for module in (abstractcore, abstractcore.aio):
            for name in module.__all__:
                getattr(module, name)
    """
    assert own(code, readable=[PACKAGE, *LIBRARIES]) == []


def test_an_llm_of_every_provider_is_made_without_socket_process_or_file() -> None:
    code = """
        from abstractcore import create_llm
        from abstractcore.providers.catalog import PROVIDERS

        for name in PROVIDERS:
            with create_llm(name, "m", api_key="k", base_url="http://127.0.0.1:9/v1") as llm:
                assert llm.provider == name
    """
    assert own(code, readable=[PACKAGE, *LIBRARIES]) == []


def test_what_only_embeds_or_batches_is_loaded_when_it_is_asked_for() -> None:
    """All but the base class that gives every LLM its `batch`."""
    code = """
        import sys
        from abstractcore import create_llm

        create_llm("openai-compatible", "m", base_url="http://127.0.0.1:9/v1").close()
        print(*sorted(name for name in sys.modules if name.startswith("abstractcore.") and name.endswith(
            ("batching", "batches", "embed", "embeddings", "vectors", "batch_service", "distributed"))))
    """
    done = subprocess.run(
        [sys.executable, "-c", _dedented(code)], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert done.stdout.split() == ["abstractcore.batching"]


BITES = {
    "import socket; socket.socket().close()": "socket.__new__",
    "import socket; socket.getaddrinfo('localhost', 80)": "socket.getaddrinfo",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])": "subprocess.Popen",
    "import os; os.system('true')": "os.system",
    "import os; os.fork() or os._exit(0)": "os.fork",
    "open('/dev/null', 'w').close()": "writes /dev/null",
    "import os; os.close(os.open('/dev/null', os.O_RDWR))": "writes /dev/null",
    "import pathlib; pathlib.Path('/dev/null').read_bytes()": "reads /dev/null",
    "import os; os.listdir('/')": "reads /",
    "import os; os.environ['A'] = 'b'": "os.putenv",
    "try:\n    open('/no/such/file')\nexcept OSError:\n    pass": "reads /no/such/file",
}


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="the acts are written for POSIX")
@pytest.mark.parametrize(("code", "told"), BITES.items(), ids=BITES.values())
def test_the_guard_sees_each_of_these(code: str, told: str) -> None:
    """Else the tests above would prove nothing."""
    assert any(line.startswith(told) for line in done_by(code, readable=[PACKAGE]))


def _dedented(code: str) -> str:
    return "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
