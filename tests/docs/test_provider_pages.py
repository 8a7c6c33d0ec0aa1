"""What the pages of docs/providers say of a provider is what its row and its codec do."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from abstractcore.codecs.base import Codec
from abstractcore.providers.catalog import PROVIDERS
from abstractcore.types import GenerateRequest, ToolSpec
from tests.docs.pages import ROOT, prose, rows_of

PAGES = sorted((ROOT / "docs" / "providers").glob("*.md"))
TOOL = ToolSpec("add", "Add.", {"type": "object", "properties": {}})
EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "seed": 7,
    "stop": ["x"],
    "max_output_tokens": 100,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "thinking": True,
    "tools": [TOOL],
    "tool_choice": "required",
}
_HEADING = re.compile(r"^(#+) +(\S+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def sections() -> dict[str, str]:
    """The text under each heading that names a provider, to the next heading of its rank or above."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = prose(page)
        for heading in _HEADING.finditer(text):
            if heading[2] in PROVIDERS:
                end = re.compile(rf"^#{{1,{len(heading[1])}}} ", re.MULTILINE).search(text, heading.end())
                assert heading[2] not in found, f"{heading[2]} has two sections"
                found[heading[2]] = text[heading.end() : end.start() if end else None]
    return found


SECTIONS = sections()


def facts(provider: str) -> dict[str, str]:
    return {row[0]: row[1] for row in rows_of(SECTIONS[provider], "what")}


def codecs(provider: str) -> dict[str, Codec]:
    """The codecs of a row, by what the pages call them; "" where there is but one."""
    row = PROVIDERS[provider]
    names = {"responses": "Responses", "chat": "Chat Completions"}
    return {names[name]: codec for name, codec in row.apis.items()} or {"": row.codec}


def encoded(codec: Codec, **wishes: Any) -> Any:
    return codec.encode(GenerateRequest("m", [{"role": "user", "content": "Hi"}], **wishes))


def test_every_provider_has_a_section() -> None:
    assert SECTIONS.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_section_names_the_variables_and_the_default_url(provider: str) -> None:
    row, told = PROVIDERS[provider], facts(provider)

    assert row.key in _CODE.findall(told["key"]) if row.key else told["key"].startswith("none")
    assert {*row.url_variables, *filter(None, [row.url])} <= {*_CODE.findall(told["base URL"])}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_section_says_what_is_left_out(provider: str) -> None:
    told = facts(provider)
    for wire, codec in codecs(provider).items():
        lacking = {warning.partition(" ")[0] for warning in encoded(codec, **EVERYTHING).warnings}
        assert {*_CODE.findall(told[f"left out on {wire}" if wire else "left out"])} == lacking


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_an_argument_sends_is_what_the_codec_writes(provider: str) -> None:
    by_wire = codecs(provider)
    for argument, *told in rows_of(SECTIONS[provider], "argument"):
        (call,) = _CODE.findall(argument)
        wishes = {
            word.arg: ast.literal_eval(word.value) for word in ast.parse(f"f({call})").body[0].value.keywords
        }
        for codec, cell in zip(by_wire.values(), told, strict=True):
            body = json.loads("{" + _CODE.findall(cell)[0] + "}")
            sent = encoded(codec, **wishes).body
            assert {name: sent.get(name) for name in body} == body


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_that_can_think_says_how(provider: str) -> None:
    takes = all(
        "thinking" not in " ".join(encoded(codec, thinking=True).warnings)
        for codec in codecs(provider).values()
    )
    shown = [row[0] for row in rows_of(SECTIONS[provider], "argument") if "thinking" in row[0]]

    assert bool(shown) is takes
