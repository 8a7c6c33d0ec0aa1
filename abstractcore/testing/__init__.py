"""What a program that uses abstractcore is tested with: models that answer from a script, and recordings.

Names are loaded when they are first used, so that a test run which needs none of them pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abstractcore.testing.cassettes import Cassette, cassette
    from abstractcore.testing.misses import CassetteError, CassetteMissError
    from abstractcore.testing.scripted import FunctionLLM, Request, ScriptedLLM, ScriptError
    from abstractcore.testing.scripts import Wait, thinking, tool_call, wait
    from abstractcore.testing.vectors import word_vector

_HOME = {
    **dict.fromkeys(("Cassette", "cassette"), "cassettes"),
    **dict.fromkeys(("CassetteError", "CassetteMissError"), "misses"),
    **dict.fromkeys(("FunctionLLM", "Request", "ScriptError", "ScriptedLLM"), "scripted"),
    **dict.fromkeys(("Wait", "thinking", "tool_call", "wait"), "scripts"),
    "word_vector": "vectors",
}

__all__ = [
    "Cassette",
    "CassetteError",
    "CassetteMissError",
    "FunctionLLM",
    "Request",
    "ScriptError",
    "ScriptedLLM",
    "Wait",
    "cassette",
    "thinking",
    "tool_call",
    "wait",
    "word_vector",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'abstractcore.testing' has no attribute {name!r}")
    return getattr(import_module(f"abstractcore.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
