"""The options that several commands have, and the model that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from abstractcore.llm import LLM

MODEL = "ABSTRACTCORE_MODEL"
DEFAULT_MODEL = "local"

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        envvar=MODEL,
        help="provider:model or provider/model, such as openai:gpt-5-mini. "
        "Without one: local, a model on this machine.",
    ),
]
System = Annotated[str | None, typer.Option("--system", "-s", help="The system prompt.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="Where the provider listens.")]
Temperature = Annotated[float | None, typer.Option("--temperature", "-t", help="The sampling temperature.")]
MaxOutputTokens = Annotated[
    int | None, typer.Option("--max-output-tokens", min=1, help="The longest answer, in tokens.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0.001, help="Seconds for a whole answer.")]
Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tools", help="A Python file whose @tool functions, or else public functions, the model may call."
    ),
]
Mcp = Annotated[
    list[str] | None,
    typer.Option("--mcp", help="A server of tools: its URL, or the command that starts it."),
]


def open_model(model: str | None, **options: Any) -> LLM:
    """Make the LLM that `--model` names; *options* that are None are left out."""
    from abstractcore import create_llm
    from abstractcore.serve.models import with_colon

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    return create_llm(with_colon(model or DEFAULT_MODEL), **given)
