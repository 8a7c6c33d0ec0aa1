"""Markdown that is drawn while it comes: a block that was left is never drawn again."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.cli.markdown import MarkdownAnswer, blocks_of
from abstractcore.cli.terminal import without_controls
from abstractcore.types import StreamChunk

WHOLE = """\
# A head

Some *words*.
- one
- two

```python
a = 1

b = 2
```

| a | b |
|---|---|
| 1 | 2 |

End."""
PIECES = [
    "# A\n",
    "\n",
    "words\n",
    "- one\n",
    "  two\n",
    "* three\n",
    "```\n",
    "    code\n",
    "---\n",
    "| a |\n",
    "1. x\n",
]


def shown(*contents: str) -> str:
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=60, height=20, color_system=None)
    with MarkdownAnswer(console) as answer:
        for content in contents:
            answer.take(StreamChunk("generating", content))
    return screen.getvalue()


def lines_left_by(*contents: str) -> list[str]:
    """What stands on the screen when all is over."""
    import pyte

    screen = pyte.HistoryScreen(60, 20, history=10_000, ratio=1.0)
    stream = pyte.Stream(screen)
    stream.feed(shown(*contents).replace("\n", "\r\n"))
    above = ["".join(line[x].data for x in range(60)) for line in screen.history.top]
    lines = [line.rstrip() for line in [*above, *screen.display]]
    return "\n".join(lines).rstrip().split("\n")


def test_markdown_is_cut_into_its_blocks() -> None:
    assert blocks_of(WHOLE)[:3] == ["# A head\n\n", "Some *words*.\n", "- one\n- two\n\n"]


@pytest.mark.parametrize("text", ["", "a", "words\nand more", "- a\n\n- b\n", "```\na\n\nb\n", "\n\na\n"])
def test_what_may_still_change_is_one_block(text: str) -> None:
    assert blocks_of(text) == [text]


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.sampled_from(PIECES), max_size=4))
def test_a_finished_block_reads_the_same_whatever_follows(before: list[str], after: list[str]) -> None:
    text, rest = "".join(before), "".join(after)
    *finished, last = blocks_of(text)

    assert "".join(finished) + last == text
    apart = [kind for block in (*finished, last + rest) for kind in kinds(block)]
    assert apart == kinds(text + rest)


def kinds(text: str) -> list[tuple[str, str]]:
    from rich.markdown import Markdown

    return [(token.type, token.content) for token in Markdown(text).parsed]


def test_any_split_leaves_the_same_on_the_screen() -> None:
    expected = lines_left_by(WHOLE)

    assert "End." in expected[-1]
    assert lines_left_by(*WHOLE) == expected
    assert lines_left_by(*(WHOLE[at : at + 7] for at in range(0, len(WHOLE), 7))) == expected


def test_an_answer_longer_than_the_screen_is_there_once() -> None:
    items = [f"- item {number}\n" for number in range(100)]

    lines = lines_left_by(*items)

    assert [line.split()[-1] for line in lines] == [str(number) for number in range(100)]


def test_a_long_block_is_drawn_in_time() -> None:
    """Its cost does not grow with its square."""
    code = "".join(f"value_{number} = {number}\n" for number in range(1_000))

    lines = lines_left_by("```python\n", *code.splitlines(keepends=True), "```\n", "End.")

    assert lines[-1] == "End."
    assert [line.split()[-1] for line in lines[:-2]] == [str(number) for number in range(1_000)]


def test_a_model_cannot_give_the_terminal_orders() -> None:
    assert without_controls("a\x1b]52;c;aGk=\x07b\tc\nd\x9b31m\re") == "a]52;c;aGk=b\tc\nd31me"
    assert "\x1b]52" not in shown("Look: \x1b]52;c;aGk=\x07\n\nDone.")
