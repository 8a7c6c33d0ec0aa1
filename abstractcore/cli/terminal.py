"""An answer on its way out, as plain text: into a pipe, or to a terminal for which it is made harmless.

Knows chunks and the screen. What a model writes is shown, and never obeyed by the terminal.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol

from abstractcore.agents.printing import call_line
from abstractcore.cli.exits import tell
from abstractcore.types import GenerateResponse, StreamChunk

_KEPT = "\n\t"
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in _KEPT}


class Answer(Protocol):
    """Shows the chunks of one answer, for as long as its block."""

    def take(self, chunk: StreamChunk) -> None:
        """Show the next chunk."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Leave the screen to somebody else for as long as the block."""
        ...

    def __enter__(self) -> Answer: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def without_controls(text: str) -> str:
    """Leave out what a terminal would take for a command: escapes, and all but line ends and tabs."""
    return text.translate(_CONTROLS)


def warn_of(response: GenerateResponse) -> None:
    """Tell on stderr what was left out of a request, and that its answer is not whole."""
    for warning in response.warnings:
        tell(warning, of="warning")
    if response.finish_reason in ("length", "content_filter"):
        tell(f"the answer is not whole: it ended by {response.finish_reason}", of="warning")


class PlainAnswer:
    """Writes the text as it comes to stdout, and a line for each tool call to stderr."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._last = "\n"

    def take(self, chunk: StreamChunk) -> None:
        """Write the next chunk."""
        if chunk.phase == "generating" and chunk.content:
            sys.stdout.write(without_controls(chunk.content) if self._is_terminal else chunk.content)
            sys.stdout.flush()
            self._last = chunk.content[-1]
        elif chunk.tool_call is not None:
            self._end_line()
            tell(call_line(chunk), of="tool")

    def paused(self) -> AbstractContextManager[None]:
        """Leave the screen to somebody else: nothing is drawn between two chunks."""
        return nullcontext()

    def _end_line(self) -> None:
        if self._last != "\n":
            print(flush=True)
            self._last = "\n"

    def __enter__(self) -> PlainAnswer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()
