"""A planted key, and what looks for it."""

from __future__ import annotations

import base64
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

from tests.fakes.server import FakeServer
from tests.fakes.wires import WIRES, Wire

KEY = "planted-Zq9vXw3kLm7pRt2s-0123456789"  # not one of a vendor's, so that no pattern knows it
HEADER_KEY = "planted-header-8Yh2Nb5vCx1z"
SPELLINGS = tuple(
    spelling
    for key in (KEY, HEADER_KEY)
    for spelling in (key, base64.b64encode(key.encode()).decode(), key[:20], key[-20:])
)


def assert_clean(told: Any) -> None:
    text = told if isinstance(told, str) else repr(told)
    found = [spelling for spelling in SPELLINGS if spelling in text]
    assert not found, text[max(0, text.find(found[0]) - 200) :][:400]


def planted(server: FakeServer, wire: Wire = WIRES["openai_chat"], **options: Any) -> Any:
    return wire.llm(server, api_key=KEY, headers={"X-Portal-Token": HEADER_KEY}, **options)


def chain(failure: BaseException | None) -> Iterator[BaseException]:
    """A failure, and all that led to it or stands in it."""
    seen: list[BaseException] = []
    waiting = [failure]
    while waiting:
        each = waiting.pop()
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return iter(seen)


def assert_failure_clean(failure: BaseException) -> None:
    for each in chain(failure):
        assert_clean(f"{each!r} {each!s} {each.args!r} {vars(each)!r} {getattr(each, '__notes__', '')}")
        assert_clean(repr(pickle.dumps(each)))
        assert_clean(repr(traceback.extract_tb(each.__traceback__)))
    told = traceback.TracebackException.from_exception(failure, capture_locals=True, compact=False)
    assert_clean("".join(told.format()))
    for each in chain(failure):
        for frame, _ in traceback.walk_tb(each.__traceback__):
            for name, value in frame.f_locals.items():
                if not name.startswith("KEY") and frame.f_globals.get("__name__", "").startswith(
                    "abstractcore"
                ):
                    assert_clean(f"{name} = {value!r}")
