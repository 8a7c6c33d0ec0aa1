"""An answer on its way to the terminal, as markdown that is drawn while it comes.

Knows chunks and the screen. What a model writes is shown, and never obeyed by the terminal.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import SegmentLines
from rich.spinner import Spinner
from rich.text import Text

from abstractcore.agents.printing import call_line
from abstractcore.cli.terminal import without_controls
from abstractcore.types import StreamChunk

_FRAMES_PER_SECOND = 12
_LINES_BELOW = 3
_LONG = 4_000  # characters of a block that is drawn as markdown before it is whole
_SHARE = 8


class MarkdownAnswer:
    """Draws markdown as it comes: blocks that are whole stay, the last one is drawn again until it is."""

    def __init__(self, console: Console) -> None:
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
        if not self._open.strip():
            return self._spinner
        above = [_dim("")] if self._has_begun else []
        end = self._open[-_LONG:]
        drawn = self._drawn(Text(end) if len(end) == _LONG else _markdown(end))
        drawn.lines = drawn.lines[-max(1, self._console.height - _LINES_BELOW) :]
        return Group(*above, drawn, self._spinner)

    def _drawn(self, block: Any) -> SegmentLines:
        """Draw a block without the empty lines round it."""
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


def _markdown(text: str) -> Markdown:
    return Markdown(text, hyperlinks=False)  # a link shows where it leads


def _dim(text: str) -> Text:
    return Text(without_controls(text), style="dim")
