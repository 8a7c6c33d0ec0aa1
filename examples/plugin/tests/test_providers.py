"""The suite of abstractcore, on each provider of this package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fake_lines import END, FakeLines

from abstractcore import AuthenticationError, ServerError, create_llm
from abstractcore.testing.provider_suite import ProviderSuite


class TestLines(ProviderSuite):
    """A server that can be told what to say has every check run."""

    @pytest.fixture(autouse=True)
    def served(self) -> Iterator[None]:
        self.server = FakeLines()
        yield
        self.server.close()

    def make_llm(self, **options: Any) -> Any:
        return create_llm("example-lines", "m", base_url=self.server.url, **{"max_retries": 0, **options})

    def will_answer(self, text: str) -> None:
        pieces = [{"text": text[at : at + 4]} for at in range(0, len(text), 4)]
        self.server.script.append([*pieces, END])

    def will_call(self, name: str, arguments: dict[str, Any]) -> None:
        call = {"call": {"id": "call_1", "name": name, "arguments": arguments}}
        self.server.script.append([call, {**END, "end": "tool_calls"}])

    def will_fail(self) -> type[ServerError]:
        self.server.script.append(500)
        return ServerError

    def will_go_on(self) -> None:
        self.server.script.append(None)

    def is_answering(self) -> bool:
        return self.server.asked > 0

    def has_been_left(self) -> bool:
        return self.server.left.is_set()


class TestEcho(ProviderSuite):
    """Nobody can tell it what to say: the checks that need that are skipped, and say so."""

    lacks = frozenset({"tools", "structured_output", "cancel"})

    def make_llm(self, **options: Any) -> Any:
        return create_llm("example-echo", "plain", **options)


@pytest.mark.skipif("EXAMPLE_GGUF" not in os.environ, reason="EXAMPLE_GGUF names no .gguf file")
class TestEngine(ProviderSuite):
    """The parrot reads any model file, and says what it hears."""

    lacks = frozenset({"tools", "structured_output", "cancel"})

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def kept_loaded(cls) -> Iterator[None]:
        """One load for all checks, since one is in use all the time."""
        with create_llm("example-engine", os.environ["EXAMPLE_GGUF"]) as llm:
            llm.load()
            yield

    def make_llm(self, **options: Any) -> Any:
        return create_llm("example-engine", os.environ["EXAMPLE_GGUF"], **options)


def test_the_service_wants_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXAMPLE_API_KEY", raising=False)
    with pytest.raises(AuthenticationError, match="EXAMPLE_API_KEY"):
        create_llm("example-service", "m")
