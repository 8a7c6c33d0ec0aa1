"""How a test of this room asks, and what it may find in a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from abstractcore.errors import AbstractCoreError
from tests.fakes.surfaces import Surface, WholeOrStream
from tests.providers.conftest import KEY

PROMPT = "Is this my planted prompt?"

# One client of each way to send and to frame; what a failure is, all of them are asked.
few = pytest.mark.parametrize("vendor", ["openai", "anthropic", "bedrock"], indirect=True)


def failure_of(surface: Surface, way: WholeOrStream, llm: Any, **options: Any) -> Any:
    """Ask, and give the failure: one of ours, named, and with no key in all that hangs on it."""
    with pytest.raises(AbstractCoreError) as caught:
        way.ask(surface, llm, PROMPT, **options)
    failure = caught.value
    assert (failure.provider, failure.model) == (llm.provider, llm.model)
    assert KEY not in "".join(seen_from(failure))
    return failure


def seen_from(failure: BaseException | None) -> Iterator[str]:
    """What an error reporter shows of a failure: itself, its causes, their requests, the frames."""
    while failure is not None:
        yield f"{failure!r} {failure!s} {failure.args!r} {vars(failure)!r}"
        for name in ("request", "_request", "response"):
            headers = getattr(getattr(failure, name, None), "headers", {})
            yield str(list(dict(headers).items()))
        trace = failure.__traceback__
        while trace is not None:
            if "/abstractcore/" in trace.tb_frame.f_code.co_filename:
                with suppress(Exception):
                    yield repr(trace.tb_frame.f_locals)
            trace = trace.tb_next
        failure = failure.__cause__ or failure.__context__
