"""Every recorded answer of Ollama's wire reads the same however its bytes are cut, whole or streamed.

A stream of it is `<name>.ndjson`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.ollama_chat import OllamaChat
from abstractcore.errors import AbstractCoreError, IncompleteStreamError, ResponseError
from abstractcore.types import StreamChunk
from tests.codecs.recorded import bodies_in, cut, expected, name_of, read, streamed, wanted_of, whole
from tests.fakes import ollama_chat as fake

CASES = Path(__file__).parent / "ollama_chat"
STREAMS = sorted(CASES.glob("*.ndjson"))
BODIES = bodies_in(CASES)
ON_A_LINE = [path for path in BODIES if b'"done":' in path.read_bytes()]
LINE = b'{"message":{"content":"a"},"done":false}\n'
DONE = b'{"message":{"content":""},"done":true,"done_reason":"stop","eval_duration":7}\n'


def codec_of(path: Path) -> OllamaChat:
    return OllamaChat(**expected(path).get("codec", {}))


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_stream_is_read_as_its_case_says(path: Path) -> None:
    assert read(streamed(codec_of(path), [path.read_bytes()])) == wanted_of(path)


@pytest.mark.parametrize("path", BODIES, ids=name_of)
def test_a_whole_body_gives_what_the_stream_of_its_case_gives(path: Path) -> None:
    """B4: one expected file for both; of an answer that broke off, a body gives nothing."""
    wanted = wanted_of(path)

    found = read(whole(codec_of(path), path.read_bytes()))

    assert found == ({"error": wanted["error"]} if "error" in wanted else wanted)


@pytest.mark.parametrize("path", ON_A_LINE, ids=name_of)
def test_a_whole_body_where_a_stream_was_asked_for_is_read_too(path: Path) -> None:
    """FAULTS 1.5: its one line is a stream that is done at once."""
    body = path.read_bytes()

    assert OllamaChat().streams(body)
    assert read(streamed(codec_of(path), [body])) == wanted_of(path)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_the_bytes_of_a_stream_may_be_cut_anywhere(path: Path) -> None:
    data, codec, wanted = path.read_bytes(), codec_of(path), wanted_of(path)
    is_long = len(data) > 4_000

    for size in (1, 2, 3, 7):
        if not (is_long and size == 1):
            assert read(streamed(codec, cut(data, size))) == wanted
    for at in range(0, len(data), 10_001 if is_long else 1):
        assert read(streamed(codec, [data[:at], b"", data[at:]])) == wanted


def test_text_is_given_by_the_read_that_completes_its_line() -> None:
    decoder = OllamaChat().decoder()

    assert list(decoder.feed(LINE[:-1])) == []
    assert list(decoder.feed(b"\n")) == [StreamChunk("generating", "a")]


def test_a_stream_is_finished_at_its_end_mark_and_hears_nothing_more() -> None:
    decoder = OllamaChat().decoder()

    last = list(decoder.feed(LINE + DONE + b"{rubbish"))

    assert decoder.finished
    assert [chunk.phase for chunk in last] == ["generating", "done"]
    assert list(decoder.feed(b"{rubbish}\n")) == []
    assert list(decoder.end()) == []


def test_what_arrived_before_bad_data_is_given_first() -> None:
    decoder = OllamaChat().decoder()
    given: list[StreamChunk] = []

    def feed() -> None:
        for chunk in decoder.feed(LINE + b"\xff\n" + DONE):
            given.append(chunk)

    with pytest.raises(IncompleteStreamError, match="bad data") as caught:
        feed()

    assert given == [StreamChunk("generating", "a")]
    assert not caught.value.retryable


def test_raw_is_the_last_line_with_its_durations() -> None:
    *_, done = streamed(OllamaChat(), [LINE + DONE])

    assert done.metadata is not None
    assert done.metadata["raw"] == json.loads(DONE)


def test_raw_of_a_whole_answer_is_its_body() -> None:
    body = json.loads((CASES / "tools.json").read_bytes())

    *_, done = OllamaChat().decode(body)

    assert done.metadata is not None
    assert done.metadata["raw"] == body


def test_a_decoded_body_that_is_too_deep_is_unusable() -> None:
    body: Any = {}
    for _ in range(60_000):
        body = {"message": [body]}

    with pytest.raises(ResponseError, match="nested"):
        list(OllamaChat().decode(body))


def test_an_error_keeps_the_servers_words() -> None:
    with pytest.raises(AbstractCoreError, match="model 'nope' not found") as caught:
        list(OllamaChat().decode({"error": "model 'nope' not found"}))

    assert caught.value.provider is None, "the codec does not know who asked"


@pytest.mark.parametrize(
    ("head", "is_stream"),
    [
        (b'{"model":', True),
        (b"", None),
        (b"{", None),
        (b"{  ", None),
        (b"{" + b" " * 1_000, True),
        (b'{\n  "model": "m"', False),
        (b"{\r\n", False),
        (b"[", False),
        (b"<html>", False),
        (b"null", False),
        (b"data: {}", False),
    ],
)
def test_a_stream_is_told_from_what_is_none(head: bytes, is_stream: bool | None) -> None:
    assert OllamaChat().streams(head) is is_stream


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"models": [{"name": "a", "model": "a:latest"}, {"name": "b"}]}, ["a:latest", "b"]),
        ({"models": [{}, None, {"model": 7}]}, []),
        ({"models": None}, []),
        ({}, []),
    ],
)
def test_the_names_of_the_models_are_read(body: Any, names: list[str]) -> None:
    assert OllamaChat().models(body) == names


@pytest.mark.parametrize("body", [None, [], {"models": {"a": 1}}, "m"])
def test_a_list_of_models_of_another_shape_is_unusable(body: Any) -> None:
    with pytest.raises(ResponseError):
        OllamaChat().models(body)


MESSAGES: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hello, 世界", "thinking": "hm"},
    {"role": "assistant", "content": "", "tool_calls": fake.tool_calls([("add", {"a": 1}), ("now", {})])},
]


@pytest.mark.parametrize("message", MESSAGES, ids=["text", "tools"])
def test_the_fake_says_the_same_whole_and_streamed(message: dict[str, Any]) -> None:
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in fake.chunks(message, piece=2))
    body = json.dumps(fake.completion(message)).encode()

    found = read(streamed(OllamaChat(), [lines]))

    assert found == read(whole(OllamaChat(), body))
    assert found["finish_reason"] == ("tool_calls" if "tool_calls" in message else "stop")
