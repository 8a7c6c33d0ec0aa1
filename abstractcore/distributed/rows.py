"""What a worker does with some rows: ask for each, and write the answer or the error into its columns.

Knows rows as dicts. Knows neither Ray nor Dask.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from abstractcore.errors import ConfigurationError
from abstractcore.generation.ask import SAMPLING, check_known
from abstractcore.llm import LLM
from abstractcore.mapping import ASKED, check_prompts

if TYPE_CHECKING:
    from abstractcore.generation.many import MapResult

#: The columns that are written, with the names of their Arrow types.
COLUMNS = {
    "response": "string",
    "finish_reason": "string",
    "input_tokens": "int64",
    "output_tokens": "int64",
    "error": "string",
    "error_type": "string",
}


@dataclass(frozen=True, slots=True)
class RowMap:
    """The same question to every row. It pickles, and holds no key.

    *spec* is the pickled LLM, *column* names where each row has its prompt; *concurrency* and *rate* are
    those of one worker.
    """

    spec: bytes
    column: str
    concurrency: int
    rate: float | None
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        function: str,
        llm: LLM,
        *,
        column: str,
        concurrency: int,
        rate: float | None,
        options: Mapping[str, Any],
    ) -> RowMap:
        """Check what is asked, before any worker is. Raises ConfigurationError, or TypeError."""
        if not isinstance(llm, LLM):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"{function}() takes an LLM of create_llm, not {type(llm).__name__}")
        if column in COLUMNS:
            raise ConfigurationError(f"the prompts cannot stand in {column!r}: the answers are written there")
        check_known(options, (*ASKED, *SAMPLING), function)
        llm.map((), concurrency=concurrency, rate=rate, **options).close()
        return cls(pickle.dumps(llm), column, concurrency, rate, dict(options))

    def __call__(self, items: Iterable[Any]) -> list[dict[str, Any]]:
        """Answer every row; one that fails says so in its columns. They come back in their order."""
        rows = [self.row(item) for item in items]
        prompts = (_prompt(row.get(self.column)) for row in rows)
        results = loaded(self.spec).map(prompts, concurrency=self.concurrency, rate=self.rate, **self.options)
        return [{**row, **_columns(result)} for row, result in zip(rows, results, strict=True)]

    def listed(self, function: str, data: Any) -> list[dict[str, Any]]:
        """Give a row of each of *data*. Raises ConfigurationError for what is no list, or an empty one."""
        rows = [self.row(item) for item in check_prompts(data)]
        if not rows:
            raise ConfigurationError(f"{function}() got no prompts")
        return rows

    def row(self, item: Any) -> dict[str, Any]:
        """Give *item* if it is a row, else a row of the prompt that it is."""
        return dict(item) if isinstance(item, Mapping) else {self.column: item}


# The LLMs of this worker. They are its own until it ends, so that weights are loaded once.
_made: dict[bytes, LLM] = {}


def loaded(spec: bytes) -> LLM:
    """Give this process's LLM of *spec*, its weights loaded."""
    llm = _made.get(spec)
    if llm is None:
        llm = _made.setdefault(spec, pickle.loads(spec))  # of two threads, both get the one that came first
    llm.load()
    return llm


def _prompt(value: Any) -> Any:
    """Give a prompt without what Arrow adds: a list of dicts has every key in each of them."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [
        {name: part for name, part in message.items() if part is not None}
        if isinstance(message, Mapping)
        else message
        for message in value
    ]


def _columns(result: MapResult) -> dict[str, Any]:
    written: dict[str, Any] = dict.fromkeys(COLUMNS)
    if result.error is not None:
        return {**written, "error": str(result.error), "error_type": type(result.error).__name__}
    response = result.response
    assert response is not None
    return {
        **written,
        "response": response.content,
        "finish_reason": response.finish_reason,
        "input_tokens": response.usage.input_tokens,
        "output_tokens": response.usage.output_tokens,
    }
