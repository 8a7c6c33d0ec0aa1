"""Any bytes at all as the body of an answer give an answer, or one of our errors; nothing else comes out.

An answer that came out must be of use: it can be kept in a session, saved, and sent with the next question.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from abstractcore import AbstractCoreError, ConfigurationError, TransportError, create_llm
from abstractcore.generation import history
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import GenerateResponse, Message
from tests.fakes.wires import WIRES
from tests.properties.any_bytes import bodies
from tests.properties.played import BASE_URL, Peer, answered, playing
from tests.properties.searching import forms, search


@dataclass(frozen=True)
class Case:
    """One answer of a server: its body in pieces, and how it is sent and asked for."""

    pieces: list[bytes]
    status: int
    kind: str
    ends: str
    streams: bool


@st.composite
def cases(draw: st.DrawFn, wire: str) -> Case:
    data, streamed = draw(bodies(wire))
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    status = draw(st.sampled_from([200] * 24 + [201, 204, 301, 400, 401, 404, 429, 500, 529]))
    kind = draw(
        st.sampled_from(["application/json", "text/event-stream", "application/x-ndjson", "text/html"])
    )
    ends = draw(st.sampled_from(["chunked", "length", "close"]))
    return Case(pieces, status, kind, ends, streamed)


@contextlib.contextmanager
def asked(wire: str) -> Iterator[tuple[Any, Peer]]:
    row = WIRES[wire]
    with playing() as peer:
        options = {"base_url": BASE_URL, "api_key": "wire-key", "max_retries": 0, **row.options}
        with create_llm(row.provider, "m", **options) as llm:
            yield llm, peer


@forms(short=200, long=12_000)
@pytest.mark.parametrize("wire", WIRES)
def test_any_bytes_give_an_answer_or_an_error_of_ours(wire: str, examples: int) -> None:
    with asked(wire) as (llm, peer):

        def check(case: Case) -> None:
            peer.pieces = answered(case.status, case.kind, case.pieces, ends=case.ends)
            try:
                response = stream_of(llm) if case.streams else llm.generate("Hi")
            except AbstractCoreError as failure:
                check_failure(failure)
            else:
                assert 200 <= case.status < 300
                check_answer(llm, peer, response)

        assert search(examples, cases(wire), check) >= examples
        assert peer.connections >= examples


def stream_of(llm: Any) -> GenerateResponse:
    """Fold a stream, and see that it is one: text is text, and `done` comes last and once."""
    collector = Collector("p", "m")
    chunks = list(llm.generate("Hi", stream=True))
    assert [chunk.phase for chunk in chunks].index("done") == len(chunks) - 1
    for chunk in chunks:
        assert isinstance(chunk.content, str)
        assert (chunk.tool_call is not None) == (chunk.phase == "tool_calling")
        collector.add(chunk)
    return collector.response()


def check_failure(failure: AbstractCoreError) -> None:
    """It is not the caller's fault, it says something, and it can be carried to another process."""
    assert not isinstance(failure, ConfigurationError)
    assert str(failure).encode()
    assert repr(failure).encode("utf-8")
    again = pickle.loads(pickle.dumps(failure))
    assert (type(again), str(again)) == (type(failure), str(failure))


def check_answer(llm: Any, peer: Peer, response: GenerateResponse) -> None:
    assert isinstance(response.content, str)
    assert response.finish_reason in ("stop", "length", "tool_calls", "content_filter", "other", None)
    counts = (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)
    ids = [call.id for call in response.tool_calls]
    assert len({*ids}) == len(ids)
    assert all(
        isinstance(call.name, str) and isinstance(call.arguments, dict) for call in response.tool_calls
    )

    turn: list[Message] = [{"role": "user", "content": "Hi"}, assistant_message(response)]
    turn += [{"role": "tool", "content": "1", "tool_call_id": name} for name in ids]
    saved = history.loads(history.dumps(history.Saved(turn)), "s.json")
    assert saved.messages == turn
    peer.pieces = []  # nobody answers; but the next question could be written
    with pytest.raises(TransportError):
        llm.generate("And?", messages=turn)
