"""What reading a streamed answer is on every wire: bytes to events, events to chunks, one end.

Knows no vendor's JSON: a wire says how it reads one event, and what the end of the bytes means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from abstractcore.codecs.framing import NDJSONDecoder, SSEDecoder
from abstractcore.codecs.json_text import CutCharacters
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.errors import IncompleteStreamError
from abstractcore.types import StreamChunk


class FramedStream:
    """Reads one streamed answer. A wire's subclass reads its events, and sets *finished* at the last."""

    __slots__ = ("_characters", "_frames", "_marks", "finished")

    def __init__(self, frames: SSEDecoder | NDJSONDecoder, marks: TextMarks | None = None) -> None:
        self.finished = False
        self._characters = CutCharacters()
        self._frames = frames
        self._marks = marks

    def _event(self, text: str) -> Iterable[StreamChunk]:
        raise NotImplementedError

    def _at_end(self) -> Iterable[StreamChunk]:
        """Give what ends an answer whose bytes ended without an end mark, if that may be."""
        raise cut_off()

    def feed(self, data: bytes) -> Iterator[StreamChunk]:
        """Read the next bytes; what they complete comes before what is wrong with them is raised."""
        if not self.finished:
            yield from self._events(self._characters.joined(self._frames.feed(data)))

    def end(self) -> Iterator[StreamChunk]:
        """Say that the bytes have ended. Raises IncompleteStreamError when the answer has not."""
        if self.finished:
            return
        try:
            rest = self._characters.joined(self._frames.end())
            yield from self._events([*rest, *self._characters.end()])
        except IncompleteStreamError:  # cut inside an event, whatever is left of it
            raise cut_off() from None
        if not self.finished:
            chunks = self._at_end()
            self.finished = True
            yield from self._marked(chunks)

    def _events(self, texts: list[str]) -> Iterator[StreamChunk]:
        for text in texts:
            yield from self._marked(self._event(text))
            if self.finished:
                return
        if self._frames.failure:
            raise self._frames.failure

    def _marked(self, chunks: Iterable[StreamChunk]) -> Iterable[StreamChunk]:
        if self._marks is not None and self._marks.is_spent:
            self._marks = None
        return chunks if self._marks is None else self._marks.through(chunks)


def cut_off() -> IncompleteStreamError:
    """Say that the bytes ended before the answer did; asking again may help."""
    return IncompleteStreamError("the stream ended before the answer did", phase="body", retryable=True)
