"""What a new process pays to import a client, and to have its first answer: `fresh.py ADAPTER URL`.

It imports next to nothing itself, so that what a client brings in is counted as the client's.
"""

import sys
import time

import places


def resident() -> int:
    """Bytes of this process in memory; none where /proc is missing."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return 0


def main() -> None:
    _, name, url = sys.argv
    cpu, memory = time.process_time(), resident()
    adapter = places.adapter(name)
    cpu_imported, memory_imported = time.process_time(), resident()
    said = first_answer(adapter, f"{url}/0")
    cpu_answered, memory_answered = time.process_time(), resident()
    if said != "Hello there.":
        raise SystemExit(f"{name} answered {said!r}")
    figures = {
        "import_cpu": (cpu_imported - cpu) * 1e3,
        "import_rss": (memory_imported - memory) / 1e6,
        "first_cpu": (cpu_answered - cpu) * 1e3,
        "first_rss": (memory_answered - memory) / 1e6,
    }
    import json

    print(json.dumps(figures), flush=True)


def first_answer(adapter: object, url: str) -> object:
    """From a sync client; from an async one where there is no other."""
    if hasattr(adapter, "blocking"):
        with adapter.blocking(url) as call:
            return call()
    import asyncio

    async def awaited() -> object:
        async with adapter.awaited(url) as (call, _):
            return await call()

    return asyncio.run(awaited())


if __name__ == "__main__":
    main()
