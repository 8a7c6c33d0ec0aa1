"""One target under atheris, which counts the branches of the codecs that an input takes.

`python -m tests.fuzz.led framing program -max_total_time=60 folder`: *program* starts this again, and the
rest are libFuzzer's arguments.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["abstractcore.codecs", "json"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    _, name, program, *rest = sys.argv
    atheris.Setup([program, *rest], TARGETS[name])
    atheris.Fuzz()
