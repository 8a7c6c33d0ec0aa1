"""Bytes become events, wherever they are cut."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstractcore.codecs.framing import NDJSONDecoder, SSEDecoder
from abstractcore.errors import IncompleteStreamError, ResponseError

Decoder = SSEDecoder | NDJSONDecoder


def read(decoder: Decoder, pieces: list[bytes]) -> list[str]:
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.end()]


def cuts(data: bytes) -> list[list[bytes]]:
    """Every way to cut *data* in two, and small pieces of one size."""
    in_two = [[data[:at], data[at:]] for at in range(len(data) + 1)]
    even = [[data[at : at + size] for at in range(0, len(data), size)] for size in (1, 2, 3, 5)]
    return [[data], *in_two, *even]


ODD = "a\u2028b\u0085c\x0bd\x1ce\x0cf"
EVENTS = {
    "one line": (b"data: a\n\n", ["a"]),
    "several events": (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    "no space after the colon": (b"data:a\n\n", ["a"]),
    "one space is cut, not two": (b"data:  a \n\n", [" a "]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "CR": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "all ends mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", ["a", "b", "c"]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "a byte order mark later is no field": (b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", ["a", "c"]),
    "comments": (b": hi\n\n:\n: x\ndata: a\n: y\n\n", ["a"]),
    "other fields": (b"event: e\nid: 1\nretry: 5\nnonsense\ndatum: x\ndata: a\n\n", ["a"]),
    "several lines of data": (b"data: a\ndata:\ndata\ndata: b\n\n", ["a\n\n\nb"]),
    "blank lines": (b"\n\n\r\n\ndata: a\n\n\n\n", ["a"]),
    "an event without data": (b"event: ping\n\ndata: a\n\n", ["a"]),
    "an empty event": (b"data:\n\ndata: a\n\n", ["", "a"]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", ["a", "b"]),
    "no line end at the end": (b"data: a\n\ndata: b", ["a", "b"]),
    "UTF-8": ("data: é世👋\n\n".encode(), ["é世👋"]),
    "what only str.splitlines cuts": (f"data: {ODD}\n\n".encode(), [ODD]),
    "nothing": (b"", []),
    "only comments": (b": OPENROUTER PROCESSING\n\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("data", "events"), EVENTS.values(), ids=EVENTS.keys())
def test_an_event_is_read_wherever_its_bytes_are_cut(data: bytes, events: list[str]) -> None:
    for pieces in cuts(data):
        assert read(SSEDecoder(), pieces) == events, pieces


def test_an_event_is_given_by_the_read_that_brings_its_blank_line() -> None:
    decoder = SSEDecoder()

    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b\r") == ["a"]
    assert decoder.feed(b"\r") == ["b"], "a CR alone ends a line"
    assert decoder.feed(b"\ndata: c\n\n") == ["c"], "and the LF after it is no other line"


LINES = {
    "one line": (b'{"a":1}\n', ['{"a":1}']),
    "CRLF": (b"{}\r\n[]\r\n", ["{}", "[]"]),
    "blank lines": (b"\n \n{}\n\n", ["{}"]),
    "no line end at the end": (b"{}\n[]", ["{}", "[]"]),
    "a byte order mark": (b"\xef\xbb\xbf{}\n", ["{}"]),
    "UTF-8 and separators": ('"é\u2028世"\n'.encode(), ['"é\u2028世"']),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("data", "events"), LINES.values(), ids=LINES.keys())
def test_a_line_of_json_is_read_wherever_its_bytes_are_cut(data: bytes, events: list[str]) -> None:
    for pieces in cuts(data):
        assert read(NDJSONDecoder(), pieces) == events, pieces


TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], list[bytes]]:
    """Some texts, written as events with any line ends, noise between them, and cut anywhere."""
    texts = draw(TEXTS)
    end = st.sampled_from(["\n", "\r\n", "\r"])
    noise = st.sampled_from(["", ": c\n", "event: x\r\n", "\n", "id: 7\r"])
    data = "".join(draw(noise) + f"data: {text}{draw(end)}{draw(end)}" for text in texts).encode()
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return texts, [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(streams())
def test_any_stream_of_events_is_read_however_it_is_cut(stream: tuple[list[str], list[bytes]]) -> None:
    texts, pieces = stream
    # A CR and a LF that were meant as two line ends are one.
    wanted = read(SSEDecoder(), [b"".join(pieces)])

    assert read(SSEDecoder(), pieces) == wanted
    assert "".join(wanted).replace("\n", "").replace("data: ", "") == "".join(texts).replace("data: ", "")


@given(TEXTS, st.lists(st.integers(0, 500), max_size=20))
def test_any_lines_of_json_are_read_however_they_are_cut(texts: list[str], places: list[int]) -> None:
    lines = [json.dumps(text, ensure_ascii=False) for text in texts]
    data = "".join(f"{line}\n" for line in lines).encode()
    places = sorted(min(place, len(data)) for place in places)
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]

    assert read(NDJSONDecoder(), pieces) == lines


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
def test_bad_utf8_is_raised_after_the_events_before_it(decoder: type[Decoder]) -> None:
    reader = decoder()

    assert reader.feed(b"data: a\n\ndata: \xff\n\ndata: b\n\n")[0].endswith("a")
    assert isinstance(reader.failure, IncompleteStreamError)
    with pytest.raises(IncompleteStreamError, match="bad data"):
        reader.feed(b"data: c\n\n")
    with pytest.raises(IncompleteStreamError, match="bad data"):
        reader.end()


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
def test_bad_utf8_alone_is_raised_at_once(decoder: type[Decoder]) -> None:
    with pytest.raises(IncompleteStreamError, match="bad data"):
        decoder().feed(b"data: \xff\n\n")
    with pytest.raises(IncompleteStreamError, match="bad data"):
        read(decoder(), [b"data: ", b"\xe4\xb8"])


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_an_event_has_a_bound(decoder: type[Decoder], size: int) -> None:
    data = b"data: " + b"x" * 2_000 + b"\n\n"
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    assert len(read(decoder(max_event_bytes=2_100), pieces)) == 1
    with pytest.raises(ResponseError, match="larger than 1,000 bytes"):
        read(decoder(max_event_bytes=1_000), pieces)


def test_many_lines_of_data_and_a_line_without_end_are_bounded_too() -> None:
    for piece in (b"data: x\n", b"xxxxxxxx", b": xxxxxx"):
        with pytest.raises(ResponseError):
            read(SSEDecoder(max_event_bytes=10_000), [piece] * 10_000)


def test_the_bound_is_of_one_event_not_of_the_stream() -> None:
    decoder = SSEDecoder(max_event_bytes=1_000)

    assert sum(len(decoder.feed(b"data: " + b"x" * 500 + b"\n\n")) for _ in range(100)) == 100


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
@pytest.mark.parametrize("size", [100, 1_000])
def test_a_large_event_in_small_pieces_takes_linear_time(decoder: type[Decoder], size: int) -> None:
    data = b"data: " + b"x" * 3_000_000 + b"\n\n"
    began = time.process_time()

    events = read(decoder(), [data[at : at + size] for at in range(0, len(data), size)])

    assert len(events) == 1
    assert time.process_time() - began < 1
