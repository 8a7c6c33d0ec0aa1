"""What is raised about a cassette, and how a request differs from what was recorded."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from abstractcore.errors import ConfigurationError
from abstractcore.testing.recordings import Recording, shown

AGAIN = 'Record it again: mode="record", or `pytest --record` with the fixture.'
_MOST_LINES = 60


class CassetteError(ConfigurationError):
    """A cassette cannot be read, written or used so."""


class CassetteMissError(CassetteError):
    """No recording answers a request. The message shows the difference to the nearest one, and so the prompt.

    *request* is what was asked, *nearest* the recorded request that is most like it, *diff* the whole
    difference between them, *path* the file.
    """

    path: str = ""
    request: Mapping[str, Any] = {}
    nearest: Mapping[str, Any] | None = None
    diff: str = ""


def miss(path: Path, request: Mapping[str, Any], recordings: Sequence[Recording]) -> CassetteMissError:
    """Say why none of *recordings* answers *request*."""
    told = {"path": str(path), "request": request}
    if not path.exists():
        return CassetteMissError(f"{path} does not exist, and nothing is recorded now. {AGAIN}", **told)
    asked = f"{path}: {request['provider']} ({request['model']}) was asked something "
    if not recordings:
        return CassetteMissError(f"{asked}and nothing was recorded. {AGAIN}", **told)
    if times := sum(each.request == request for each in recordings):
        said = f"that was recorded {_times(times)} and is asked once more"
        return CassetteMissError(f"{asked}{said}. {AGAIN}", **told, nearest=request)
    nearest = _nearest(request, recordings)
    lines = _difference(nearest, request)
    rest = len(lines) - _MOST_LINES
    seen = [*lines[:_MOST_LINES], f"… and {rest} lines more, in .diff"] if rest > 0 else lines
    return CassetteMissError(
        "\n".join([f"{asked}that was not recorded. {AGAIN}", *seen]),
        **told,
        nearest=nearest.request,
        diff="\n".join(lines),
    )


def left_here(path: Path, recording: Recording) -> CassetteMissError:
    """Say that a reader wants more of an answer than was read when it was recorded."""
    said = "the reader left this answer here when it was recorded, and goes on now"
    told = {"path": str(path), "request": recording.request, "nearest": recording.request}
    return CassetteMissError(f"{path}, line {recording.line}: {said}. {AGAIN}", **told)


def _nearest(request: Mapping[str, Any], recordings: Sequence[Recording]) -> Recording:
    """Give the recording whose request has most lines in common with *request*."""
    wanted = Counter(shown(request))

    def likeness(recording: Recording) -> float:
        lines = Counter(shown(recording.request))
        return (wanted & lines).total() / (wanted | lines).total()

    return max(recordings, key=likeness)


def _difference(nearest: Recording, request: Mapping[str, Any]) -> list[str]:
    recorded = f"recorded, line {nearest.line}"
    return [*difflib.unified_diff(shown(nearest.request), shown(request), recorded, "asked now", lineterm="")]


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
