"""Both surfaces drive the same behaviour: shown on a toy with the shape of an LLM."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.fakes.surfaces import Surface, WholeOrStream


class ToyStream:
    """Three chunks, then a response."""

    def __init__(self) -> None:
        self.response: str | None = None
        self.partial: list[str] = []
        self.is_closed = False

    def _next(self, part: str) -> str:
        self.partial.append(part)
        return part

    def __iter__(self) -> Iterator[str]:
        try:
            yield from map(self._next, "abc")
            self.response = "abc"
        finally:
            self.is_closed = True

    async def __aiter__(self) -> AsyncIterator[str]:
        for chunk in self:
            await asyncio.sleep(0)
            yield chunk

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.close()


class Toy:
    """Answers with the prompt; fails when asked to."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=2)
        self.gate = asyncio.Event()
        self.seen: list[str] = []

    def generate(self, prompt: str, *, stream: bool = False, include: Any = None) -> Any:
        self.seen.append("sync")
        if prompt == "fail":
            raise LookupError(prompt)
        return ToyStream() if stream else prompt

    def agenerate(self, prompt: str, *, stream: bool = False, include: Any = None) -> Any:
        asyncio.get_running_loop()
        return ToyStream() if stream else self._answer(prompt)

    async def _answer(self, prompt: str) -> str:
        self.seen.append("async")
        if prompt == "fail":
            raise LookupError(prompt)
        if prompt == "cancelled":
            raise asyncio.CancelledError
        return prompt

    def meet(self) -> int:
        return self.barrier.wait()

    async def ameet(self) -> int:
        return await asyncio.to_thread(self.barrier.wait)

    async def await_for_ever(self) -> None:
        await self.gate.wait()

    def only_sync(self) -> str:
        return "same"


def test_a_call_takes_the_surface_s_own_name(surface: Surface) -> None:
    toy = Toy()

    assert surface.generate(toy, "hi") == "hi"
    assert toy.seen == [surface.name]
    assert surface.call(toy, "only_sync") == "same"
    with pytest.raises(LookupError, match="fail"):
        surface.generate(toy, "fail")


def test_a_stream_is_read_to_its_end(surface: Surface, whole_or_stream: WholeOrStream) -> None:
    toy = Toy()

    assert surface.stream(toy, "x", include=["thinking"]) == ["a", "b", "c"]
    assert whole_or_stream.ask(surface, toy, "abc") == "abc"


def test_a_stream_is_read_step_by_step(surface: Surface) -> None:
    with surface.open_stream(Toy(), "x") as stream:
        assert (stream.next(), stream.next()) == ("a", "b")
        assert (stream.partial, stream.response) == (["a", "b"], None)
        assert stream.rest() == ["c"]
        assert stream.next() is None
        assert stream.response == "abc"
    assert stream.stream.is_closed


def test_a_loop_is_left_by_break(surface: Surface) -> None:
    taken, stream = surface.take(Toy(), 2, "x")

    assert taken == ["a", "b"]
    assert stream.partial == ["a", "b"]


def test_calls_run_at_the_same_time(surface: Surface) -> None:
    toy = Toy()
    met = surface.gather(surface.later(toy, method="meet"), surface.later(toy, method="meet"), timeout=5)
    assert sorted(met) == [0, 1]

    first, second = surface.gather(surface.later(toy, "fail"), surface.later(toy, "fine"))
    assert isinstance(first, LookupError)
    assert second == "fine"


@pytest.mark.parametrize("surface", ["async"], indirect=True)
def test_a_started_call_can_be_cancelled(surface: Surface) -> None:
    toy = Toy()
    started = surface.start(surface.later(toy, method="wait_for_ever"))
    assert not started.is_done
    started.cancel()

    with pytest.raises(asyncio.CancelledError):
        started.result(timeout=1)
    with pytest.raises(asyncio.CancelledError):
        surface.generate(toy, "cancelled")
