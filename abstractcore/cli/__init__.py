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
    _prepare_streams()
    app(prog_name="abstractcore")


def _without_extra() -> int:
    print('abstractcore: the command line is not installed: pip install "abstractcore[cli]"', file=sys.stderr)
    return 2


def _prepare_streams() -> None:
    """Let no stream that is closed and no character that it lacks end the program; a warning is one line."""
    import os
    import warnings
    from io import TextIOWrapper

    from abstractcore.cli.exits import tell

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # as after `>&-` in a shell
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  it lives as long as the program
        elif isinstance(stream, TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="replace")
    warnings.showwarning = lambda message, *_, **__: tell(str(message), of="warning")
