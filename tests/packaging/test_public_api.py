"""What a program may lean on does not break unnoticed."""

from __future__ import annotations

import pytest

from tests.packaging.public_api import breakages, current, recorded


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    return current()


def test_nothing_public_breaks(now: dict[str, str]) -> None:
    """Is it meant? Then CHANGELOG says it under Changed or Removed, and `make api` records the new one."""
    assert breakages(recorded(), now) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("abstractcore", "def chat(text: str,", "def chat(said: str,", "chat: Parameter was removed: text"),
        (
            "abstractcore",
            "max_retries: int = 2",
            "max_retries: int",
            "create_llm: Parameter is now required: max_retries",
        ),
        (
            "abstractcore",
            "max_retries: int = 2",
            "max_retries: int = 3",
            "Parameter default was changed: max_retries 2 -> 3",
        ),
        ("abstractcore", "temperature: float | None = ...,", "", "Parameter was removed: temperature"),
        ("abstractcore", "class Usage:", "class Used:", "Usage: Public object was removed"),
        ("abstractcore", "finish_reason: FinishReason | None\n", "\n", "finish_reason"),
        ("abstractcore", "class RateLimitError(APIError)", "class RateLimitError", "Base class was removed"),
        ("abstractcore.aio", "Tool: abstractcore.Tool", "", "aio.Tool: Public object was removed"),
        (
            "abstractcore.testing",
            "def wait(seconds: float)",
            "def wait(*, seconds: float)",
            "wait: Parameter kind was changed: seconds",
        ),
    ],
)
def test_a_break_is_told(name: str, before: str, after: str, told: str, now: dict[str, str]) -> None:
    assert before in now[name]

    lines = breakages(now, {**now, name: now[name].replace(before, after)})

    assert told in "\n".join(lines)


def test_what_is_new_breaks_nothing(now: dict[str, str]) -> None:
    more = now["abstractcore"].replace("strict: bool", "colour: str = 'red', strict: bool")
    more += "def another(what: str) -> None: ...\n"

    assert breakages(now, {**now, "abstractcore": more}) == []
