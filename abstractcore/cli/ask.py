"""`abstractcore ask`: one question, one answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from abstractcore.cli.options import (
    BaseUrl,
    MaxOutputTokens,
    Mcp,
    Model,
    System,
    Temperature,
    Timeout,
    Tools,
    open_model,
)

if TYPE_CHECKING:
    from abstractcore.llm import LLM
    from abstractcore.types import GenerateResponse


def ask(
    prompt: Annotated[
        list[str] | None, typer.Argument(help="The question; several words are joined.")
    ] = None,
    model: Model = None,
    system: System = None,
    image: Annotated[
        list[str] | None, typer.Option("--image", "-i", help="A picture: a path or a URL.")
    ] = None,
    schema: Annotated[
        str | None, typer.Option("--schema", help="A file with the JSON Schema that the answer follows.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole response as JSON: text, usage, tool calls ...")
    ] = False,
    tools: Tools = None,
    mcp: Mcp = None,
    temperature: Temperature = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    base_url: BaseUrl = None,
) -> None:
    """Ask once, and print the answer.

    What is piped in stands after the prompt. On a terminal the text is shown as it comes; into a pipe or a
    file it is written when it is whole, so that a failure writes nothing there.
    """
    from abstractcore.cli.terminal import warn_of
    from abstractcore.cli.toolbox import read_json, toolbox

    question = _question(prompt)
    options: dict[str, Any] = {
        "system_prompt": system,
        "media": image,
        "temperature": temperature,
        "max_output_tokens": max_output_tokens,
    }
    if schema is not None:
        options["response_model"] = read_json(schema)
    with toolbox(tools, mcp) as found, open_model(model, base_url=base_url, timeout=timeout) as llm:
        if found:
            options |= {"tools": found, "run_tools": True}
        if sys.stdout.isatty() and not as_json and schema is None:
            response = _streamed(llm, question, options)
        else:
            response = llm.generate(question, return_response=True, **options)
            _print(_written(response, as_json=as_json, has_schema=schema is not None))
    warn_of(response)


def _question(words: list[str] | None) -> str:
    """Join the prompt with what is piped in. Raises ConfigurationError when there is nothing."""
    from abstractcore.errors import ConfigurationError

    try:
        piped = "" if sys.stdin.isatty() else sys.stdin.read()
    except UnicodeDecodeError as failure:
        raise ConfigurationError("what is piped in is not text") from failure
    question = "\n\n".join(part for part in (" ".join(words or ()), piped.rstrip("\n")) if part.strip())
    if not question:
        raise ConfigurationError("nothing to ask: give a prompt, or pipe one in")
    return question


def _streamed(llm: LLM, question: str, options: dict[str, Any]) -> GenerateResponse:
    from abstractcore.cli.terminal import PlainAnswer

    with PlainAnswer() as answer, llm.generate(question, stream=True, **options) as stream:
        for chunk in stream:
            answer.take(chunk)
        return stream.response


def _print(text: str) -> None:
    from abstractcore.cli.terminal import without_controls

    print(without_controls(text) if sys.stdout.isatty() else text)


def _written(response: GenerateResponse, *, as_json: bool, has_schema: bool) -> str:
    import json

    if not as_json and not has_schema:
        return response.content
    told = as_data(response) if as_json else response.parsed
    return json.dumps(told, ensure_ascii=False, indent=2)


def as_data(response: GenerateResponse) -> dict[str, Any]:
    """Give a response as JSON has it: all but the vendor's own words."""
    from dataclasses import asdict

    told = asdict(response)
    for name in ("raw", "provider_data"):
        del told[name]
    del told["usage"]["charges"]
    return told
