"""An answer on its way to the terminal: markdown drawn as it comes, or plain text where that is none.

Knows chunks and the screen. What a model writes is shown, and never obeyed by the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from abstractcore.agents.printing import call_line
from abstractcore.cli.exits import tell
from abstractcore.types import StreamChunk

if TYPE_CHECKING:
    from rich.segment import SegmentLines

_KEPT = "\n\t"
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in _KEPT}
_FRAMES_PER_SECOND = 12
_LINES_BELOW = 3
_LONG = 4_000  # characters of a block that is drawn as markdown before it is whole
_SHARE = 8


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
        self._unread = 0
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
            self._keep_all()
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
        """Take more text. A long block is looked through the less often the longer it is."""
        self._open += text
        self._unread += len(text)
        if "\n" in text and self._unread * _SHARE >= len(self._open):
            self._unread = 0
            whole, _, begun = self._open.rpartition("\n")
            *finished, last = blocks_of(f"{whole}\n")
            self._keep(finished)
            self._open = last + begun

    def _keep_all(self) -> None:
        """Print what is open, to stay: nothing more will come of it."""
        open_blocks, self._open = blocks_of(self._open), ""
        self._keep(open_blocks)

    def _keep(self, blocks: Sequence[str]) -> None:
        for block in blocks:
            if not block.strip():
                continue
            if self._has_begun:
                self._console.print()
            self._has_begun = True
            self._console.print(self._drawn(_markdown(block)))

    def _view(self) -> Any:
        """Give what is drawn again and again: the end of the open block, as much as the screen holds."""
        from rich.console import Group
        from rich.text import Text

        if not self._open.strip():
            return self._spinner
        above = [_dim("")] if self._has_begun else []
        end = self._open[-_LONG:]
        drawn = self._drawn(Text(end) if len(end) == _LONG else _markdown(end))
        drawn.lines = drawn.lines[-max(1, self._console.height - _LINES_BELOW) :]
        return Group(*above, drawn, self._spinner)

    def _drawn(self, block: Any) -> SegmentLines:
        """Draw a block without the empty lines round it."""
        from rich.segment import SegmentLines

        lines = self._console.render_lines(block, pad=False)
        filled = [number for number, line in enumerate(lines) if "".join(part.text for part in line).strip()]
        return SegmentLines(lines[filled[0] : filled[-1] + 1] if filled else [], new_lines=True)

    def __enter__(self) -> MarkdownAnswer:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._keep_all()


def blocks_of(text: str) -> list[str]:
    """Cut markdown into blocks: of whole lines, no further line changes any but the last."""
    lines = text.split("\n")
    begins = [token.map[0] for token in _markdown(text).parsed if token.level == 0 and token.map]
    cuts = [0, *begins[1:], len(lines)]
    return [
        "\n".join([*lines[one:other], *([""] if other < len(lines) else [])]) for one, other in pairwise(cuts)
    ]


def _markdown(text: str) -> Any:
    from rich.markdown import Markdown

    return Markdown(text, hyperlinks=False)  # a link shows where it leads


def _dim(text: str) -> Any:
    from rich.text import Text

    return Text(without_controls(text), style="dim")
