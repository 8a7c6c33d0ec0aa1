"""An answer on its way to the terminal: markdown drawn as it comes, or plain text where that is none.

Knows chunks and the screen. What a model writes is shown, and never obeyed by the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Protocol

from abstractcore.agents.printing import call_line
from abstractcore.cli.exits import tell
from abstractcore.types import StreamChunk

_KEPT = "\n\t"
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in _KEPT}
_FRAMES_PER_SECOND = 12
_LINES_BELOW = 3


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


class MarkdownAnswer:
    """Draws markdown as it comes: blocks that are whole stay, the last one is drawn again until it is."""

    def __init__(self, console: Any) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = console
        self._open = ""
        self._has_begun = False
        self._spinner = Spinner("dots", "waiting", style="dim")
        self._live = Live(
            console=console,
            get_renderable=self._view,
            transient=True,
            refresh_per_second=_FRAMES_PER_SECOND,
        )

    def take(self, chunk: StreamChunk) -> None:
        """Draw the next chunk."""
        if chunk.phase == "generating":
            self._spinner.update(text=" ")
            self._add(without_controls(chunk.content))
        elif chunk.phase == "thinking":
            self._spinner.update(text="thinking")
        elif chunk.tool_call is not None:
            self._keep(len(self._open))
            self._spinner.update(text=f"running {chunk.tool_call.name}")
            self._console.print(_dim(call_line(chunk)))

    @contextmanager
    def paused(self) -> Generator[None]:
        """Leave the screen to somebody else: what is open is taken off it."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def _add(self, text: str) -> None:
        self._open += text
        if "\n" in text:
            self._keep(length_of_whole_blocks(self._open))

    def _keep(self, length: int) -> None:
        """Print the first part of what is open, to stay."""
        block, self._open = self._open[:length], self._open[length:]
        if not block.strip():
            return
        if self._has_begun:
            self._console.print()
        self._has_begun = True
        self._console.print(self._drawn(block))

    def _view(self) -> Any:
        """Give what is drawn again and again: the end of the open block, as much as the screen holds."""
        from rich.console import Group

        if not self._open.strip():
            return self._spinner
        above = [_dim("")] if self._has_begun else []
        return Group(
            *above, self._drawn(self._open, max(1, self._console.height - _LINES_BELOW)), self._spinner
        )

    def _drawn(self, markdown: str, most: int = 0) -> Any:
        """Draw some blocks without the empty lines round them; with *most*, their last lines alone."""
        from rich.segment import SegmentLines

        lines = self._console.render_lines(_markdown(markdown), pad=False)
        filled = [number for number, line in enumerate(lines) if "".join(part.text for part in line).strip()]
        lines = lines[filled[0] : filled[-1] + 1] if filled else []
        return SegmentLines(lines[-most:], new_lines=True)

    def __enter__(self) -> MarkdownAnswer:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._keep(len(self._open))


def length_of_whole_blocks(text: str) -> int:
    """Tell how much of *text* is blocks of markdown that no further line can change: all but the last."""
    whole = text[: text.rfind("\n") + 1]
    begins = [token.map[0] for token in _markdown(whole).parsed if token.level == 0 and token.map]
    return sum(len(line) + 1 for line in whole.split("\n")[: begins[-1]]) if begins else 0


def _markdown(text: str) -> Any:
    from rich.markdown import Markdown

    return Markdown(text, hyperlinks=False)  # a link shows where it leads


def _dim(text: str) -> Any:
    from rich.text import Text

    return Text(without_controls(text), style="dim")
