"""A release holds the package and what describes it, byte for byte the same whoever builds it."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import built, copied, modules, names_in

DESCRIPTION = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
BESIDE_THE_PACKAGE = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", ".gitignore"}
# 2023-11-14 22:13:20 UTC
EPOCH = "1700000000"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with files in it that nobody meant to release."""
    source = copied(tmp_path_factory.mktemp("tree"))
    package = source / "abstractcore"
    for name in ("evil.pth", "notes.txt", "key.pem", "module.so", ".env", "old.py.orig"):
        (package / name).write_text("secret")
    (package / "codecs" / "__pycache__").mkdir()
    (package / "codecs" / "__pycache__" / "base.cpython-311.pyc").write_bytes(b"x")
    (source / "sitecustomize.py").write_text("print('hi')")
    return source


@pytest.fixture(scope="module")
def release(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return built(tree, tmp_path_factory.mktemp("dist"), SOURCE_DATE_EPOCH=EPOCH)


def test_the_wheel_holds_the_modules_and_its_description_alone(
    tree: Path, release: tuple[Path, Path]
) -> None:
    names = {re.sub(r"^[^/]+\.dist-info/", "", name) for name in names_in(release[0])}

    assert names == modules(tree) | DESCRIPTION


def test_the_sdist_holds_the_modules_and_what_builds_them(tree: Path, release: tuple[Path, Path]) -> None:
    assert {*names_in(release[1])} == modules(tree) | BESIDE_THE_PACKAGE


def test_another_build_on_another_day_in_another_place_is_the_same(
    release: tuple[Path, Path], tree: Path, tmp_path: Path
) -> None:
    """Other times and rights of the files, other names of folders, another seed of hashes."""
    source = shutil.copytree(tree, tmp_path / "elsewhere")
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)

    again = built(source, tmp_path / "dist", SOURCE_DATE_EPOCH=EPOCH, PYTHONHASHSEED="7", TZ="Asia/Tokyo")

    for one, other in zip(release, again, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_times_in_the_wheel_are_those_of_the_release(release: tuple[Path, Path]) -> None:
    """SOURCE_DATE_EPOCH: https://reproducible-builds.org/specs/source-date-epoch/."""
    with zipfile.ZipFile(release[0]) as wheel:
        assert {entry.date_time for entry in wheel.infolist()} == {(2023, 11, 14, 22, 13, 20)}
