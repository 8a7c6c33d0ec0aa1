"""`ray_map`: prompts answered by a pool of Ray actors, each with an LLM of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from abstractcore.distributed.rows import COLUMNS, RowMap, loaded
from abstractcore.errors import MissingDependencyError

if TYPE_CHECKING:
    import pyarrow
    from ray.data import Dataset

    from abstractcore.llm import LLM
    from abstractcore.mapping import MapOptions


def ray_map(
    llm: LLM,
    data: Dataset | Iterable[Any],
    *,
    column: str = "prompt",
    concurrency: int = 10,
    rate: float | None = None,
    workers: int = 1,
    batch_size: int = 64,
    ray_options: Mapping[str, Any] | None = None,
    **options: Unpack[MapOptions],
) -> Dataset:
    """Ask the prompt of every row on *workers* Ray actors, and give the dataset with the answers.

    *data* is a Ray dataset, or prompts, or dicts; *column* names where each row has its prompt, a text or
    messages. The order is kept, and columns are added: `response`, `finish_reason`, `input_tokens`,
    `output_tokens`, and for a row that failed `error` and `error_type`. Nothing runs before the dataset
    is read.

    Each actor makes the LLM for itself: it takes the key from its own environment and loads weights once.
    It asks *batch_size* rows at a time, *concurrency* of them at once, *rate* requests a minute.
    *ray_options* go to `map_batches` (`num_gpus`, `num_cpus`, `ray_remote_args` ...), all others to
    `generate`. Raises MissingDependencyError without Ray Data, and what `llm.map` raises for its arguments.
    """
    try:
        import ray.data as ray_data
    except ImportError as failure:
        raise MissingDependencyError('ray_map needs Ray Data: pip install "abstractcore[ray]"') from failure

    rows = RowMap.of("ray_map", llm, column=column, concurrency=concurrency, rate=rate, options=dict(options))
    dataset: Any = data
    if not isinstance(data, ray_data.Dataset):
        dataset = ray_data.from_items(rows.listed("ray_map", data))
    answered = dataset.map_batches(
        _Worker,
        fn_constructor_args=(rows,),
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ray_data.ActorPoolStrategy(size=workers),
        **(ray_options or {}),
    )
    answered.context.execution_options.preserve_order = True
    return answered


class _Worker:
    """What an actor holds."""

    def __init__(self, rows: RowMap) -> None:
        self._rows = rows
        loaded(rows.spec)

    def __call__(self, table: pyarrow.Table) -> pyarrow.Table:
        import pyarrow

        answered = self._rows(table.to_pylist())
        kept = [name for name in table.column_names if name not in COLUMNS]
        table = table.select(kept)
        for name, kind in COLUMNS.items():
            values = pyarrow.array([row[name] for row in answered], type=pyarrow.type_for_alias(kind))
            table = table.append_column(name, values)
        return table
