"""`python -m abstractcore`: the command line."""

from __future__ import annotations

from abstractcore.cli import main

if __name__ == "__main__":
    main()
