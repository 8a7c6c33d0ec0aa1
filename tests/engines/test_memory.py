"""What a program holds after its models are closed: what it held before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TINY

PROGRAM = f"""
import json, os, threading
from pathlib import Path
from abstractcore import create_llm

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

def cycle():
    with create_llm("openvino", {str(TINY)!r}) as llm:
        assert llm.generate("hello").content
        worker = llm._provider.lease.scheduler()._runtime._worker.pid
        held = int(Path(f"/proc/{{worker}}/statm").read_text().split()[1])
    return Path(f"/proc/{{worker}}").exists(), held

def kept():
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)
    return pages(), threading.active_count(), len(os.listdir("/proc/self/fd"))

cycle()  # what is imported at the first use stays
before = kept()
cycles = [cycle() for _ in range(4)]
print(json.dumps([before, kept(), cycles]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc to look into")
def test_memory_is_back_after_models_were_loaded_and_closed(needs_openvino: None) -> None:
    """CONTRACT H2, FAULTS 1.11: within five in a hundred here, and all of it in the model's own process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=55)
    assert done.stderr == ""
    before, after, cycles = json.loads(done.stdout)

    assert after[0] < before[0] * 1.05
    assert after[1:] == before[1:]
    assert [is_left for is_left, _ in cycles] == [False] * 4
    assert min(held for _, held in cycles) > before[0]
