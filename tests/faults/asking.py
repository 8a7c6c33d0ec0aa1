"""How a test of this room asks, and what it may find in a failure."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

from abstractcore.errors import AbstractCoreError
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface, WholeOrStream

KEY = "sk-planted-0123456789abcdef"
PROMPT = "Is this my planted prompt?"


def failure_of(surface: Surface, way: WholeOrStream, llm: Any, **options: Any) -> Any:
    """Ask, and give the failure: one of ours, named, and with nothing in it that is secret."""
    with pytest.raises(AbstractCoreError) as caught:
        way.ask(surface, llm, PROMPT, **options)
    failure = caught.value
    assert (failure.provider, failure.model) == (llm.provider, llm.model)
    assert_keeps_secrets(failure)
    return failure


def assert_told(failure: Any, kind: type[AbstractCoreError], **fields: Any) -> None:
    """The failure is a *kind*, neither more nor less, with these fields."""
    assert type(failure) is kind, repr(failure)
    assert {name: getattr(failure, name) for name in fields} == fields


def assert_keeps_secrets(failure: BaseException, *secrets: str) -> None:
    """Neither key nor prompt stands in the failure; the key in no frame of its traceback either."""
    told = f"{failure!r} {failure!s} {failure.args!r} {vars(failure)!r} {pickle.dumps(failure)!r}"
    frames = "".join(traceback.TracebackException.from_exception(failure, capture_locals=True).format())
    for secret in (KEY, *secrets):
        assert secret not in told
        assert secret not in frames
    assert PROMPT not in told


def assert_left(server: FakeServer) -> None:
    """The client has closed every connection, within a second."""
    server.wait_for(lambda s: s.open_sockets == 0)
