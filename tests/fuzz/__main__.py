"""`python -m tests.fuzz --minutes 4`: each target for its part of the time, led by atheris.

The corpus is extended by what reaches new places of the code. An input that fails is kept too, so that
`make test` fails until it is mended.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.corpus import keep, kept
from tests.fuzz.targets import TARGETS

_LONGEST = 400
_FAILURES = ("crash", "timeout", "oom")
_ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--targets", nargs="+", choices=[*TARGETS], default=[*TARGETS])
    given = parser.parse_args()
    seconds = max(1, round(given.minutes * 60 / len(given.targets)))
    failed = [target for target in given.targets if not fuzzed(target, seconds)]
    print(
        f"failed: {', '.join(failed)}; the inputs are kept in tests/fuzz/corpus"
        if failed
        else "nothing found"
    )
    return 1 if failed else 0


def fuzzed(target: str, seconds: int) -> bool:
    """Fuzz one target; tell whether it held."""
    print(f"== {target}, {seconds} s", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new, smallest = (folder / part for part in ("old", "new", "smallest"))
        for place in (old, new, smallest):
            place.mkdir()
        for number, data in enumerate(kept(target)):
            (old / str(number)).write_bytes(data)
        options = (f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", f"-max_len={_LONGEST}")
        done = led(folder, target, *options, "-print_final_stats=1", str(new), str(old))
        print(*done.stderr.splitlines()[-6 if done.returncode == 0 else -60 :], sep="\n")
        failing = [path.read_bytes() for kind in _FAILURES for path in folder.glob(f"{kind}-*")]
        merged = led(folder, target, "-merge=1", str(smallest), str(old), str(new))
        assert merged.returncode == 0, merged.stderr
        keep(target, [*(path.read_bytes() for path in smallest.iterdir()), *failing])
    return done.returncode == 0


def led(folder: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the target under atheris. To merge, libFuzzer starts itself again, and wants a program for that."""
    program = folder / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.led {target} {program} "$@"\n')
    program.chmod(0o700)
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, cwd=_ROOT)


if __name__ == "__main__":
    raise SystemExit(main())
