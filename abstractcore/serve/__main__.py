"""`python -m abstractcore.serve openai/gpt-5-mini local`: the gateway without the command line's extra."""

from __future__ import annotations

import argparse
import sys

from abstractcore.errors import AbstractCoreError
from abstractcore.serve import run
from abstractcore.serve.models import named_specs


def main() -> int:
    """Serve the models that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m abstractcore.serve",
        description="Serve models over the wires of OpenAI and Anthropic.",
        epilog="Keys stand in the environment, as ABSTRACTCORE_SERVE_KEYS=one,other.",
    )
    parser.add_argument("models", nargs="+", help="openai/gpt-5-mini, local, or fast=openai/gpt-5-mini")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    try:
        run(named_specs(given.models), host=given.host, port=given.port)
    except AbstractCoreError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
