"""`abstractcore ask`: one question, one answer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from abstractcore.cli.options import BaseUrl, MaxOutputTokens, Model, System, Temperature, Timeout, open_model


def ask(
    prompt: Annotated[
        list[str] | None, typer.Argument(help="The question; several words are joined.")
    ] = None,
    model: Model = None,
    system: System = None,
    base_url: BaseUrl = None,
    temperature: Temperature = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
) -> None:
    """Ask once, and print the answer. What is piped in stands after the prompt."""
    with open_model(model, base_url=base_url, timeout=timeout) as llm:
        response = llm.generate(
            _question(prompt),
            system_prompt=system,
            temperature=temperature,
            max_output_tokens=max_output_tokens,
        )
    print(response.content)


def _question(words: list[str] | None) -> str:
    """Join the prompt with what is piped in."""
    piped = "" if sys.stdin.isatty() else sys.stdin.read()
    question = "\n\n".join(part for part in (" ".join(words or ()), piped.rstrip("\n")) if part.strip())
    if not question:
        raise typer.BadParameter("nothing to ask: give a prompt, or pipe one in")
    return question
