"""The tables of the documents say what the code says."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import abstractcore
from abstractcore import (
    LLM,
    AbstractCoreError,
    Agent,
    BasicSession,
    Chain,
    Client,
    EvaluatorOptimizer,
    GenerateResponse,
    Parallel,
    Router,
    StreamChunk,
    aio,
    create_llm,
    errors,
)
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.engines.catalog import ENGINE_OPTIONS, ENGINES
from abstractcore.engines.options import EngineOptions
from abstractcore.factory import Options
from abstractcore.providers.catalog import PROVIDERS
from tests.docs.pages import EXAMPLES, ROOT, prose, rows

README = ROOT / "README.md"
DOCS = ROOT / "docs"
_CODE = re.compile(r"`([^`]+)`")


def first_cells(page: Path) -> set[str]:
    """The names in code that begin the rows of a page's tables."""
    return {name for row in rows(page) for name in _CODE.findall(row[0])}


def test_the_readme_lists_every_provider_with_its_variables_and_url() -> None:
    table = {
        row[0].strip("`"): [tuple(_CODE.findall(cell)) for cell in row[1:]]
        for row in rows(README, "Provider")
    }

    assert table == {
        name: [(row.key,) if row.key else (), row.url_variables, (row.url,) if row.url else ()]
        for name, row in PROVIDERS.items()
    }


def test_the_reference_has_a_line_for_every_public_name() -> None:
    assert set(abstractcore.__all__) - first_cells(DOCS / "reference.md") == set()


def test_the_reference_has_a_line_for_every_argument() -> None:
    named = first_cells(DOCS / "reference.md")
    taken = {
        *inspect.signature(LLM.generate).parameters,
        *inspect.signature(create_llm).parameters,
        *inspect.signature(BasicSession).parameters,
        *Options.__annotations__,
        *ENGINE_OPTIONS,
    } - {"self", "sampling", "options", "unknown"}

    assert taken - named == set()


def test_the_reference_has_a_line_for_every_field_and_method() -> None:
    named = first_cells(DOCS / "reference.md")
    values = {field.name for kind in (GenerateResponse, StreamChunk) for field in fields(kind)}
    methods = {
        name
        for kind in (LLM, BasicSession)
        for name in dir(kind)
        if not name.startswith("_") and name != "answer"
    }

    assert (values | methods) - named == set()


def test_the_reference_has_a_line_for_clients_and_agents() -> None:
    named = first_cells(DOCS / "reference.md")
    members = {name for kind in (Client, aio.Client, Agent) for name in dir(kind) if not name.startswith("_")}
    taken = {*inspect.signature(Client.chat).parameters, *inspect.signature(Agent).parameters}

    assert (members - {"chunks", "watched"} | taken - {"self", "text", "params"}) - named == set()


@pytest.mark.parametrize("workflow", [Chain, Parallel, Router, EvaluatorOptimizer])
def test_the_reference_names_every_argument_of_a_workflow(workflow: type) -> None:
    told = dict(rows(DOCS / "reference.md", "workflow"))[f"`{workflow.__name__}`"]

    assert set(inspect.signature(workflow).parameters) <= set(_CODE.findall(told))


def test_the_page_on_errors_has_a_line_for_every_error() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, AbstractCoreError)
    }

    assert kinds - {"AbstractCoreError"} == first_cells(DOCS / "errors.md")


def test_the_page_on_providers_has_a_line_for_every_field_of_the_codec() -> None:
    assert {field.name for field in fields(OpenAIChat)} == first_cells(DOCS / "new-provider.md") - {"field"}


def test_the_page_on_local_models_says_which_engine_takes_which_option() -> None:
    page = DOCS / "local-models.md"
    engines = {name: row for name, row in ENGINES.items() if row is not None}
    heads = next(row for row in rows(page) if row[0] == "option")
    usual = EngineOptions()
    told = {
        row[0].strip("`"): (row[1].strip("`"), dict(zip(heads[2:], row[2:], strict=True)))
        for row in rows(page, "option")
    }

    assert told == {
        name: (
            {None: "none", (): "none"}.get(getattr(usual, name), str(getattr(usual, name))),
            {f"`{engine}`": "yes" if name in row.options else "" for engine, row in engines.items()},
        )
        for name in ENGINE_OPTIONS
    }


@pytest.mark.parametrize("engine", [name for name, row in ENGINES.items() if row is not None])
def test_an_engine_has_a_page_that_says_how_to_install_it(engine: str) -> None:
    row = ENGINES[engine]
    assert row is not None

    text = (DOCS / "engines" / f"{engine}.md").read_text(encoding="utf-8")

    assert f"pip install '.[{row.extra}]'" in text


def test_the_readme_names_every_example() -> None:
    text = prose(README)

    assert [path.name for path in EXAMPLES if f"examples/{path.name}" not in text] == []


def test_the_readme_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    text = README.read_text(encoding="utf-8")

    assert [extra for extra in extras if f"`{extra}`" not in text and f".[{extra}]" not in text] == []
