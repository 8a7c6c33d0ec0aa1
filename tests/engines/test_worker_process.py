"""The worker process: what it does when models are broken, when it dies, and when its parent does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstractcore import create_llm
from abstractcore.engines import watchdog
from abstractcore.errors import EngineDeadError, ModelLoadError
from tests.fakes.surfaces import Surface

from .conftest import OPENVINO, TINY, Row
from .toy import failure_of, scheduler_of
from .waiting import wait_until

COUNT = "Count to twenty."
FOREVER = {"extra": {"ignore_eos": True}}


@pytest.fixture
def engine(needs_openvino: None) -> Row:
    """Whichever it is, its worker is the same program."""
    return OPENVINO


def worker_of(llm: Any) -> subprocess.Popen[bytes]:
    worker: subprocess.Popen[bytes] = scheduler_of(llm)._runtime._worker
    return worker


# ---- models that are none ------------------------------------------------------------------------


def missing(path: Path) -> None:
    """Nothing is there."""


def not_a_model(path: Path) -> None:
    path.write_text("hello " * 1000)


def truncated(path: Path) -> None:
    path.write_bytes(TINY.read_bytes()[: TINY.stat().st_size // 2])


def of_another_architecture(path: Path) -> None:
    path.write_bytes(TINY.read_bytes().replace(b"llama", b"lxama"))


def an_empty_folder(path: Path) -> None:
    path.mkdir()


def weights_in_another_format(path: Path) -> None:
    shutil.copytree(TINY.with_suffix(""), path)


def a_folder_of_nonsense(path: Path) -> None:
    path.mkdir()
    for part in ("model", "tokenizer", "detokenizer"):
        (path / f"openvino_{part}.xml").write_text("<nonsense/>")
        (path / f"openvino_{part}.bin").write_bytes(b"1234")


BROKEN = [
    missing,
    not_a_model,
    truncated,
    of_another_architecture,
    an_empty_folder,
    weights_in_another_format,
    a_folder_of_nonsense,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_model_is_an_error_that_names_it(
    surface: Surface,
    needs_openvino: None,
    opened_llms: list[Any],
    workers: Callable[[], set[int]],
    tmp_path: Path,
    broken: Callable[[Path], None],
) -> None:
    """FAULTS 1.11: within two seconds, for a call and for a load, and no process stays behind."""
    path = tmp_path / "broken.gguf"
    broken(path)
    before = workers()
    llm = create_llm("openvino", str(path))
    opened_llms.append(llm)

    for attempt in (lambda: surface.generate(llm, "hello"), lambda: surface.call(llm, "load")):
        began = time.monotonic()
        failure = failure_of(attempt)
        assert isinstance(failure, ModelLoadError)
        assert str(path) in str(failure)
        assert (failure.provider, failure.model) == ("openvino", str(path))
        assert time.monotonic() - began < 2
    wait_until(lambda: workers() == before)


@pytest.mark.parametrize("options", [{"device": "NO_SUCH_DEVICE"}, {"cache_gb": 10**6}])
def test_options_that_the_machine_cannot_meet_are_an_error_of_the_load(
    surface: Surface, open_tiny: Callable[..., Any], options: dict[str, Any]
) -> None:
    """FAULTS 1.11"""
    failure = failure_of(lambda: surface.generate(open_tiny(**options), "hello"))

    assert type(failure).__name__ in ("ModelLoadError", "OutOfMemoryError")
    assert str(TINY) in str(failure)


def test_a_folder_of_a_model_that_was_repaired_loads(
    surface: Surface, needs_openvino: None, opened_llms: list[Any], tmp_path: Path
) -> None:
    """FAULTS 1.11: a load that failed leaves nothing behind; the next one tries again."""
    path = tmp_path / "model.gguf"
    truncated(path)
    llm = create_llm("openvino", str(path))
    opened_llms.append(llm)
    assert isinstance(failure_of(lambda: surface.generate(llm, "hello")), ModelLoadError)
    shutil.copy(TINY, path)

    assert surface.generate(llm, "hello").content == "Hello! How can I help you today?"


# ---- life and death ------------------------------------------------------------------------------


def test_a_killed_worker_is_an_error_for_all_and_starts_again(
    surface: Surface, open_tiny: Callable[..., Any]
) -> None:
    """FAULTS 1.11: within a second, streams and calls alike; the next call works."""
    llm = open_tiny(max_batch=2)
    stream = surface.open_stream(llm, COUNT, **FOREVER)
    calls = [surface.start(surface.later(llm, COUNT, **FOREVER)) for _ in range(3)]
    stream.next()
    os.kill(worker_of(llm).pid, signal.SIGKILL)
    began = time.monotonic()

    for failure in (failure_of(stream.rest), *(call.outcome(2) for call in calls)):
        assert isinstance(failure, EngineDeadError)
        assert "signal 9" in str(failure)
    assert time.monotonic() - began < 1
    assert surface.generate(llm, "hello").content == "Hello! How can I help you today?"
    stream.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
def test_a_worker_that_hangs_is_an_error_for_all_and_starts_again(
    surface: Surface, open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 1.11: never a wait without an end; the process is gone, and the next call works."""
    monkeypatch.setattr(watchdog, "_IDLE_SECONDS", 1.5)
    llm = open_tiny(max_batch=2)
    stream = surface.open_stream(llm, COUNT, **FOREVER)
    calls = [surface.start(surface.later(llm, COUNT, **FOREVER)) for _ in range(3)]
    stream.next()
    hung = worker_of(llm)
    hung.send_signal(signal.SIGSTOP)

    for failure in (failure_of(stream.rest), *(call.outcome(10) for call in calls)):
        assert isinstance(failure, EngineDeadError)
        assert "step_timeout" in str(failure)
    assert not is_alive(hung.pid)
    assert surface.generate(llm, "hello").content == "Hello! How can I help you today?"
    stream.close()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
def test_a_worker_that_hangs_while_it_loads_is_an_error_of_the_load(
    open_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 1.11: and the next call loads the model."""
    monkeypatch.setattr(watchdog, "_IDLE_SECONDS", 1.5)
    llm = open_tiny(max_batch=7)

    def stop(stage: str) -> None:
        if stage.startswith("starting"):
            worker_of(llm).send_signal(signal.SIGSTOP)

    failure = failure_of(lambda: llm.load(stop))

    assert isinstance(failure, ModelLoadError)
    assert "step_timeout" in str(failure)
    assert llm.generate("hello").content == "Hello! How can I help you today?"


def test_a_close_frees_the_worker_in_the_middle_of_its_work(
    surface: Surface, open_tiny: Callable[..., Any], workers: Callable[[], set[int]]
) -> None:
    """CONTRACT A7, H2: the process is gone, and no zombie, when close returns."""
    before = workers()
    llm = open_tiny(max_batch=3)
    stream = surface.open_stream(llm, COUNT, **FOREVER)
    stream.next()
    assert len(workers() - before) == 1
    began = time.monotonic()
    surface.close(llm)

    assert time.monotonic() - began < 1
    assert workers() == before
    stream.close()


def test_a_close_does_not_wait_for_a_load(
    open_tiny: Callable[..., Any], workers: Callable[[], set[int]]
) -> None:
    """CONTRACT A7"""
    before = workers()
    llm = open_tiny(max_batch=4)
    began_to_load = threading.Event()
    thread = threading.Thread(target=lambda: failure_of(lambda: llm.load(lambda stage: began_to_load.set())))
    thread.start()
    assert began_to_load.wait(5)
    llm.close()
    thread.join(2)

    assert not thread.is_alive()
    assert workers() == before


def in_a_process(code: str) -> subprocess.Popen[str]:
    program = f"MODEL = {str(TINY)!r}\nfrom abstractcore import create_llm\n" + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


OPEN_STREAM = """
    llm = create_llm("openvino", MODEL)
    stream = llm.generate("Count to twenty.", stream=True, extra={"ignore_eos": True})
    iterator = iter(stream)
    next(iterator)
    print(llm._provider.lease.scheduler()._runtime._worker.pid, flush=True)
"""
OPEN_ASYNC_STREAM = """
    import asyncio
    llm = create_llm("openvino", MODEL)
    async def main():
        stream = await llm.agenerate("Count to twenty.", stream=True, extra={"ignore_eos": True})
        iterator = aiter(stream)
        await anext(iterator)
        print(llm._provider.lease.scheduler()._runtime._worker.pid, flush=True)
    asyncio.run(main())
"""
OPEN_CALLS = """
    import threading, time
    llm = create_llm("openvino", MODEL)
    llm.load()
    for _ in range(3):
        threading.Thread(
            target=llm.generate, args=("Count",), kwargs={"extra": {"ignore_eos": True}}, daemon=True
        ).start()
    while not llm._provider.lease.scheduler().busy().running:
        time.sleep(0.001)
    print(llm._provider.lease.scheduler()._runtime._worker.pid, flush=True)
"""


@pytest.mark.parametrize("code", [OPEN_STREAM, OPEN_ASYNC_STREAM, OPEN_CALLS])
def test_a_program_that_ends_in_the_middle_ends_quietly(needs_openvino: None, code: str) -> None:
    """FAULTS 1.8: exit code 0, no noise, no process left."""
    process = in_a_process(code)
    out, noise = process.communicate(timeout=20)

    assert (process.returncode, noise) == (0, "")
    wait_until(lambda: not is_alive(int(out)))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_worker_does_not_outlive_a_parent_that_was_killed(needs_openvino: None) -> None:
    """FAULTS 1.8: nobody is left to end it, so it ends by itself."""
    process = in_a_process(OPEN_STREAM + "\n    import time; time.sleep(60)\n")
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert is_alive(worker)
    process.kill()
    process.communicate()

    wait_until(lambda: not is_alive(worker))


def test_a_ctrl_c_ends_the_call_and_not_the_worker(needs_openvino: None) -> None:
    """FAULTS 1.8: KeyboardInterrupt within a second; the next call is answered by the same worker."""
    process = in_a_process("""
        import os, signal, threading
        llm = create_llm("openvino", MODEL)
        llm.load()
        worker = llm._provider.lease.scheduler()._runtime._worker.pid
        scheduler = llm._provider.lease.scheduler()
        def interrupt():
            while not scheduler.busy().running:
                pass
            os.kill(worker, signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            llm.generate("Count to twenty.", extra={"ignore_eos": True})
        except KeyboardInterrupt:
            print("interrupted")
        print(llm.generate("hello").content)
        print(worker == llm._provider.lease.scheduler()._runtime._worker.pid)
    """)
    out, noise = process.communicate(timeout=20)

    assert noise == ""
    assert out.splitlines() == ["interrupted", "Hello! How can I help you today?", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_its_parents_worker_alone(needs_openvino: None) -> None:
    """FAULTS 1.8, 1.11: it has a worker of its own, and its end is not the end of the other."""
    process = in_a_process("""
        import os, sys
        llm = create_llm("openvino", MODEL)
        llm.load()
        def worker():
            return llm._provider.lease.scheduler()._runtime._worker.pid
        mine = worker()
        child = os.fork()
        if child == 0:
            print(llm.generate("hello").content, worker() != mine, flush=True)
            sys.exit()
        print(os.waitpid(child, 0)[1], llm.generate("hello").content, worker() == mine)
    """)
    out, _ = process.communicate(timeout=20)

    hello = "Hello! How can I help you today?"
    assert out.splitlines() == [f"{hello} True", f"0 {hello} True"]


def test_the_worker_imports_little(needs_openvino: None) -> None:
    """Its start is waited for: nothing of ours that it has no use for is loaded there."""
    process = in_a_process("""
        import sys, abstractcore.engines.worker.__main__, abstractcore.engines.worker.openvino
        print(*sorted({"httpx", "pydantic", "tenacity"} & set(sys.modules)))
    """)

    assert process.communicate(timeout=20) == ("\n", "")


def test_the_loop_stays_free_while_a_model_loads_and_answers(open_tiny: Callable[..., Any]) -> None:
    """CONTRACT H3: a loose bound here; the benchmark has the tight one."""
    llm = open_tiny(max_batch=8, threads=1)
    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - last - 0.005)
            last = time.perf_counter()

    async def main() -> None:
        ticker = asyncio.create_task(tick())
        await llm.aload()
        await asyncio.gather(*(llm.agenerate(COUNT, max_output_tokens=300, **FOREVER) for _ in range(8)))
        await llm.agenerate("hello " * 250, max_output_tokens=1)
        ticker.cancel()

    asyncio.run(main())
    assert max(gaps) < 0.25
