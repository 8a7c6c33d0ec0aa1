"""What a release would upload, built from a copy of the tree: nothing that is made meanwhile gets in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BESIDE = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore")


def copied(folder: Path) -> Path:
    """Copy what a build reads into *folder*, without what Python left beside its modules."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "abstractcore", folder / "abstractcore", ignore=ignored)
    for name in _BESIDE:
        shutil.copy(ROOT / name, folder / name)
    return folder


def modules(source: Path) -> set[str]:
    """The files of the package: its modules, the mark that it is typed, and the gateway's page."""
    package = source / "abstractcore"
    paths = [*package.rglob("*.py"), package / "py.typed", package / "serve" / "page.html"]
    return {path.relative_to(source).as_posix() for path in paths}


def built(source: Path, folder: Path, **environment: str) -> tuple[Path, Path]:
    """Build the wheel and the sdist of *source* into *folder*."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    known = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        command, cwd=source, env={**known, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def names_in(archive: Path) -> list[str]:
    """What a wheel or an sdist holds; an sdist without the folder that everything stands in."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as sdist:
        return [name.partition("/")[2] for name in sdist.getnames()]
