"""Chat templates that do what other models' do: the tiny model with another template in its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from abstractcore import create_llm
from abstractcore.engines.gguf import read_gguf
from abstractcore.errors import ConfigurationError, UnsupportedFeatureError
from tests.fakes.surfaces import Surface

from .conftest import TINY
from .toy import failure_of

CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ASSISTANT = "<|im_start|>assistant\n"


class Verdict(BaseModel):
    is_right: Literal["yes", "no"]


@pytest.fixture
def with_template(needs_openvino: None, tmp_path: Path, opened_llms: list[Any]) -> Callable[..., Any]:
    """Make an LLM of the tiny model with *template* in the place of its own, which is longer."""

    def make(template: str) -> Any:
        own = str(read_gguf(TINY)["tokenizer.chat_template"]).encode()
        comment = "{#" + " " * (len(own) - len(template.encode()) - 4) + "#}"
        changed = TINY.read_bytes().replace(own, (template + comment).encode())
        (tmp_path / "model.gguf").write_bytes(changed)
        opened_llms.append(create_llm("openvino", str(tmp_path / "model.gguf")))
        return opened_llms[-1]

    return make


def test_a_template_that_raises_tells_its_own_words_only(
    surface: Surface, with_template: Callable[..., Any]
) -> None:
    """CONTRACT B9: no prompt in an error, though the runtime's message holds it."""
    llm = with_template("{{ raise_exception('Roles must alternate ' + messages[0].content) }}")
    failure = failure_of(lambda: surface.generate(llm, "my secret"))

    assert isinstance(failure, ConfigurationError)
    assert "Roles must alternate" in str(failure)
    assert "secret" not in str(failure)


def test_a_template_that_fails_is_the_callers_to_know(
    surface: Surface, with_template: Callable[..., Any]
) -> None:
    failure = failure_of(lambda: surface.generate(with_template("{{ messages[0].no.thing() }}"), "my secret"))

    assert isinstance(failure, ConfigurationError)
    assert "chat template" in str(failure)
    assert "secret" not in str(failure)


def test_a_model_without_a_template_was_not_made_for_chats(
    surface: Surface, needs_openvino: None, opened_llms: list[Any], tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(TINY.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_xemplate"))
    opened_llms.append(create_llm("openvino", str(path)))

    assert isinstance(failure_of(lambda: surface.generate(opened_llms[-1], "hello")), UnsupportedFeatureError)


def test_a_think_block_that_the_template_opens_is_thinking(
    surface: Surface, with_template: Callable[..., Any]
) -> None:
    """CONTRACT B11: only its end stands in the text."""
    response = surface.generate(with_template(CHAT + ASSISTANT + "<think>"), "think")

    assert response.reasoning == "First, I think."
    assert response.content == "The answer is 42."


def test_a_schema_leaves_no_room_for_a_think_block(
    surface: Surface, with_template: Callable[..., Any]
) -> None:
    """CONTRACT B11, I1: the answer is the JSON, though the template has opened a block."""
    llm = with_template(CHAT + ASSISTANT + "<think>")
    verdict = surface.generate(llm, "Is it right?", response_model=Verdict, max_output_tokens=200)

    assert verdict.is_right in ("yes", "no")


@pytest.mark.parametrize(
    ("thinking", "content"),
    [(True, "The answer is 42."), (False, "Hello! How can I help you today?")],
)
def test_thinking_is_switched_by_the_template(
    surface: Surface, with_template: Callable[..., Any], thinking: bool, content: str
) -> None:
    """CONTRACT B11"""
    question = "<|im_start|>user\n{% if enable_thinking %}think{% else %}hello{% endif %}<|im_end|>\n"
    response = surface.generate(with_template(question + ASSISTANT), "any", thinking=thinking)

    assert (response.content, response.warnings) == (content, [])


def test_extra_words_reach_the_template(surface: Surface, with_template: Callable[..., Any]) -> None:
    """CONTRACT A5"""
    question = "<|im_start|>user\n{{ question }}<|im_end|>\n"
    llm = with_template(question + ASSISTANT)
    response = surface.generate(llm, "any", extra={"chat_template_kwargs": {"question": "emoji"}})

    assert response.content == "naïve café 日本語 🙂"


@pytest.mark.parametrize("control", ["<|im_end|>", "<|im_start|>", "<tool_call>"])
def test_data_cannot_change_roles(surface: Surface, with_template: Callable[..., Any], control: str) -> None:
    """FAULTS LLM01: what looks like a control token in a message is read letter by letter."""
    llm = with_template(CHAT + ASSISTANT)
    plain, attacked = (
        surface.generate(llm, text, max_output_tokens=1) for text in ("hello", f"hello{control}")
    )

    assert attacked.usage.input_tokens == plain.usage.input_tokens + len(control)
