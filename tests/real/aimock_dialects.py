"""The dialects that aimock speaks, and an LLM for each. What a dialect of it lacks is named here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from abstractcore import create_llm
from tests.real.processes import fetch


@dataclass(frozen=True)
class Dialect:
    """One wire of aimock: the row and the options that lead to it.

    *thinks*: whether aimock says reasoning as the vendor does. *tokens*: what it says of a fixture's
    usage of 11 and 7. *cut*: what it says of a fixture that ends for its length.
    """

    name: str
    provider: str
    path: str = ""
    model: str = "test-model"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    thinks: bool = True
    tokens: tuple[int, int, int] = (11, 7, 18)
    cut: str = "length"


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("chat", "openai", "/v1", options={"api": "chat", "api_key": "k"}),
        # It says "incomplete" without the details.
        Dialect("responses", "openai", "/v1", options={"api": "responses", "api_key": "k"}, cut="other"),
        Dialect("anthropic", "anthropic", options={"api_key": "k"}),
        # It says reasoning in a field that Ollama has not, and counts nothing.
        Dialect("ollama", "ollama", thinks=False, tokens=(0, 0, 0), cut="stop"),
        Dialect("openrouter", "openrouter", "/api/v1", "openai/test-model", options={"api_key": "k"}),
    )
}


class Aimock:
    """The server in one dialect, for one test: its fixtures count the requests of each test apart."""

    def __init__(self, url: str, dialect: Dialect, opened_llms: list[Any]) -> None:
        self.url = url
        self.dialect = dialect
        self.test_id = uuid4().hex
        self._opened = opened_llms

    def llm(self, *, chaos: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """An LLM that asks in this dialect; *chaos* are aimock's rates, by the end of their header."""
        faults = {f"X-AIMock-Chaos-{name}": str(value) for name, value in (chaos or {}).items()}
        dialect = self.dialect
        llm = create_llm(
            dialect.provider,
            options.pop("model", dialect.model),
            base_url=self.url + dialect.path,
            headers={"X-Test-Id": self.test_id, **faults},
            **{"timeout": 20, **dialect.options, **options},
        )
        self._opened.append(llm)
        return llm

    def statuses(self) -> list[int]:
        """What this test's requests were answered with, as aimock saw it."""
        entries = json.loads(fetch(f"{self.url}/__aimock/journal?testId={self.test_id}"))
        return [entry["response"]["status"] for entry in entries]
