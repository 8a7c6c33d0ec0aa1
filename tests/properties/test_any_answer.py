"""Any bytes at all as the body of an answer give an answer, or one of our errors; nothing else comes out.

An answer that came out must be of use: it can be kept in a session, saved, and sent with the next question.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st

from abstractcore import AbstractCoreError, ConfigurationError, TransportError, create_llm
from abstractcore.generation import history
from abstractcore.generation.collect import Collector, assistant_message
from abstractcore.types import GenerateResponse, Message, StreamChunk
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


class Asking:
    """An LLM on one wire, before a peer, asked on one surface."""

    def __init__(self, llm: Any, peer: Peer, runner: asyncio.Runner | None) -> None:
        self.llm = llm
        self.peer = peer
        self._runner = runner

    def whole(self, prompt: str, **options: Any) -> GenerateResponse:
        if self._runner is None:
            return self.llm.generate(prompt, **options)
        return self._runner.run(self._awaited(prompt, options))

    async def _awaited(self, prompt: str, options: dict[str, Any]) -> GenerateResponse:
        return await self.llm.agenerate(prompt, **options)

    def streamed(self, prompt: str) -> GenerateResponse:
        """Fold a stream, and see that it is one: text is text, and `done` comes last and once."""
        chunks = (
            list(self.llm.generate(prompt, stream=True)) if self._runner is None else self._gathered(prompt)
        )
        collector = Collector("p", "m")
        assert [chunk.phase for chunk in chunks].index("done") == len(chunks) - 1
        for chunk in chunks:
            assert isinstance(chunk.content, str)
            assert (chunk.tool_call is not None) == (chunk.phase == "tool_calling")
            collector.add(chunk)
        return collector.response()

    def _gathered(self, prompt: str) -> list[StreamChunk]:
        async def gathered() -> list[StreamChunk]:
            return [chunk async for chunk in self.llm.agenerate(prompt, stream=True)]

        assert self._runner is not None
        return self._runner.run(gathered())


@contextlib.contextmanager
def asked(wire: str, *surfaces: str) -> Iterator[list[Asking]]:
    """One on each of *surfaces*, all before one peer."""
    row = WIRES[wire]
    options = {"base_url": BASE_URL, "api_key": "wire-key", "max_retries": 0, **row.options}
    with playing() as peer, contextlib.ExitStack() as stack:
        llm = stack.enter_context(create_llm(row.provider, "m", **options))
        runners = {"sync": None, "async": stack.enter_context(asyncio.Runner())}
        yield [Asking(llm, peer, runners[surface]) for surface in surfaces]


@forms(short=200, long=12_000)
@pytest.mark.parametrize("wire", WIRES)
def test_any_bytes_give_an_answer_or_an_error_of_ours(wire: str, examples: int) -> None:
    """The same one on both surfaces."""
    with asked(wire, "sync", "async") as (blocking, looping):

        def check(case: Case) -> None:
            assert outcome(blocking, case) == outcome(looping, case)

        assert search(examples, cases(wire), check) >= examples
        assert blocking.peer.connections >= 2 * examples


def outcome(asking: Asking, case: Case) -> Any:
    """What came of a case, once it has been checked; without what differs from call to call."""
    asking.peer.pieces = answered(case.status, case.kind, case.pieces, ends=case.ends)
    try:
        response = asking.streamed("Hi") if case.streams else asking.whole("Hi")
    except AbstractCoreError as failure:
        check_failure(failure)
        return type(failure), str(failure), failure.retryable, failure.attempts
    assert 200 <= case.status < 300
    check_answer(asking, response)
    return replace(response, gen_time=None, raw=None)


def check_failure(failure: AbstractCoreError) -> None:
    """It is not the caller's fault, it says something, and it can be carried to another process."""
    assert not isinstance(failure, ConfigurationError)
    assert str(failure).encode()
    assert repr(failure).encode("utf-8")
    again = pickle.loads(pickle.dumps(failure))
    assert (type(again), str(again)) == (type(failure), str(failure))


def check_answer(asking: Asking, response: GenerateResponse) -> None:
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
    asking.peer.pieces = []  # nobody answers; but the next question could be written
    with pytest.raises(TransportError):
        asking.whole("And?", messages=turn)
