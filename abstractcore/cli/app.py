"""The program: its commands, and how their failures end."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from abstractcore.cli.ask import ask
from abstractcore.cli.bench import bench
from abstractcore.cli.chat import chat
from abstractcore.cli.doctor import doctor
from abstractcore.cli.exits import INTERRUPTED, code_of, tell
from abstractcore.cli.models import models
from abstractcore.cli.serve import serve


class Commands(TyperGroup):
    """Ends a failed command with one line on stderr and the code of the error's class."""

    def main(self, *arguments: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Run a command, and leave the program with its code."""
        from abstractcore.errors import AbstractCoreError

        try:
            code = super().main(*arguments, standalone_mode=False, **options)
            sys.stdout.flush()
        except typer.TyperException as failure:
            if message := failure.format_message():  # empty where the help was shown in place of it
                tell(message)
            code = failure.exit_code
        except AbstractCoreError as failure:
            tell(failure.message)
            code = code_of(failure)
        except OSError as failure:
            if not isinstance(failure, BrokenPipeError):  # whoever read has read enough
                tell(str(failure.strerror or failure))
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  Python flushes it once more at the end
            code = 1
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from abstractcore import __version__

        typer.echo(f"abstractcore {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """Ask language models, remote or on this machine."""


# One line for each command, in the order of the help: its file has a function of its name.
app.command()(chat)
app.command()(ask)
app.command()(models)
app.command()(doctor)
app.command()(bench)
app.command()(serve)
