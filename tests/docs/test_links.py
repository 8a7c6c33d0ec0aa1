"""Links inside the repository lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name_of

OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name_of)
def test_links_resolve(page: Path) -> None:
    broken: list[str] = []
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize(
    ("index", "folder"), [("index.md", "."), ("providers.md", "providers"), ("local-models.md", "engines")]
)
def test_every_page_is_in_the_index_of_its_folder(index: str, folder: str) -> None:
    docs = ROOT / "docs"
    listed = {docs / link.partition("#")[0] for link in links(docs / index)}

    assert {page for page in PAGES if page.parent == docs / folder} - {docs / "index.md"} <= listed
