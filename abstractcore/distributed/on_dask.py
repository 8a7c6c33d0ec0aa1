"""`dask_map`: prompts answered by the workers of a Dask cluster, each with an LLM of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from abstractcore.distributed.rows import RowMap
from abstractcore.errors import MissingDependencyError

if TYPE_CHECKING:
    from dask.bag import Bag

    from abstractcore.llm import LLM
    from abstractcore.mapping import MapOptions


def dask_map(
    llm: LLM,
    data: Bag | Iterable[Any],
    *,
    column: str = "prompt",
    concurrency: int = 10,
    rate: float | None = None,
    batch_size: int = 64,
    **options: Unpack[MapOptions],
) -> Bag:
    """Ask the prompt of every row on the workers of a Dask cluster, and give the bag of the answers.

    *data* is a bag, or prompts, or dicts; *column* names where each row has its prompt, a text or
    messages. The order is kept, and each row is a dict with more keys: `response`, `finish_reason`,
    `input_tokens`, `output_tokens`, and `error` and `error_type`, which are None unless it failed. Nothing
    runs before the bag is computed.

    Each worker makes the LLM for itself: it takes the key from its own environment and loads weights once.
    A partition is *batch_size* prompts, unless *data* is a bag; *concurrency* of its prompts are asked at
    once, *rate* a minute in each worker. All other options go to `generate`. Raises
    MissingDependencyError without Dask, and what `llm.map` raises for its arguments.
    """
    try:
        import dask.bag
    except ImportError as failure:
        raise MissingDependencyError('dask_map needs Dask: pip install "abstractcore[dask]"') from failure

    rows = RowMap.of(
        "dask_map", llm, column=column, concurrency=concurrency, rate=rate, options=dict(options)
    )
    bag: Any = data
    if not isinstance(data, dask.bag.Bag):
        bag = dask.bag.from_sequence(rows.listed("dask_map", data), partition_size=batch_size)
    return bag.map_partitions(rows)
