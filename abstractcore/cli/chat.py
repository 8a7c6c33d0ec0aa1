"""`abstractcore chat`: a conversation in the terminal."""

from __future__ import annotations

from functools import partial
from typing import Annotated

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


def chat(
    model: Model = None,
    system: System = None,
    load: Annotated[
        str | None, typer.Option("--load", "-l", help="Go on with a conversation that /save wrote.")
    ] = None,
    tools: Tools = None,
    mcp: Mcp = None,
    approve: Annotated[bool, typer.Option("--approve", help="Ask before each tool is run.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Show the text as it is, not as markdown.")] = False,
    history: Annotated[bool, typer.Option(help="Remember what was typed for the next time.")] = True,
    temperature: Temperature = None,
    max_output_tokens: MaxOutputTokens = None,
    timeout: Timeout = None,
    base_url: BaseUrl = None,
) -> None:
    """Talk with a model.

    Ctrl-C stops the answer and not the program; /help lists the commands; Ctrl-D leaves.
    """
    from abstractcore import BasicSession
    from abstractcore.cli.line_input import LineInput
    from abstractcore.cli.slash import COMMANDS, command
    from abstractcore.cli.talk import Talk
    from abstractcore.cli.toolbox import toolbox

    options = {"temperature": temperature, "max_output_tokens": max_output_tokens, "timeout": timeout}
    opened = partial(open_model, **options)
    with (
        toolbox(tools, mcp) as found,
        Talk(
            BasicSession(opened(model, base_url=base_url), system, found),
            LineInput(list(COMMANDS), remembers=history),
            opened,
            command,
            is_plain=plain,
        ) as talk,
    ):
        if approve:
            talk.ask_before_tools()
        if load is not None:
            talk.load(load)
        talk.run()
