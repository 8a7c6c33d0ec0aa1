"""Every recorded answer is read the same, however its bytes are cut, whole or streamed.

A case is `<name>.sse` (a stream's bytes), `<name>.json` (a whole body) or both, and
`<name>.expected.json`: fields that are left out are not there, `error` is what is raised in the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.openai_chat import OpenAIChat
from abstractcore.errors import AbstractCoreError, IncompleteStreamError
from abstractcore.types import StreamChunk
from tests.codecs.recorded import counts

CASES = Path(__file__).parent / "openai_chat"
STREAMS = sorted(CASES.glob("*.sse"))
WHOLE = sorted(path for path in CASES.glob("*.json") if not path.name.endswith(".expected.json"))


def name_of(path: Path) -> str:
    return path.stem


def expected(path: Path) -> dict[str, Any]:
    return json.loads((CASES / f"{path.stem}.expected.json").read_text())


def codec_of(wanted: dict[str, Any]) -> OpenAIChat:
    return OpenAIChat(**wanted.get("codec", {}))


def read(chunks: Iterable[StreamChunk]) -> dict[str, Any]:
    """Fold chunks into what a case's expected file says."""
    found: dict[str, Any] = {"content": "", "reasoning": "", "tool_calls": []}
    has_ended = False
    try:
        for chunk in chunks:
            assert not has_ended, "a chunk after done"
            if chunk.phase == "generating":
                found["content"] += chunk.content
            elif chunk.phase == "thinking":
                found["reasoning"] += chunk.content
            elif chunk.tool_call is not None:
                found["tool_calls"].append(chunk.tool_call.as_dict())
            else:
                has_ended = True
                found["usage"] = chunk.usage and counts(chunk.usage)
                found["finish_reason"] = chunk.finish_reason
                found.update({key: value for key, value in (chunk.metadata or {}).items() if key != "raw"})
        assert has_ended, "the answer never ended"
    except AbstractCoreError as failure:
        found["error"] = {
            "class": type(failure).__name__,
            **{
                key: getattr(failure, key)
                for key in ("code", "retryable", "status_code")
                if getattr(failure, key, None) is not None
            },
        }
    return {key: value for key, value in found.items() if value}


def wanted_of(path: Path) -> dict[str, Any]:
    wanted = {key: value for key, value in expected(path).items() if key != "codec"}
    if "error" in wanted:
        wanted["error"] = {"retryable": False, **wanted["error"]}
    return wanted


def streamed(codec: OpenAIChat, pieces: Iterable[bytes]) -> Iterable[StreamChunk]:
    decoder = codec.decoder()
    for piece in pieces:
        yield from decoder.feed(piece)
    yield from decoder.end()
    assert decoder.finished


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_stream_is_read_as_its_case_says(path: Path) -> None:
    codec = codec_of(expected(path))

    assert read(streamed(codec, [path.read_bytes()])) == wanted_of(path)


@pytest.mark.parametrize("path", WHOLE, ids=name_of)
def test_a_whole_body_gives_what_the_stream_of_its_case_gives(path: Path) -> None:
    """B4: one expected file for both."""
    codec = codec_of(expected(path))

    def chunks() -> Iterable[StreamChunk]:
        yield from codec.decode(json.loads(path.read_bytes()))

    assert read(chunks()) == wanted_of(path)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_the_bytes_of_a_stream_may_be_cut_anywhere(path: Path) -> None:
    data, codec, wanted = path.read_bytes(), codec_of(expected(path)), wanted_of(path)
    is_long = len(data) > 4_000

    for size in (1, 2, 3, 7):
        assert read(streamed(codec, cut(data, size))) == wanted
    for at in range(0, len(data), 101 if is_long else 1):
        assert read(streamed(codec, [data[:at], b"", data[at:]])) == wanted


def test_text_is_given_by_the_read_that_completes_its_event() -> None:
    decoder = OpenAIChat().decoder()

    assert list(decoder.feed(b'data: {"choices":[{"delta":{"content":"a"}}]}\n')) == []
    assert list(decoder.feed(b"\n")) == [StreamChunk("generating", "a")]


def test_a_stream_is_finished_at_its_end_mark_and_hears_nothing_more() -> None:
    decoder = OpenAIChat().decoder()
    list(decoder.feed(b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'))
    assert not decoder.finished, "usage may still come"

    last = list(decoder.feed(b"data: [DONE]\n\ndata: {rubbish"))

    assert decoder.finished
    assert [chunk.phase for chunk in last] == ["done"]
    assert list(decoder.feed(b"data: {rubbish}\n\n")) == []
    assert list(decoder.end()) == []


def test_raw_holds_the_vendors_words_and_the_usage_that_came_last() -> None:
    path = CASES / "openrouter_reasoning_details.sse"

    *_, done = streamed(OpenAIChat(), [path.read_bytes()])

    assert done.metadata is not None
    raw = done.metadata["raw"]
    assert raw["provider"] == "Anthropic"
    assert raw["usage"]["cost"] == 0.00012
    assert raw["native_finish_reason"] == "end_turn"


def test_raw_of_a_whole_answer_is_its_body() -> None:
    body = json.loads((CASES / "text.json").read_bytes())

    *_, done = OpenAIChat().decode(body)

    assert done.metadata is not None
    assert done.metadata["raw"] == body


def test_a_decoded_body_that_is_too_deep_is_unusable() -> None:
    body: Any = {}
    for _ in range(60_000):
        body = {"choices": [body]}

    assert read_error_class(body) == "ResponseError"


def read_error_class(body: Any) -> str:
    try:
        list(OpenAIChat().decode(body))
    except AbstractCoreError as failure:
        return type(failure).__name__
    return ""


def test_text_of_any_answer_can_be_encoded() -> None:
    for path in WHOLE:
        found = expected(path)
        found.get("content", "").encode()
    chunks = OpenAIChat().decode(
        {"model": "\ud800", "choices": [{"message": {"content": "\udfff", "reasoning": "\ud800 x"}}]}
    )

    assert [chunk.content for chunk in chunks] == ["\ufffd x", "\ufffd", ""]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"object": "list", "data": [{"id": "a"}, {"id": "b", "object": "model"}]}, ["a", "b"]),
        ({"models": [{"name": "a"}]}, ["a"]),
        ([{"id": "a"}, "b", 7, {}], ["a", "b"]),
        ({"data": []}, []),
        (None, []),
    ],
)
def test_the_ids_of_the_models_are_read(body: Any, ids: list[str]) -> None:
    assert OpenAIChat().models(body) == ids


def test_a_stream_cut_inside_a_character_is_cut_off() -> None:
    """Worth another attempt, unlike data that is wrong."""
    decoder = OpenAIChat().decoder()
    list(decoder.feed('data: {"choices":[{"delta":{"content":"世'.encode()[:-1]))

    with pytest.raises(IncompleteStreamError, match="ended before") as caught:
        list(decoder.end())

    assert caught.value.retryable
