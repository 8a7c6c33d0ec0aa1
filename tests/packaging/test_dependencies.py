"""What an installation without extras brings: five libraries and theirs, under licences that are listed."""

from __future__ import annotations

import re
from importlib.metadata import distribution

from tests.docs.pages import rows
from tests.packaging.licences import PAGE, needs, page, tree

OURS = {"httpx", "httpcore", "h11", "pydantic", "tenacity"}
THEIRS = {
    *("anyio", "certifi", "idna"),  # httpx's and httpcore's
    *("annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"),  # pydantic's
}
# Those of which a product may be made without asking anybody.
ALLOWED = {"MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "PSF-2.0"}


def test_an_installation_brings_five_libraries_and_theirs() -> None:
    """A new one needs a sentence in docs/why.md, a line here and a look at its licence."""
    assert {*needs(distribution("abstractcore"))} == OURS
    assert {one.name for one in tree()} <= OURS | THEIRS


def test_each_licence_lets_a_product_be_made() -> None:
    assert {one.name: one.licence for one in tree() if one.licence not in ALLOWED} == {}


def test_the_page_lists_what_is_installed() -> None:
    """`make licences` writes it."""
    listed = {re.sub(r"^\[([^]]+)\].*", r"\1", name): licence for name, licence, _ in rows(PAGE, "library")}

    assert listed == {one.name: one.licence for one in tree()}
    assert PAGE.read_text(encoding="utf-8").split("| library")[0] == page().split("| library")[0]
