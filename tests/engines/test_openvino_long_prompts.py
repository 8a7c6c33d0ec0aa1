"""A long prompt beside answers that are being written, on OpenVINO's own batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from abstractcore.engines.options import EngineOptions
from abstractcore.engines.process import ProcessRuntime
from abstractcore.engines.runtime import Accepted, Delta, Prompt

from .conftest import TINY

TOKENS_PER_STEP = 256


@pytest.fixture
def runtime(needs_openvino: None) -> Iterator[ProcessRuntime]:
    """The tiny model in a worker, which steps when the test says so."""
    options = EngineOptions(threads=1, cache_gb=1)
    runtime = ProcessRuntime("openvino", str(TINY), options, formats=("gguf",), max_batch=4)
    runtime.load(lambda _: None)
    yield runtime
    runtime.close()


def asked(content: str) -> Prompt:
    return Prompt(messages=[{"role": "user", "content": content}], extra={"ignore_eos": True})


def test_a_long_prompt_does_not_stop_the_answers_beside_it(runtime: ProcessRuntime) -> None:
    """CONTRACT I1: no step goes by without a token for each of them."""
    writers, reader = (1, 2), 3
    for number in writers:
        runtime.add(number, asked("Count to twenty."))
    while not [event for event in runtime.step() if isinstance(event, Delta)]:
        pass
    runtime.add(reader, asked("word " * 500))
    length, steps, has_begun = 0, 0, False
    while not has_begun:
        events = runtime.step()
        steps += 1
        length += sum(event.input_tokens or 0 for event in events if isinstance(event, Accepted))
        tokens = {event.job: event.tokens for event in events if isinstance(event, Delta)}
        assert [tokens.get(number) for number in writers] == [1, 1]
        has_begun = reader in tokens

    assert length > 4 * TOKENS_PER_STEP
    assert steps >= length // TOKENS_PER_STEP
