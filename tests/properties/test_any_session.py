"""C5: any history comes back from its file as it was, or `save` says that it cannot be saved."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from abstractcore import BasicSession, SessionError
from abstractcore.generation.history import sendable
from tests.properties.any_history import histories, json_values, names, texts
from tests.properties.searching import forms, search

EXAMPLES = forms(short=150, long=5_000)
settings = st.fixed_dictionaries({
    "system_prompt": st.none() | texts,
    "temperature": st.none() | st.floats(0, 2) | st.integers(0, 2),
    "seed": st.none() | st.integers(-(2**63), 2**63 - 1),
})  # fmt: skip
SURROGATES = st.text(st.characters(categories=["Cs", "L"]), max_size=4)
# What is no JSON, or not only: a caller's own objects among the metadata, keys that are no text.
no_json = st.recursive(
    json_values | SURROGATES | st.sampled_from([float("nan"), float("inf"), b"x", {1}, (1, 2), object, ...]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(texts | st.integers(0, 2) | st.booleans() | st.none(), inner, max_size=2)
    ),
    max_leaves=4,
)


def session_of(messages: list[Any], system_prompt: Any, temperature: Any, seed: Any) -> BasicSession:
    session = BasicSession(None, system_prompt, temperature=temperature, seed=seed)
    session.messages[:] = messages
    return session


def state(session: BasicSession) -> Any:
    return session.messages, session.system_prompt, session.temperature, session.seed


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to save; nobody pulls the plug, so the disk need not be waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return tmp_path / "session.json"


@EXAMPLES
def test_any_history_comes_back_as_it_was(examples: int, path: Path) -> None:
    def check(case: tuple[list[Any], Mapping[str, Any]]) -> None:
        messages, options = case
        saved = session_of(messages, **options)
        saved.save(path)

        loaded = BasicSession.load(path)

        assert exact(state(loaded)) == exact(state(saved))
        assert sendable(loaded.system_prompt, loaded.messages) == sendable(saved.system_prompt, messages)
        loaded.save(path)
        assert exact(state(BasicSession.load(path))) == exact(state(saved))

    assert search(examples, st.tuples(histories(), settings), check) >= examples


@EXAMPLES
def test_what_would_not_come_back_as_it_was_is_not_saved(examples: int, path: Path) -> None:
    """A message may hold anything where a caller puts metadata, or edits the list by hand."""
    kept = session_of([{"role": "user", "content": "kept"}], None, None, None)
    fields = (
        st.sampled_from(["metadata", "content", "role", "tool_calls", "provider_data", "timestamp"]) | names
    )
    messages = st.fixed_dictionaries({"role": st.just("user"), "content": texts | SURROGATES})
    odd = st.builds(lambda message, field, value: {**message, field: value}, messages, fields, no_json)

    def check(message: dict[str, Any]) -> None:
        kept.save(path)
        session = session_of([message], None, None, None)
        try:
            session.save(path)
        except SessionError:
            assert BasicSession.load(path).messages == kept.messages
        else:
            assert exact(BasicSession.load(path).messages) == exact([message])

    assert search(examples, odd, check) >= examples


def exact(value: Any) -> Any:
    """Tell apart what Python calls equal (1, True and 1.0), and not what JSON does not tell apart.

    To JSON a tuple is a list; and the two halves of a character that stand together are the character.
    """
    if isinstance(value, dict):
        return "dict", [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return "list", [exact(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass")
    return type(value).__name__, value


def test_exact_tells_apart_what_json_does() -> None:
    assert exact([1]) != exact([True])
    assert exact({"a": 0}) != exact({"a": 0.0})
    assert exact({1: 2}) != exact({"1": 2})
    assert exact((1,)) == exact(json.loads("[1]"))


@pytest.mark.parametrize("key", [1, 0.5, True, None])
def test_a_key_that_is_not_text_is_not_saved_as_one(key: Any, path: Path) -> None:
    """Two such keys may be the same text, and the second would take the place of the first."""
    session = BasicSession()
    session.add_message("user", "hi", seen=[{key: "a"}])

    with pytest.raises(SessionError, match="key that is not text"):
        session.save(path)
    assert not path.exists()
