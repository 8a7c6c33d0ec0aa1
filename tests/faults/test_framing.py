"""FAULTS 1.4, beside the rows of the matrix: when things come, how long they take, what stands between."""

from __future__ import annotations

import time
from typing import Any

from tests.fakes import any_wire
from tests.fakes.replies import Hang
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface
from tests.fakes.wires import Wire

from .bending import bent, events_of, one_write
from .per_wire import Meaningless, rows
from .rows_stream import TEXT


def assert_is_exact(surface: Surface, server: FakeServer, wire: Wire) -> None:
    with surface.open_stream(wire.llm(server), "hi") as stream:
        chunks = stream.rest()
        assert "".join(chunk.content for chunk in chunks) == TEXT
        assert stream.response.content == TEXT
        assert stream.response.finish_reason == "stop"
        assert stream.response.usage.total_tokens == 12  # on the chat wire, of a chunk with `choices: []`
    assert [chunk.phase for chunk in chunks].count("done") == 1
    assert chunks[-1].is_done()


NO_DELTA = Meaningless("a delta is a text, and nothing holds it")
NULLS: dict[str, dict[str, Any]] = {
    "null text": {
        "openai_chat": {"choices": [{"index": 0, "delta": {"content": None}}]},
        "openai_responses": {"type": "response.output_text.delta", "output_index": 0, "delta": None},
        "anthropic_messages": {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": None},
        },
        "ollama_chat": {"message": {"role": "assistant", "content": None}, "done": False},
    },
    "null delta": {
        "openai_chat": {"choices": [{"index": 0, "delta": None}]},
        "openai_responses": NO_DELTA,
        "anthropic_messages": {"type": "message_delta", "delta": None},
        "ollama_chat": {"message": None, "done": False},
    },
}


@rows(NULLS, "event")
def test_a_delta_of_null_says_nothing(surface: Surface, server: FakeServer, wire: Wire, event: Any) -> None:
    """1.4: null deltas, between the others."""

    def inserted(data: bytes) -> list[bytes]:
        first, second, rest = data.partition(b'"lo "')
        *before, begun = events_of(first)
        assert second
        return [*before, wire.dialect.event_bytes(event), begun.rstrip(b"\n") + second + rest]

    server.replies(bent(any_wire.text(TEXT, piece=3), inserted))

    assert_is_exact(surface, server, wire)


def test_a_whole_stream_gives_its_connection_back(surface: Surface, server: FakeServer, wire: Wire) -> None:
    """1.4: the end mark is not the end of the body; the rest is drained, and the connection serves again."""
    server.replies(any_wire.text("once"))
    llm = wire.llm(server)

    assert [surface.stream(llm, "hi")[-1].phase for _ in range(3)] == ["done"] * 3
    assert server.connections == 1


def test_an_event_of_three_megabytes_is_read_in_linear_time(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4: 3 MB event (linear time): four times the bytes are not sixteen times the time."""
    llm = wire.llm(server)

    def seconds(size: int) -> float:
        text = "é" * (size // 2)
        server.replies(any_wire.text(text, piece=size).in_pieces(4096))
        begun = time.process_time()
        with surface.open_stream(llm, "hi") as stream:
            stream.rest()
            assert stream.response.content == text
        return time.process_time() - begun

    small, large = seconds(750_000), seconds(3_000_000)

    assert large < 10 * small + 0.2


def test_the_end_mark_is_given_out_before_the_body_is_drained(
    surface: Surface, server: FakeServer, wire: Wire
) -> None:
    """1.4: end now."""
    server.replies(bent(any_wire.text(TEXT), one_write, Hang()))

    with surface.open_stream(wire.llm(server), "hi") as stream:
        while not stream.next().is_done():
            pass
        assert stream.response.content == TEXT
        surface.wait_for(server, lambda s: s.hanging == 1)
        assert server.disconnects == 0
