"""`abstractcore serve`: models behind the wires of OpenAI and Anthropic."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from abstractcore.cli.options import DEFAULT_MODEL, MODEL


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to serve, such as openai/gpt-5-mini or local; name=openai/gpt-5-mini gives it a name "
            "for requests to say.",
            envvar=MODEL,
            show_envvar=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65_535, help="The port.")] = 8000,
    keys_file: Annotated[
        str | None,
        typer.Option(
            "--keys-file",
            help="A file with a bearer key on each line. Without it: the keys in ABSTRACTCORE_SERVE_KEYS, "
            "separated by commas. Without any, only this machine is answered.",
        ),
    ] = None,
    max_requests: Annotated[
        int, typer.Option("--max-requests", min=1, help="How many requests may be under way.")
    ] = 1_000,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--log-level", help="What is logged.")
    ] = "info",
) -> None:
    """Serve models to the clients of OpenAI and Anthropic, until Ctrl-C.

    Chat Completions, Responses, embeddings and Messages, with a page to chat at on /.
    """
    from abstractcore.serve import run
    from abstractcore.serve.models import named_specs

    run(
        named_specs(models or [DEFAULT_MODEL]),
        host=host,
        port=port,
        keys=None if keys_file is None else _keys(keys_file),
        max_requests=max_requests,
        log_level=log_level,
    )


def _keys(path: str) -> list[str]:
    """Read the keys; a line that begins with # is none."""
    from abstractcore.errors import ConfigurationError

    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as failure:
        raise ConfigurationError(f"{path} cannot be read: {type(failure).__name__}") from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ConfigurationError(f"{path} holds no key")
    return keys
