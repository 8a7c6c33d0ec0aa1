"""Marks inside streamed text: `<think>` becomes thinking, `<tool_call>` becomes tool calls.

Knows what models print and may meet it cut anywhere. Knows no vendor's JSON.

Only what real models print is read. A think block stands at the beginning of an answer (DeepSeek
R1, Qwen 3, SmolLM 3); in the middle of one the mark is text, as in an answer about marks. Some
chat templates open the block in the prompt, so that only its end appears: *opened*. Blocks of tool
calls are rows of `call_marks`. gpt-oss marks its channels by special tokens, which servers resolve
before text comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from abstractcore.codecs.call_marks import CALL_MARKS, CallMark, Tools, json_calls
from abstractcore.types import Phase, StreamChunk, ToolCall

_THINK, _END_THINK = "<think>", "</think>"
_FENCE = "```json"
_ROWS: Mapping[str, CallMark] = {row.begin: row for row in CALL_MARKS}
_BEGIN = re.compile("|".join(map(re.escape, _ROWS)))
_BEGINNINGS = frozenset(begin[:size] for begin in _ROWS for size in range(1, len(begin)))
_LONGEST = max(map(len, _ROWS))
_FIRST = frozenset(begin[0] for begin in _ROWS)
MARKS = frozenset(
    {_THINK, _END_THINK, *(mark for row in CALL_MARKS for mark in (row.begin, row.end, *row.inner) if mark)}
)
"""Marks that may be special tokens of a model. A tokenizer that drops special tokens must not drop these."""
# A mark that comes after more white space than this does not stand at the beginning.
_MAX_LEADING_SPACE = 256
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]+)"')
_NO_TOOLS: Tools = MappingProxyType({})


class TextMarks:
    """Splits one answer's text at its marks; any cutting of the text gives the same whole.

    *tools* is for answers to requests that offered tools; *schemas* are those of their arguments, by
    name, for calls whose values have no quotes. With *plain_json* an answer that begins with JSON is
    held back to its end: tool calls if it is some, else text. White space round a think block belongs
    to nothing. A block that never ends is thinking, or the text that it is.
    """

    __slots__ = (
        "_calls",
        "_gap",
        "_held",
        "_out",
        "_pieces",
        "_plain_json",
        "_read",
        "_row",
        "_schemas",
        "_tools",
    )

    def __init__(
        self,
        think: bool,
        tools: bool,
        *,
        opened: bool = False,
        plain_json: bool = False,
        schemas: Tools = _NO_TOOLS,
    ) -> None:
        self._tools = tools
        self._schemas = schemas
        self._plain_json = plain_json and tools
        self._read: Callable[[str], str] = self._before_answer
        if opened:
            self._read = self._before_thought
        elif think:
            self._read = self._before_all
        self._held = ""  # what may still become a mark
        self._gap: list[str] = []  # white space that may turn out to stand before a mark
        self._row = CALL_MARKS[0]  # the marks of the block of calls that is read
        self._pieces: list[str] = []  # a block that is read when it ends
        self._calls = 0
        self._out: list[StreamChunk] = []

    @property
    def is_spent(self) -> bool:
        """Whether no mark can come any more: what follows is the answer's text as it is."""
        return not self._tools and self._read == self._answer

    def feed(self, text: str) -> list[StreamChunk]:
        """Read the next piece of the answer's text."""
        if not text:
            return []
        is_quiet = self._read == self._answer and not self._held and not self._gap
        if is_quiet and (not self._tools or _cannot_begin(text)):
            return [StreamChunk("generating", text)]
        text = self._held + text
        self._held = ""
        while text:
            text = self._read(text)
        return self._taken()

    def end(self) -> list[StreamChunk]:
        """Say that the answer has ended, and give what was held back."""
        held, self._held = self._held, ""
        if self._read in (self._thought, self._before_thought):
            self._emit("thinking", held)
        elif self._read == self._call:
            self._finish_call("".join([*self._pieces, held]), "")
        elif self._read == self._json:
            self._finish_json("".join([*self._pieces, held]))
        elif held:
            self._emit("generating", held)
        phase: Phase = "thinking" if self._read == self._thought else "generating"
        if self._gap and not self._calls:
            self._out.append(StreamChunk(phase, "".join(self._gap)))
        self._gap, self._pieces, self._read = [], [], self._answer
        return self._taken()

    def through(self, chunks: Iterable[StreamChunk]) -> Iterator[StreamChunk]:
        """Split the text of a stream of chunks; its `done` says tool_calls when the text held some."""
        for chunk in chunks:
            if chunk.phase == "generating":
                yield from self.feed(chunk.content)
            elif chunk.phase == "done":
                yield from self.end()
                has_called = self._calls and chunk.finish_reason in (None, "stop")
                yield replace(chunk, finish_reason="tool_calls") if has_called else chunk
            else:
                yield chunk

    def _taken(self) -> list[StreamChunk]:
        taken, self._out = self._out, []
        return taken

    # Where the text stands. Each reads from the beginning of *text*, and gives the rest or holds it.
    def _before_all(self, text: str) -> str:
        body = text.lstrip()
        if len(text) - len(body) <= _MAX_LEADING_SPACE:
            if body.startswith(_THINK):
                self._read = self._before_thought
                return body[len(_THINK) :]
            if _THINK.startswith(body):
                return self._hold(text)
        self._read = self._before_answer
        return text

    def _before_thought(self, text: str) -> str:
        body = text.lstrip()
        if body.startswith(_THINK):  # the template opened the block, and the model opens it again
            return body[len(_THINK) :]
        if _THINK.startswith(body):
            return self._hold(body)
        self._read = self._thought
        return body

    def _thought(self, text: str) -> str:
        before, is_found, rest = self._until(_END_THINK, text)
        self._emit("thinking", before)
        if is_found:
            self._gap = []
            self._read = self._after_thought
        return rest

    def _after_thought(self, text: str) -> str:
        text = text.lstrip()
        if text:
            self._read = self._before_answer
        return text

    def _before_answer(self, text: str) -> str:
        self._read = self._answer
        body = text.lstrip()
        if self._plain_json and len(text) - len(body) <= _MAX_LEADING_SPACE:
            if _FENCE.startswith(body) or body in _BEGINNINGS:
                self._read = self._before_answer
                return self._hold(text)
            if body.startswith(("{", "[", _FENCE)) and not _BEGIN.match(body):
                self._read = self._json
        return text

    def _answer(self, text: str) -> str:
        if not self._tools:
            self._out.append(StreamChunk("generating", text))
            return ""
        begin = _BEGIN.search(text)
        if begin:
            self._emit("generating", text[: begin.start()])
            self._row = _ROWS[begin[0]]
            self._read = self._call
            return text[begin.end() :]
        for at in range(max(0, len(text) - _LONGEST), len(text)):
            if text[at] in _FIRST and text[at:] in _BEGINNINGS:
                self._held = text[at:]
                text = text[:at]
                break
        self._emit("generating", text)
        return ""

    def _call(self, text: str) -> str:
        end = self._row.end
        if end is None:
            self._pieces.append(text)
            return ""
        inside, is_found, rest = self._until(end, text)
        self._pieces.append(inside)
        if is_found:
            self._read = self._answer
            self._finish_call("".join(self._pieces), end)
            self._pieces = []
        return rest

    def _after_call(self, text: str) -> str:
        stray, body = self._row.stray, text.lstrip()
        if len(text) - len(body) <= _MAX_LEADING_SPACE:
            if body.startswith(stray):
                self._read = self._answer
                return body[len(stray) :]
            if stray.startswith(body):
                return self._hold(text)
        self._read = self._answer
        return text

    def _json(self, text: str) -> str:
        self._pieces.append(text)
        return ""

    def _hold(self, text: str) -> str:
        self._held = text
        return ""

    def _until(self, mark: str, text: str) -> tuple[str, bool, str]:
        """Cut *text* at *mark*, or hold back its end if the mark may begin there."""
        at = text.find(mark)
        if at >= 0:
            return text[:at], True, text[at + len(mark) :]
        start = text.find(mark[0], max(0, len(text) - len(mark) + 1))
        while start >= 0 and not mark.startswith(text[start:]):
            start = text.find(mark[0], start + 1)
        if start >= 0:
            self._held = text[start:]
            return text[:start], False, ""
        return text, False, ""

    def _emit(self, phase: Phase, text: str) -> None:
        """Give *text* without the white space at its end, which waits for what comes next."""
        body = text.rstrip()
        if body:
            self._out.append(StreamChunk(phase, "".join([*self._gap, body])))
            self._gap = []
        if len(body) < len(text):
            self._gap.append(text[len(body) :])

    def _finish_call(self, inside: str, end_mark: str) -> None:
        calls = self._calls_in(inside, is_whole=bool(end_mark))
        if not calls:
            return self._emit("generating", f"{self._row.begin}{inside}{end_mark}")
        self._give(calls)
        if end_mark and self._row.stray:
            self._read = self._after_call

    def _calls_in(self, inside: str, *, is_whole: bool) -> list[ToolCall]:
        try:
            return self._row.read(inside, self._schemas)
        except (ValueError, RecursionError):
            name = _NAME.search(inside) if is_whole else None
            # The block is marked as a call, so the model is told what is wrong with it.
            return [ToolCall("", name.group(1), {}, inside.strip())] if name else []

    def _finish_json(self, text: str) -> None:
        inside = text.strip().removeprefix(_FENCE).removesuffix("```")
        try:
            self._give(json_calls(inside, needs_arguments=True))
        except (ValueError, RecursionError):
            self._emit("generating", text)

    def _give(self, calls: Iterable[ToolCall]) -> None:
        for call in calls:
            self._calls += 1
            self._out.append(StreamChunk("tool_calling", tool_call=replace(call, id=f"call_{self._calls}")))


def _cannot_begin(text: str) -> bool:
    """Whether no mark begins in *text*, and no white space at its end waits for one."""
    return not (text[-1].isspace() or "<" in text or "[" in text or "`" in text)
