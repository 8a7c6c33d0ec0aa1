"""An environment for each peer, made by pip where it is missing, outside what the repository tracks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients import Client

CACHE = Path(__file__).parents[2] / ".venv" / "peers"
LONGEST = 900


class NotInstallableError(Exception):
    """A peer cannot be had here; its text is pip's reason."""


def python_of(client: Client) -> str:
    """The interpreter of the environment of *client*, which is made first where it is missing."""
    if not client.requirements:
        return sys.executable
    folder = CACHE / client.name.split()[0]
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    stamp = folder / "requirements.json"
    wanted = json.dumps([sys.version, *client.requirements])
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"Installing {' '.join(client.requirements)} in {folder} ...", flush=True)
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(python), "-m", "pip", "--disable-pip-version-check", "-qq", "install", *client.requirements)
    stamp.write_text(wanted)
    return str(python)


def version_of(client: Client, python: str) -> str:
    """The version that is measured."""
    program = f"import importlib.metadata; print(importlib.metadata.version({client.package!r}))"
    return subprocess.run(
        [python, "-P", "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def _run(*command: str) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise NotInstallableError(f"not installed after {LONGEST} s") from None
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.startswith("ERROR:")]
        reason = (said or ended.stderr.splitlines() or ["pip failed"])[-1]
        raise NotInstallableError(reason.removeprefix("ERROR: ")[:200])
