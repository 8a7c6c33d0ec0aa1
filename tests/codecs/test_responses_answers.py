"""Every recorded answer of the Responses wire reads the same however its bytes are cut, whole or streamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from abstractcore.codecs.openai_responses import OpenAIResponses
from abstractcore.errors import AbstractCoreError, IncompleteStreamError, ResponseError
from abstractcore.types import StreamChunk
from tests.codecs.recorded import bodies_in, cut, name_of, read, streamed, streams_in, wanted_of, whole
from tests.fakes import openai_responses as fake

CASES = Path(__file__).parent / "openai_responses"
STREAMS = streams_in(CASES)
BODIES = bodies_in(CASES)
BOTH = [path for path in STREAMS if path.with_suffix(".json") in BODIES and "error" not in wanted_of(path)]
CODEC = OpenAIResponses()


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

    for size in (1, 2, 3, 7):
        assert read(streamed(CODEC, cut(data, size))) == wanted
    for at in range(0, len(data), max(1, len(data) // 400)):
        assert read(streamed(CODEC, [data[:at], b"", data[at:]])) == wanted


@pytest.mark.parametrize("name", ["text_of_many_scripts", "tools_with_characters", "tools_parallel"])
def test_a_stream_may_be_cut_at_every_byte(name: str) -> None:
    """Inside a character, an escape, a field's name; a cut anywhere else is as good as one of these."""
    path = CASES / f"{name}.sse"
    data, wanted = path.read_bytes(), wanted_of(path)

    for at in range(len(data)):
        assert read(streamed(CODEC, [data[:at], data[at:]])) == wanted


def test_a_piece_is_given_by_the_read_that_completes_its_event() -> None:
    decoder = CODEC.decoder()
    created, working, begun, part, delta, *_ = map(fake.event_bytes, fake.text_events("a"))

    assert list(decoder.feed(created + working + begun + part)) == []
    assert list(decoder.feed(delta[:-1])) == []
    assert list(decoder.feed(delta[-1:])) == [StreamChunk("generating", "a")]


def test_a_stream_is_finished_at_its_end_mark_and_hears_nothing_more() -> None:
    decoder = CODEC.decoder()
    *events, end = map(fake.event_bytes, fake.text_events("a"))
    list(decoder.feed(b"".join(events)))
    assert not decoder.finished

    last = list(decoder.feed(end + b"data: {rubbish"))

    assert decoder.finished
    assert [chunk.phase for chunk in last] == ["done"]
    assert list(decoder.feed(b"data: {rubbish}\n\n")) == []
    assert list(decoder.end()) == []


def test_what_arrived_before_bad_data_is_given_first() -> None:
    decoder = CODEC.decoder()
    given: list[StreamChunk] = []

    def feed() -> None:
        given.extend(decoder.feed(b"".join(map(fake.event_bytes, fake.text_events("a")[:5]))))
        for chunk in decoder.feed(b'data: {"delta":"\xff"}\n\n'):
            given.append(chunk)

    with pytest.raises(IncompleteStreamError, match="bad data") as caught:
        feed()

    assert given == [StreamChunk("generating", "a")]
    assert not caught.value.retryable


def test_a_stream_cut_inside_a_character_is_cut_off() -> None:
    """Worth another attempt, unlike data that is wrong."""
    decoder = CODEC.decoder()
    list(decoder.feed('data: {"type":"response.output_text.delta","delta":"世'.encode()[:-1]))

    with pytest.raises(IncompleteStreamError, match="ended before") as caught:
        list(decoder.end())

    assert caught.value.retryable


def test_raw_of_a_whole_answer_is_its_body() -> None:
    body = json.loads((CASES / "builtin_web_search.json").read_bytes())

    assert done_of(CODEC.decode(body))["raw"] == body


@pytest.mark.parametrize("path", BOTH, ids=name_of)
def test_raw_of_a_stream_is_the_body_of_the_whole_answer(path: Path) -> None:
    raw = done_of(streamed(CODEC, [path.read_bytes()]))["raw"]

    assert raw == done_of(whole(CODEC, path.with_suffix(".json").read_bytes()))["raw"]


def test_raw_of_a_stream_whose_last_event_lacks_the_output_holds_it() -> None:
    raw = done_of(streamed(CODEC, [(CASES / "last_event_without_output.sse").read_bytes()]))["raw"]

    assert raw["output"][0]["content"][0]["text"] == "Hello there, friend!"


def test_half_an_answer_is_not_kept_to_be_sent_back() -> None:
    """An item that no event has ended may lack what the API would ask for."""
    events = fake.events([fake.reasoning_item("Hm."), *fake.text_items("a")])
    events = [event for event in events if event["type"] != "response.output_item.done"]
    events[-1]["response"]["output"] = None

    found = read(streamed(CODEC, map(fake.event_bytes, events)))

    assert (found["reasoning"], found["content"]) == ("Hm.", "a")
    assert "provider_data" not in found


def test_arguments_that_are_an_object_already_are_taken() -> None:
    item = {"type": "function_call", "call_id": "1", "name": "add", "arguments": {"a": 1}}

    call, _ = CODEC.decode(fake.response([item]))

    assert call.tool_call is not None
    assert call.tool_call.arguments == {"a": 1}


def test_a_decoded_body_that_is_too_deep_is_unusable() -> None:
    body: Any = {}
    for _ in range(60_000):
        body = {"output": [body]}

    with pytest.raises(ResponseError, match="nested"):
        list(CODEC.decode(body))


def test_an_error_keeps_the_servers_words() -> None:
    body = {
        **fake.response([]),
        "status": "failed",
        "error": {"code": "invalid_prompt", "message": "Not this"},
    }

    with pytest.raises(AbstractCoreError, match="Not this") as caught:
        list(CODEC.decode(body))

    assert caught.value.request_id == "resp_1"
    assert caught.value.provider is None, "the codec does not know who asked"


@pytest.mark.parametrize(
    ("head", "is_stream"),
    [
        (b"event: response.created", True),
        (b"data: {", True),
        (b": hi", True),
        (b"{", False),
        (b"<html", False),
        (b"", None),
        (b"nul", None),
        (b"null", False),
    ],
)
def test_a_stream_is_told_from_a_body(head: bytes, is_stream: bool | None) -> None:
    assert CODEC.streams(head) is is_stream


def test_the_ids_of_the_models_are_read() -> None:
    assert CODEC.models({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}) == ["a", "b"]
    with pytest.raises(ResponseError):
        CODEC.models("a")
