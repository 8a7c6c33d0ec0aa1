"""Ask many prompts on a cluster: here on one that is made on this machine, with Dask or with Ray.

python examples/distributed_map.py openai:gpt-5-mini 1000 dask
"""

from __future__ import annotations

import sys
from typing import Any

from abstractcore import create_llm
from abstractcore.distributed import dask_map, ray_map


def on_dask(llm: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from distributed import Client

    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
        return dask_map(llm, rows, concurrency=20).compute()


def on_ray(llm: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import ray

    ray.init(include_dashboard=False)
    try:
        return ray_map(llm, rows, concurrency=20, workers=2).take_all()
    finally:
        ray.shutdown()


def main(model: str, count: int, cluster: str) -> None:
    rows = [{"id": n, "prompt": f"Tell me one fact about the number {n}."} for n in range(count)]
    with create_llm(model, max_output_tokens=60) as llm:
        answered = on_ray(llm, rows) if cluster == "ray" else on_dask(llm, rows)
    failures = [row for row in answered if row["error"] is not None]
    for row in failures:
        print(f"{row['id']}: {row['error_type']}: {row['error']}")
    done = len(answered) - len(failures)
    print(f"{done} answers, {len(failures)} failures; the last: {answered[-1]['response']}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
