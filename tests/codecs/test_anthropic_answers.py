"""Every recorded answer of the Messages wire reads the same however its bytes are cut, whole or streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.anthropic_messages import AnthropicMessages
from abstractcore.errors import AbstractCoreError
from abstractcore.types import StreamChunk
from tests.codecs.recorded import bodies_in, cut, name_of, read, streamed, streams_in, wanted_of, whole
from tests.fakes import anthropic_messages as fake

CASES = Path(__file__).parent / "anthropic_messages"
STREAMS = streams_in(CASES)
BODIES = bodies_in(CASES)
BOTH = [path for path in STREAMS if path.with_suffix(".json") in BODIES]
CODEC = AnthropicMessages()


def done_of(chunks: Any) -> dict[str, Any]:
    *_, done = chunks
    return dict(done.metadata)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_stream_is_read_as_its_case_says(path: Path) -> None:
    assert read(streamed(CODEC, [path.read_bytes()])) == wanted_of(path)


@pytest.mark.parametrize("path", BODIES, ids=name_of)
def test_a_whole_body_gives_what_the_stream_of_its_case_gives(path: Path) -> None:
    """B4: one expected file for both."""
    assert read(whole(CODEC, path.read_bytes())) == wanted_of(path)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_the_bytes_of_a_stream_may_be_cut_anywhere(path: Path) -> None:
    data, wanted = path.read_bytes(), wanted_of(path)
    is_long = len(data) > 6_000

    for size in (1, 2, 3, 7):
        assert read(streamed(CODEC, cut(data, size))) == wanted
    for at in range(0, len(data), 101 if is_long else 1):
        assert read(streamed(CODEC, [data[:at], b"", data[at:]])) == wanted


def test_a_piece_is_given_by_the_read_that_completes_its_event() -> None:
    decoder = CODEC.decoder()
    begun, delta, *_, stop = map(fake.event_bytes, fake.text_events("a")[1:])

    assert list(decoder.feed(begun)) == []
    assert list(decoder.feed(delta[:-1])) == []
    assert list(decoder.feed(delta[-1:])) == [StreamChunk("generating", "a")]
    assert [chunk.phase for chunk in decoder.feed(stop)] == ["done"]


def test_a_call_is_given_when_its_block_ends() -> None:
    decoder = CODEC.decoder()
    events = fake.events(fake.tool_calls([("one", {"a": 1}), ("two", {})]), finish_reason="tool_calls")
    phases = [[chunk.phase for chunk in decoder.feed(fake.event_bytes(event))] for event in events]

    assert [event["type"] for event, given in zip(events, phases, strict=True) if given] == [
        "content_block_stop", "content_block_stop", "message_stop",
    ]  # fmt: skip


def test_a_stream_is_finished_at_its_end_mark_and_hears_nothing_more() -> None:
    decoder = CODEC.decoder()
    *events, stop = fake.text_events("a")
    for event in events:
        list(decoder.feed(fake.event_bytes(event)))
    assert not decoder.finished

    last = list(decoder.feed(fake.event_bytes(stop) + b"data: {rubbish"))

    assert decoder.finished
    assert [chunk.phase for chunk in last] == ["done"]
    assert list(decoder.feed(b"data: {rubbish}\n\n")) == []
    assert list(decoder.end()) == []


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_raw_is_the_whole_message_whichever_way_it_came(path: Path) -> None:
    streams = done_of(streamed(CODEC, [path.read_bytes()]))["raw"]
    body = json.loads(path.with_suffix(".json").read_bytes())
    is_changed = path.stem in ("tools_with_one_id_twice", "lone_surrogate")

    assert is_changed or done_of(CODEC.decode(body))["raw"] == body
    for field in ("id", "model", "stop_reason", "role"):
        assert streams[field] == body[field]
    assert is_changed or [trimmed(block) for block in streams["content"]] == [
        trimmed(block) for block in body["content"]
    ]
    for field, count in streams["usage"].items():
        assert body["usage"][field] == count


def trimmed(block: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in block.items() if value is not None}


def test_what_stopped_an_answer_stands_in_raw() -> None:
    refusal = done_of(streamed(CODEC, [(CASES / "refusal.sse").read_bytes()]))["raw"]
    stopped = done_of(streamed(CODEC, [(CASES / "stop_sequence.sse").read_bytes()]))["raw"]

    assert refusal["stop_details"]["category"] == "cyber"
    assert stopped["stop_sequence"] == "END"


@pytest.mark.parametrize("name", ["overloaded_mid_stream", "error_in_a_200"])
def test_an_error_keeps_the_request_it_names(name: str) -> None:
    path = next(CASES.glob(f"{name}.[sj][s]*"))
    read_it = (
        whole(CODEC, path.read_bytes()) if path.suffix == ".json" else streamed(CODEC, [path.read_bytes()])
    )

    with pytest.raises(AbstractCoreError) as caught:
        list(read_it)

    assert caught.value.request_id == "req_011CSHoEeqs5C35K2UUqR7Fy"


def test_a_decoded_body_that_is_too_deep_is_unusable() -> None:
    body: Any = {}
    for _ in range(60_000):
        body = {"content": [body]}

    with pytest.raises(AbstractCoreError, match="nested too deeply"):
        CODEC.decode(body)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"data": [{"type": "model", "id": "a"}, {"id": "b"}], "has_more": False}, ["a", "b"]),
        ({"data": [7, {}, {"id": None}]}, []),
        ({"data": []}, []),
    ],
)
def test_the_ids_of_the_models_are_read(body: Any, ids: list[str]) -> None:
    assert CODEC.models(body) == ids


@pytest.mark.parametrize("body", [None, [], {}, {"data": "a"}])
def test_a_list_of_models_without_a_list_is_unusable(body: Any) -> None:
    with pytest.raises(AbstractCoreError, match="not a list"):
        CODEC.models(body)


@pytest.mark.parametrize(
    ("head", "is_stream"),
    [(b"event: message_start", True), (b"data: {}", True), (b": hi", True), (b"{", False), (b"<html", False)],
)
def test_a_stream_is_told_from_a_whole_body(head: bytes, is_stream: bool) -> None:
    assert CODEC.streams(head) is is_stream
