"""The command line: `abstractcore`, of the extra `cli`.

Each command is one file, which imports what it needs when it runs; `app` has one line for it.
"""

from __future__ import annotations

import sys

_NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command that the program was started with; without the extra, say how to install it."""
    try:
        from abstractcore.cli.app import app
    except ModuleNotFoundError as failure:
        if failure.name not in _NEEDED:
            raise
        sys.exit(_without_extra())
    _prepare_output()
    app(prog_name="abstractcore")


def _without_extra() -> int:
    print('abstractcore: the command line is not installed: pip install "abstractcore[cli]"', file=sys.stderr)
    return 2


def _prepare_output() -> None:
    """Let no character that the terminal lacks end the program, and show a warning as one line."""
    import warnings
    from io import TextIOWrapper

    from abstractcore.cli.exits import tell

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    warnings.showwarning = lambda message, *_, **__: tell(str(message), of="warning")
