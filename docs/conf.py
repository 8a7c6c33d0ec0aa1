"""The built site: `make docs` makes it of the pages as they are, with Sphinx.

Two things are added while a page is read. `docs/index.md` is also the navigation: each of its `##` headings
is a group, and the link that begins a line of its lists is a page. And where `docs/api.md` lists a name,
there stand its signature and docstring.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "abstractcore"
author = "The abstractcore authors"
copyright = author  # what Sphinx calls it
extensions = ["myst_parser", "sphinx.ext.autodoc"]

# The source is the whole repository, so that every link works as it does on the code host.
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "examples/**/README.md"]
exclude_patterns = [".*", "abstractcore", "benchmarks", "build", "dist", "site", "tests"]
suppress_warnings = ["toc.not_included"]  # an example's own README; tests/docs sees to the pages

myst_heading_anchors = 6
smartquotes = False
default_role = "code"  # a docstring says `name` with one backtick, as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Whose members are not ours to document.
_BUILT_IN = "object,Exception,OSError,ImportError,TypeError,ValueError,dict,tuple"
# And what only other rooms of the package call.
_INTERNAL = "abandon,answer,chunks,watched"
autodoc_default_options = {"members": True, "inherited-members": _BUILT_IN, "exclude-members": _INTERNAL}
python_maximum_signature_line_length = 88

# Nothing is fetched: the theme has no font and no script from elsewhere.
html_theme = "furo"
html_title = "abstractcore"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

_START = (
    '<!doctype html><title>abstractcore</title><meta http-equiv="refresh" content="0; url=docs/index.html">'
)
PUBLIC = [f"abstractcore{room}" for room in ("", ".aio", ".testing", ".distributed", ".serve", ".plugins")]
_GROUP = re.compile(r"^## (.+)$", re.MULTILINE)
_PAGE = re.compile(r"^- \[([^\]]+)\]\(([^)#\s]+\.md)\)", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w./-]+)\)")
_PLURAL = re.compile(r"(`[^`\n]+`)(?=\w)")
_NAME = re.compile(r"^- `(abstractcore\.[\w.]+)`$", re.MULTILINE)


def navigation(index: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The groups of the index, each with the titles and the paths of its pages."""
    _, *parts = _GROUP.split(index)
    return [(group, _PAGE.findall(text)) for group, text in zip(parts[::2], parts[1::2], strict=True)]


def _toctree(group: str, pages: list[tuple[str, str]]) -> str:
    entries = [f"{title} <{path}>" for title, path in pages]
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {group}", "", *entries, "```"])


def _signature(name: str) -> str:
    module, _, last = name.rpartition(".")
    value = getattr(import_module(module), last)
    kind = "class" if isinstance(value, type) else "function" if callable(value) else "data"
    return "\n".join(["```{eval-rst}", f".. auto{kind}:: {name}", "```"])


def _unlisted(page: str) -> list[str]:
    """The public names that the page has not given a place yet."""
    listed = set(_NAME.findall(page))
    missing = [f"- `{name}`" for name in public_names() if name not in listed]
    return ["## More", "", *missing] if missing else []


def public_names() -> list[str]:
    """Every public name, but those of `aio` that are the very same object."""
    modules = {path: import_module(path) for path in PUBLIC}
    kept = [
        (path, name, getattr(module, name)) for path, module in modules.items() for name in module.__all__
    ]
    package = modules["abstractcore"]
    return [
        f"{path}.{name}"
        for path, name, value in kept
        if not isinstance(value, ModuleType)
        and (path == "abstractcore" or value is not getattr(package, name, None))
    ]


def _of_a_folder(beside: Path, link: re.Match[str]) -> str:
    """A folder has no page: its README has."""
    return f"]({link[1].rstrip('/')}/README.md)" if (beside / link[1]).is_dir() else link[0]


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    folder = (Path(app.srcdir) / page).parent
    source[0] = _LINK.sub(lambda found: _of_a_folder(folder, found), source[0])
    if page == root_doc:
        groups = navigation(source[0])
        source[0] = "\n\n".join([source[0], *(_toctree(*group) for group in groups if group[1])])
    elif page == "docs/api":
        text = "\n".join([source[0], "", *_unlisted(source[0])])
        source[0] = _NAME.sub(lambda found: _signature(found[1]), text)


def _docstring(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Sphinx reads docstrings as reStructuredText, where a letter may not follow a closing backtick."""
    lines[:] = [_PLURAL.sub(r"\1\\ ", line) for line in lines]


def _start_page(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and app.builder.format == "html":
        (Path(app.outdir) / "index.html").write_text(_START, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("build-finished", _start_page)
