"""What the tests of Ray and Dask run in a process of its own: it prints what it found as one line of JSON.

python -m tests.distributed.programs dask|dask_local|ray|ray_pool|ray_local URL MODEL
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

from abstractcore import create_llm
from abstractcore.distributed import dask_map, ray_map

#: Five at a time: some are answered only when all of them have been asked, one is refused, one comes late.
PROMPTS: list[Any] = [
    "prompt 0", "together 1", "together 2", "together 3", "prompt 4",
    "prompt 5", "refuse me", "prompt 7", "", "prompt 9",
    "answer me late", *(f"prompt {number}" for number in range(11, 30)),
]  # fmt: skip
MESSAGES = [{"role": "system", "content": "Kind."}, {"role": "user", "content": "messages"}]


def main(name: str, url: str, model: str) -> None:
    worker = {"OPENAI_API_KEY": "worker-key", "OPENAI_BASE_URL": f"{url}/v1"}
    program = globals()[name]
    print("found " + json.dumps(program(url, model, worker)))


def remote(url: str) -> Any:
    """An LLM with a key that must not leave this process."""
    os.environ["OPENAI_BASE_URL"] = f"{url}/v1"
    return create_llm("openai", "test-model", api_key="driver-key", max_retries=0, timeout=20)


#: Of the one CPU there is room for two workers.
HALF = {"num_cpus": 0.4}


def with_pid(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "pid": os.getpid()}


def children() -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process().children() if "abstractcore" in " ".join(child.cmdline())]


def until_gone(pids: list[int]) -> list[int]:
    """Those of *pids* that are there after ten seconds."""
    import psutil

    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if psutil.pid_exists(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


# ---- Dask ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def dask_cluster(worker: dict[str, str]) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    options: dict[str, Any] = {"dashboard_address": None, "host": "127.0.0.1", "env": worker}
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, processes=True, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def dask(url: str, _: str, worker: dict[str, str]) -> Any:
    import dask.bag

    with dask_cluster(worker) as client:
        llm = remote(url)
        rows = dask_map(llm, [*PROMPTS, MESSAGES], batch_size=5, max_output_tokens=9).map(with_pid).compute()
        bag = dask.bag.from_sequence([{"id": 7, "text": "a"}, {"id": 8}], npartitions=2)
        of_a_bag = dask_map(llm, bag, column="text").compute()
        made = client.run(_llms_made)
    return {"rows": rows, "of_a_bag": of_a_bag, "made": list(made.values())}


def _llms_made() -> int:
    from abstractcore.distributed import rows

    return len(rows._made)  # pyright: ignore[reportPrivateUsage]


def dask_local(_: str, model: str, worker: dict[str, str]) -> Any:
    llm = create_llm("openvino", model, max_output_tokens=5)
    with dask_cluster(worker) as client:
        rows = dask_map(llm, [f"Hi {number}" for number in range(16)], batch_size=2).compute()
        engines = list(client.run(children).values())
    return {"rows": rows, "engines": engines, "left": until_gone([*chain(*engines)])}


# ---- Ray -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def ray_cluster(worker: dict[str, str]) -> Iterator[str]:
    """On loopback, without a dashboard and telling nobody. Its processes are named after its folder."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # which is what keeps it on loopback
    os.environ |= worker  # which the workers inherit
    import ray

    folder = tempfile.mkdtemp(prefix="acray", dir="/tmp")  # whose sockets must have short names
    try:
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            _temp_dir=folder,
            object_store_memory=80 * 1024 * 1024,
            log_to_driver=False,
            logging_level="error",
        )
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def ray(url: str, _: str, worker: dict[str, str]) -> Any:
    llm = remote(url)
    with ray_cluster(worker):
        rows = ray_map(llm, PROMPTS, batch_size=5, max_output_tokens=9, ray_options=HALF).take_all()
        return {"rows": rows, **_listening()}


def ray_pool(url: str, _: str, worker: dict[str, str]) -> Any:
    import ray.data

    llm = remote(url)
    with ray_cluster(worker):
        data = [{"id": number, "text": f"prompt {number}", "error": "old"} for number in range(60)]
        dataset = ray.data.from_items(data, override_num_blocks=12)
        answered = ray_map(llm, dataset, column="text", batch_size=5, workers=2, ray_options=HALF)
        messages = ray_map(llm, [MESSAGES, [MESSAGES[1]]], ray_options=HALF).take_all()
        return {"rows": answered.map(with_pid, num_cpus=0.1).take_all(), "messages": messages}


def _listening() -> dict[str, Any]:
    import psutil

    mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [socket for each in mine for socket in each.net_connections("inet")]
    return {
        "addresses": sorted({socket.laddr.ip for socket in sockets if socket.status == "LISTEN"}),
        "processes": [each.pid for each in mine[1:]],
    }


def ray_local(_: str, model: str, worker: dict[str, str]) -> Any:
    llm = create_llm("openvino", model, max_output_tokens=5)
    with ray_cluster(worker), _watching_engines() as engines:
        rows = ray_map(
            llm, [f"Hi {number}" for number in range(16)], batch_size=2, ray_options=HALF
        ).take_all()
        return {"rows": rows, "engines": sorted(engines), "left": until_gone(sorted(engines))}


@contextlib.contextmanager
def _watching_engines() -> Iterator[set[int]]:
    """Collect the ids of the engines that Ray's workers have started; other tests may have theirs."""
    import psutil

    found: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for process in psutil.process_iter():
                if "abstractcore.engines.worker" in " ".join(_command(process)) and _is_of_ray(process):
                    found.add(process.pid)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _is_of_ray(process: Any) -> bool:
    import psutil

    try:
        parent = process.parent()
    except psutil.Error:
        return False
    return parent is not None and " ".join(_command(parent)).startswith("ray::")


def _command(process: Any) -> list[str]:
    import psutil

    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


if __name__ == "__main__":
    main(*sys.argv[1:])
