"""What is fuzzed: functions of bytes, which fail when these are read otherwise if they come in pieces.

The first bytes choose what is tried, and where it is cut; the rest is the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.codecs.base import Codec
from abstractcore.codecs.framing import NDJSONDecoder, SSEDecoder
from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.codecs.text_marks import TextMarks
from abstractcore.errors import AbstractCoreError
from abstractcore.types import StreamChunk

_CODECS: tuple[Codec, ...] = (OpenAIChat(), OpenAIResponses(), AnthropicMessages(), OllamaChat())
_MAX_EVENT_BYTES = 200
_WEATHER = {"days": {"type": "integer"}, "city": {"type": "string"}, "exact": {"type": ["boolean", "null"]}}
_SCHEMAS: Mapping[str, Any] = {"weather": {"type": "object", "properties": _WEATHER}}


def framing(data: bytes) -> None:
    """Bytes become the same events, and the same failure, however they are cut."""
    choice, step, stream = data[:1], data[1:2], data[2:]

    def read(pieces: Iterable[bytes]) -> Any:
        decoder = SSEDecoder if choice < b"\x80" else NDJSONDecoder
        reader = decoder(max_event_bytes=_MAX_EVENT_BYTES)
        events: list[str] = []
        try:
            for piece in pieces:
                events += reader.feed(piece)
            events += reader.end()
        except AbstractCoreError as failure:
            return events, type(failure), str(failure)
        return events, None, None

    at_once, in_pieces = read([stream]), read(_cut(stream, step))
    # What is over the bound is refused as soon as it is seen, and in one read less of it is seen.
    if "larger than" not in f"{at_once[2]} {in_pieces[2]}":
        assert in_pieces == at_once


def marks(data: bytes) -> None:
    """Text is split at its marks in the same way however it is cut."""
    options, step = (data[:1] or b"\0")[0], data[1:2]
    text = data[2:].decode("utf-8", "replace")

    def read(pieces: Iterable[str]) -> list[Any]:
        reader = TextMarks(
            bool(options & 1),
            bool(options & 2),
            opened=bool(options & 4),
            plain_json=bool(options & 8),
            schemas=_SCHEMAS,
        )
        return _merged([*(chunk for piece in pieces for chunk in reader.feed(piece)), *reader.end()])

    assert read(_cut(text, step)) == read([text])


def answers(data: bytes) -> None:
    """A stream of each wire gives chunks or an error of ours, the same however it is cut."""
    codec, step, stream = _CODECS[(data[:1] or b"\0")[0] % len(_CODECS)], data[1:2], data[2:]

    def read(pieces: Iterable[bytes]) -> Any:
        decoder = codec.decoder()
        chunks: list[StreamChunk] = []
        try:
            for piece in pieces:
                chunks.extend(decoder.feed(piece))
            chunks.extend(decoder.end())
        except AbstractCoreError as failure:
            return _merged(chunks), type(failure), str(failure)
        assert chunks[-1].phase == "done"
        return _merged(chunks), None, None

    assert read(_cut(stream, step)) == read([stream])


def _merged(chunks: Iterable[StreamChunk]) -> list[Any]:
    """The text of neighbours of one phase in one; how it is spread over chunks may differ."""
    merged: list[Any] = []
    for chunk in chunks:
        if not chunk.is_text():
            merged.append(chunk)
        elif merged and isinstance(merged[-1], tuple) and merged[-1][0] == chunk.phase:
            merged[-1] = (chunk.phase, merged[-1][1] + chunk.content)
        else:
            merged.append((chunk.phase, chunk.content))
    return merged


def _cut(whole: Any, step: bytes) -> list[Any]:
    size = 1 + (step or b"\0")[0] % 9
    return [whole[at : at + size] for at in range(0, len(whole), size)]


TARGETS: Mapping[str, Callable[[bytes], None]] = {"framing": framing, "marks": marks, "answers": answers}
