"""The built site: strict, whole, and without anything from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, ROOT
from tests.real.processes import absent

DOCS = ROOT / "docs"
_FETCHED = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*\shref="(?:https?:)?//"""
)
_FETCHED_BY_STYLE = re.compile(r"""url\(["']?(?:https?:)?//|@import""")

pytestmark = pytest.mark.timeout(300)  # the build is the first test's, on a machine that may be busy


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does: any warning is a failure."""
    for package in ("sphinx", "myst_parser", "furo"):
        if importlib.util.find_spec(package) is None:
            absent(f"{package} is missing: pip install --group docs")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", str(source / "docs")]
    command += ["-d", str(folder / "doctrees"), str(source), str(folder / "site")]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def conf() -> Any:
    """What the site is made by, as a module."""
    specification = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def listed(conf: Any) -> list[Path]:
    """The pages of the navigation, in order."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    return [(DOCS / path).resolve() for _, pages in conf.navigation(index) for _, path in pages]


def test_every_page_is_in_the_navigation_once(listed: list[Path]) -> None:
    """A new page gets one line in docs/index.md that begins with its link."""
    pages = sorted(listed)

    assert pages == sorted(set(pages))
    assert {page for page in PAGES if page != DOCS / "index.md"} - set(pages) == set()


def test_every_page_is_built_and_reached_from_the_start(site: Path, listed: list[Path]) -> None:
    start = (site / "docs" / "index.html").read_text(encoding="utf-8")

    for page in listed:
        built = site / page.relative_to(ROOT).with_suffix(".html")
        assert "<h1>" in built.read_text(encoding="utf-8")
        assert f'href="{os.path.relpath(built, site / "docs")}"' in start
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_every_public_name_has_its_signature(site: Path, conf: Any) -> None:
    """`objects.inv` is what other sites link to; its first four lines are not compressed."""
    *_, compressed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    documented = {line.split()[0] for line in zlib.decompress(compressed).decode().splitlines()}

    assert len(conf.public_names()) > 80
    assert set(conf.public_names()) - documented == set()


def test_the_site_fetches_nothing(site: Path) -> None:
    """It can be read offline, and nobody elsewhere learns who reads it."""
    fetching = [page.name for page in site.rglob("*.html") if _FETCHED.search(page.read_text("utf-8"))]
    styled = [page.name for page in site.rglob("*.css") if _FETCHED_BY_STYLE.search(page.read_text("utf-8"))]

    assert fetching + styled == []


def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    for name in ("conf.py", "site.css"):
        shutil.copy(DOCS / name, source / "docs")
    (source / "docs" / "index.md").write_text(
        "# Documents\n\nSee [that](nowhere.md) and [this](#no-heading).\n"
    )

    done = build(source, tmp_path)

    assert done.returncode != 0
    assert "nowhere.md" in done.stderr
    assert "no-heading" in done.stderr
