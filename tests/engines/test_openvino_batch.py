"""The worker's batch, over OpenVINO requests to a pipeline that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from abstractcore.engines.runtime import Refused
from abstractcore.engines.worker import openvino
from abstractcore.engines.worker.batch import Batch, Reading
from abstractcore.engines.worker.detokenize import FromBytes

BAD = '{"type": "bogus"}'
DOUBTFUL = '{"type": "string", "pattern": "a+"}'
PLAIN = '{"type": "string"}'


class Handle:
    """A request of the script: it gives one byte of its text for each step."""

    def __init__(self, text: str, schema: str | None) -> None:
        self.left = text.encode()
        self.schema = schema
        self.ready: list[Any] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def can_read(self) -> bool:
        return bool(self.ready)

    def read(self) -> dict[int, Any]:
        result: dict[int, Any] = self.ready.pop()
        return result

    def advance(self) -> None:
        byte, self.left = self.left[:1], self.left[1:]
        if byte == b"!":
            self.ready.append({})
            return
        reason = "NONE" if self.left else "STOP"
        output = SimpleNamespace(generated_ids=list(byte), finish_reason=SimpleNamespace(name=reason))
        self.ready.append({0: output})


class Scripted:
    """A pipeline without weights."""

    context_length = 100
    knows_tools = True

    def __init__(self) -> None:
        self.requests: list[Handle] = []
        self.seeds: list[int] = []
        self.together: list[list[str | None]] = []
        self.is_broken = False

    def read(self, prompt: Any) -> Reading:
        if prompt["messages"] == "too long":
            raise Refused("ContextLengthError", "too long")
        return Reading([1, 2, 3])

    def start(self, number: int, ids: Sequence[int], prompt: Any, room: int, seed: int) -> Handle:
        self.seeds.append(seed)
        self.requests.append(Handle(prompt["messages"], prompt["schema"]))
        return self.requests[-1]

    def is_idle(self) -> bool:
        return not self.requests

    def step(self) -> None:
        self.requests = [handle for handle in self.requests if not handle.is_cancelled]
        self.together.append([handle.schema for handle in self.requests])
        if self.is_broken or any(handle.schema == BAD for handle in self.requests):
            raise RuntimeError("no such grammar")
        for handle in self.requests:
            handle.advance()
        self.requests = [handle for handle in self.requests if handle.left]

    def prompt_tokens(self, handle: Handle) -> int | None:
        return None

    def detokenizer(self) -> FromBytes:
        return FromBytes({number: bytes([number]) for number in range(256)}, ())


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scripted], Batch]:
    """Make a batch over a pipeline."""

    def make(pipeline: Scripted) -> Batch:
        monkeypatch.setattr(openvino, "_open", lambda options: pipeline)
        return Batch(openvino.Model({}))

    return make


def prompt(text: str, *, schema: str | None = None, stop: Sequence[str] = (), seed: int | None = None) -> Any:
    sampling = {} if seed is None else {"seed": seed}
    return {
        "messages": text,
        "schema": schema,
        "stop": stop,
        "sampling": sampling,
        "max_output_tokens": None,
    }


def run(batch: Batch, prompts: Sequence[Any]) -> dict[int, str]:
    """Step until all have ended; the text of each, or the class of its error."""
    texts: dict[int, str] = {}
    events = [event for number, one in enumerate(prompts) for event in batch.add(number, one)]
    for _ in range(200):
        for kind, number, *fields in events:
            if kind == "delta":
                texts[number] = texts.get(number, "") + fields[0]
            elif kind == "failed":
                texts[number] = fields[0]
        events = batch.step()
    return texts


def test_a_full_cache_ends_one_job_alone(over: Callable[[Scripted], Batch]) -> None:
    """FAULTS 1.11: OutOfMemoryError for that request; the others continue."""
    texts = run(over(Scripted()), [prompt("abc"), prompt("a!"), prompt("déf")])

    assert texts == {0: "abc", 1: "OutOfMemoryError", 2: "déf"}


class Crowded(Scripted):
    """A pipeline that drops both of its requests at their second step; *again* is what comes back."""

    def __init__(self, again: str) -> None:
        super().__init__()
        self.again = again

    def start(self, number: int, ids: Sequence[int], prompt: Any, room: int, seed: int) -> Handle:
        is_new = len(self.seeds) < 2
        asked = {**prompt, "messages": prompt["messages"][:1] + "!" if is_new else self.again}
        return super().start(number, ids, asked, room, seed)


def test_what_was_dropped_goes_on_where_it_was(over: Callable[[Scripted], Batch]) -> None:
    """FAULTS 1.11: from the start, with the same seed; nothing is told twice."""
    model = Crowded(again="xyz")

    assert run(over(model), [prompt("abc"), prompt("xyz")]) == {0: "OutOfMemoryError", 1: "xyz"}
    assert len(set(model.seeds)) == 2
    assert model.seeds[1] == model.seeds[2]


def test_what_comes_back_otherwise_is_ended(over: Callable[[Scripted], Batch]) -> None:
    """Half of one answer and half of another are no answer."""
    model = Crowded(again="yes")

    assert run(over(model), [prompt("abc"), prompt("xyz")]) == dict.fromkeys((0, 1), "OutOfMemoryError")
    assert model.is_idle()


def test_a_prompt_that_is_refused_ends_alone(over: Callable[[Scripted], Batch]) -> None:
    texts = run(over(Scripted()), [prompt("too long"), prompt("b")])

    assert texts == {0: "ContextLengthError", 1: "b"}


def test_a_stop_text_cancels_the_request(over: Callable[[Scripted], Batch]) -> None:
    model = Scripted()
    texts = run(over(model), [prompt("one STOP two", stop=["STOP"])])

    assert texts == {0: "one "}
    assert model.is_idle()
    assert len(model.together) < 11


def test_a_doubtful_grammar_does_its_first_step_alone(over: Callable[[Scripted], Batch]) -> None:
    """CONTRACT I1: a refusal in the middle of a batch would break it for all."""
    model = Scripted()
    prompts = [prompt("abc"), prompt("x", schema=BAD), prompt("def"), prompt("yz", schema=DOUBTFUL)]
    texts = run(over(model), prompts)

    assert texts == {0: "abc", 1: "ConfigurationError", 2: "def", 3: "yz"}
    assert [step for step in model.together if BAD in step] == [[BAD]]
    assert next(step for step in model.together if DOUBTFUL in step) == [DOUBTFUL]


def test_a_grammar_that_has_passed_joins_the_batch(over: Callable[[Scripted], Batch]) -> None:
    model = Scripted()
    batch = over(model)
    run(batch, [prompt("a", schema=DOUBTFUL)])
    model.together.clear()
    run(batch, [prompt("abc"), prompt("def", schema=DOUBTFUL), prompt("ghi", schema=PLAIN)])

    assert model.together[0] == [None, DOUBTFUL, PLAIN]


def test_a_step_that_fails_for_no_grammar_is_the_end(over: Callable[[Scripted], Batch]) -> None:
    model = Scripted()
    model.is_broken = True

    with pytest.raises(RuntimeError):
        run(over(model), [prompt("abc")])


def test_a_cancelled_job_is_out_of_the_model_with_the_next_step(over: Callable[[Scripted], Batch]) -> None:
    """CONTRACT I1"""
    model = Scripted()
    batch = over(model)
    batch.add(1, prompt("a" * 50))
    batch.add(2, prompt("b" * 50, schema=BAD))
    batch.step()
    batch.cancel(1)
    batch.cancel(2)
    batch.cancel(3)
    batch.step()

    assert model.is_idle()
    assert batch.step() == []


def test_requests_without_a_seed_have_different_ones(over: Callable[[Scripted], Batch]) -> None:
    """The runtime's default would give all of them the same text."""
    model = Scripted()
    run(over(model), [prompt("a"), prompt("a"), prompt("a", seed=7), prompt("a", seed=-1)])

    assert len(set(model.seeds)) == 4
    assert model.seeds[2:] == [7, 2**63 - 1]
