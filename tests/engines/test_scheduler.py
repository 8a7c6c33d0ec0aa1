"""The scheduler, on a runtime without weights whose steps the tests count and hold."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from abstractcore import BasicSession
from abstractcore.drivers.base import Deadline
from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.engines.runtime import Prompt
from abstractcore.engines.scheduler import Scheduler
from abstractcore.errors import (
    ClosedError,
    ConfigurationError,
    EngineDeadError,
    EngineError,
    ModelLoadError,
    RequestTimeoutError,
    UnsupportedFeatureError,
)
from tests.fakes.surfaces import Surface, WholeOrStream

from .toy import ENDLESS, Toy, failure_of, scheduler_of
from .waiting import wait_until


def test_an_answer_comes_up_from_the_engine(
    surface: Surface, llm: Any, whole_or_stream: WholeOrStream
) -> None:
    """CONTRACT H2, B4: whole or streamed, the response is the same."""
    response = whole_or_stream.ask(surface, llm, "one two three")

    assert (response.content, response.finish_reason) == ("one two three", "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (
        3,
        3,
        6,
    )
    assert response.usage.cached_tokens is None
    assert response.provider == "toy"
    assert response.model == "words"
    assert response.raw["timings"]["time_to_first_token"] >= 0


def test_a_tool_call_in_the_text_is_read(surface: Surface, llm: Any, whole_or_stream: WholeOrStream) -> None:
    """CONTRACT B2, B11: if tools were offered; else it is text."""
    text = 'Wait <tool_call>{"name": "look", "arguments": {"at": "it"}}</tool_call>'
    tool = {"name": "look", "description": "", "parameters": {"type": "object", "properties": {}}}
    response = whole_or_stream.ask(surface, llm, text, tools=[tool])
    (call,) = response.tool_calls

    assert (response.content, response.finish_reason) == ("Wait", "tool_calls")
    assert (call.name, call.arguments) == ("look", {"at": "it"})
    assert whole_or_stream.ask(surface, llm, text).content == text


def test_a_late_call_joins_the_batch_that_is_running(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT I1: one step advances the early job and the late one."""
    toy.hold()
    early = surface.start(surface.later(llm, "a b c d"))
    toy.allow(2)
    toy.wait_until(lambda: toy.steps_of("a b c d") == 2)
    late = surface.start(surface.later(llm, "x y"))
    wait_for_jobs(llm, 2, toy)
    toy.allow(None)

    assert early.result(5).content == "a b c d"
    assert late.result(5).content == "x y"
    assert ("a b c d", "x y") in toy.steps


def test_calls_that_do_not_fit_wait_their_turn_in_order(surface: Surface, llm: Any, toy: Toy) -> None:
    """CONTRACT I1, FAULTS 1.11: first come, first served; a place that is free is filled at once."""
    toy.hold()
    prompts = [f"{number} b c" for number in range(10)]
    calls = []
    for number, prompt in enumerate(prompts):
        calls.append(surface.start(surface.later(llm, prompt)))
        wait_for_jobs(llm, number + 1, toy)
    toy.allow(None)

    assert [call.result(5).content for call in calls] == prompts
    assert max(map(len, toy.steps)) == toy.max_batch
    firsts = [next(i for i, step in enumerate(toy.steps) if prompt in step) for prompt in prompts]
    assert firsts == sorted(firsts)
    assert len([step for step in toy.steps if step]) <= 3 * 3 + 1


def test_a_stream_that_is_closed_is_not_stepped_again(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT I1, FAULTS 1.11: its place is free within two steps, and its neighbour goes on."""
    stream = surface.open_stream(llm, ENDLESS)
    neighbour = surface.open_stream(llm, f"x {ENDLESS} y")
    stream.next()
    toy.hold()
    stream.close()
    before = toy.steps_of(ENDLESS)
    toy.allow(3)
    neighbour.rest()
    toy.allow(None)

    assert toy.steps_of(ENDLESS) <= before + 2
    assert neighbour.response.content == f"x {ENDLESS} y"
    neighbour.close()


def test_leaving_the_loop_stops_the_job(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT B3: `break` stops the local generation, with the stream still in a variable."""
    taken, stream = surface.take(llm, 3, ENDLESS)

    assert len(taken) == 3
    wait_for_jobs(llm, 0, toy)
    assert stream.partial.content.startswith("on on on")


def test_a_stream_that_is_dropped_stops_the_job(toy: Toy, llm: Any) -> None:
    """CONTRACT B3, FAULTS 1.8: garbage collection stops it too."""
    stream = llm.generate(ENDLESS, stream=True)
    iterator = iter(stream)
    next(iterator)
    del iterator, stream
    gc.collect()

    wait_for_jobs(llm, 0, toy)


def test_a_cancelled_task_stops_its_job(toy: Toy, llm: Any) -> None:
    """CONTRACT B3, I1: and the next call finds an engine that works."""

    async def main() -> str:
        task = asyncio.create_task(llm.agenerate(ENDLESS))
        while not toy.steps_of(ENDLESS):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await llm.agenerate(ENDLESS)
        return (await llm.agenerate("still here")).content

    assert asyncio.run(main()) == "still here"
    wait_for_jobs(llm, 0, toy)


def test_a_deadline_ends_the_call_and_its_job(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT B7: local generation counts in the timeout, and what had come is on the error."""
    failure = failure_of(lambda: surface.generate(llm, ENDLESS, timeout=0.1))

    assert isinstance(failure, RequestTimeoutError)
    assert failure.phase == "total"
    assert failure.partial is not None
    assert failure.partial.content.startswith("on ")
    wait_for_jobs(llm, 0, toy)


def test_loading_counts_in_the_deadline(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT B7, H3: the load itself goes on for the next call."""
    toy.load_gate.clear()

    assert isinstance(failure_of(lambda: surface.generate(llm, "a", timeout=0.1)), RequestTimeoutError)

    toy.load_gate.set()
    assert surface.generate(llm, "a b").content == "a b"
    assert toy.loads == 1


def test_one_bad_request_fails_alone(surface: Surface, llm: Any) -> None:
    """CONTRACT I1"""
    first, second, third = surface.gather(
        surface.later(llm, "a b c"), surface.later(llm, "refuse"), surface.later(llm, "d e"), timeout=5
    )

    assert (first.content, third.content) == ("a b c", "d e")
    assert isinstance(second, ConfigurationError)
    assert second.provider == "toy"


def test_the_death_of_the_engine_reaches_every_waiter(surface: Surface, toy: Toy, llm: Any) -> None:
    """FAULTS 1.11: running or waiting, each gets an EngineDeadError of its own; the next call restarts."""
    toy.hold()
    calls = [surface.start(surface.later(llm, f"{number} b")) for number in range(6)]
    wait_for_jobs(llm, 6, toy)
    toy.step_failure = RuntimeError("the floor gave way")
    began = time.monotonic()
    toy.allow(None)
    failures = [call.outcome(2) for call in calls]

    assert time.monotonic() - began < 1
    assert {type(failure) for failure in failures} == {EngineDeadError}
    assert len(set(map(id, failures))) == 6
    assert all("the floor gave way" in str(failure) for failure in failures)
    assert isinstance(failures[0].__cause__, RuntimeError)
    assert surface.generate(llm, "back again").content == "back again"
    assert (toy.loads, toy.closes) == (2, 1)


@pytest.mark.parametrize("failure", [SystemExit(1), KeyboardInterrupt(), MemoryError()])
def test_no_exception_ends_the_engine_thread_silently(toy: Toy, llm: Any, failure: BaseException) -> None:
    """FAULTS 1.11: not even those that end threads."""
    toy.step_failure = failure

    assert isinstance(failure_of(lambda: llm.generate("a b")), EngineDeadError)
    assert llm.generate("a b").content == "a b"


def test_a_load_that_fails_reaches_every_waiter_and_is_tried_again(
    surface: Surface, toy: Toy, llm: Any
) -> None:
    """FAULTS 1.11: nothing stays behind that is half loaded."""
    toy.load_failure = ModelLoadError("no such weights")
    toy.load_gate.clear()
    calls = [surface.start(surface.later(llm, "a")) for _ in range(3)]
    loading = surface.start(surface.later(llm, method="load"))
    toy.load_gate.set()

    assert {type(call.outcome(2)) for call in [*calls, loading]} == {ModelLoadError}
    toy.wait_until(lambda: toy.closes >= 1)
    toy.load_failure = None
    assert surface.generate(llm, "a b").content == "a b"


def test_a_load_tells_its_stages_to_the_caller(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT H3: `progress` is called in the caller's own thread; a second load has nothing to do."""
    toy.stages = ("reading", "warming")
    told: list[tuple[str, int]] = []
    thread = surface.run(threading.get_ident)

    surface.call(llm, "load", lambda stage: told.append((stage, threading.get_ident())))
    surface.call(llm, "load")

    assert told == [("reading", thread), ("warming", thread)]
    assert toy.loads == 1


def test_a_load_that_meets_a_close_is_no_success(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT A7: also where the close comes just before the load begins."""
    scheduler = scheduler_of(llm)
    make, is_made, go_on = scheduler._make, threading.Event(), threading.Event()

    def make_later() -> Any:
        is_made.set()
        assert go_on.wait(10)
        return make()

    scheduler._make = make_later
    loading = surface.start(surface.later(llm, method="load"))
    assert is_made.wait(10)
    closing = threading.Thread(target=llm.close)
    closing.start()
    wait_until(lambda: scheduler._is_closing)
    go_on.set()

    assert isinstance(loading.outcome(5), ClosedError)
    closing.join(10)
    assert toy.loads == 0


def test_a_closed_provider_is_not_loaded_though_another_one_holds_the_model(
    surface: Surface, toy: Toy, llm: Any, opened_llms: list[Any]
) -> None:
    """CONTRACT A7, H2"""
    other = toy.llm()
    opened_llms.append(other)
    toy.load_gate.clear()
    began = threading.Event()
    mine = surface.start(surface.later(llm, lambda stage: began.set(), method="load"))
    others = surface.start(surface.later(other, method="load"))
    assert began.wait(5)
    scheduler = scheduler_of(other)
    wait_until(lambda: len(scheduler._loaders) + scheduler._commands.qsize() == 2)
    surface.close(llm)
    toy.load_gate.set()

    assert isinstance(mine.outcome(5), ClosedError)
    others.result(5)


def test_too_many_waiting_calls_are_refused(toy: Toy) -> None:
    """FAULTS 1.11: the queue has a bound, and the refusal says so."""
    scheduler = Scheduler("toy", toy.make, max_waiting=2)
    deadline = Deadline.after(5)
    for _ in range(toy.max_batch):
        run(scheduler.submit(BLOCKING, prompt_of(ENDLESS), None).next(deadline))
    waiting = [scheduler.submit(BLOCKING, prompt_of("a"), None) for _ in range(3)]

    with pytest.raises(EngineError, match="2 calls are waiting"):
        run(waiting[2].next(deadline))
    scheduler.close()


def test_threads_and_tasks_share_one_batch(toy: Toy, llm: Any) -> None:
    """CONTRACT A7, I1: calls of both surfaces, from several loops and sessions, are never crossed."""
    toy.hold()
    prompts = [f"{number} of eight" for number in range(8)]
    results: dict[str, str] = {}

    def blocking(prompt: str) -> None:
        results[prompt] = llm.generate(prompt).content

    def looping(prompt: str) -> None:
        results[prompt] = asyncio.run(llm.agenerate(prompt)).content

    def talking(prompt: str) -> None:
        results[prompt] = BasicSession(llm).generate(prompt).content

    threads = [
        threading.Thread(target=(blocking, looping, talking)[number % 3], args=(prompt,))
        for number, prompt in enumerate(prompts)
    ]
    for thread in threads:
        thread.start()
    wait_for_jobs(llm, 8, toy)
    toy.allow(None)
    for thread in threads:
        thread.join(5)

    assert results == {prompt: prompt for prompt in prompts}
    assert max(map(len, toy.steps)) == toy.max_batch


def test_an_idle_engine_does_nothing(llm: Any, toy: Toy) -> None:
    """The thread is parked: no step, and next to no CPU time."""
    llm.generate("a b")
    thread = scheduler_of(llm)._thread
    clock = time.pthread_getcpuclockid(thread.ident)
    steps, spent = len(toy.steps), time.clock_gettime(clock)
    threading.Event().wait(0.3)

    assert len(toy.steps) == steps
    assert time.clock_gettime(clock) - spent < 0.02


def test_closing_one_of_two_ends_only_its_own_calls(
    surface: Surface, toy: Toy, opened_llms: list[Any]
) -> None:
    """CONTRACT H2, A7: equal models and options are one model; the last close frees it."""
    one, other = toy.llm(), toy.llm()
    opened_llms += [one, other]
    toy.hold()
    ended = surface.start(surface.later(one, "a b"))
    lives = surface.start(surface.later(other, "c d"))
    wait_for_jobs(other, 2, toy)
    assert scheduler_of(one) is scheduler_of(other)

    closing = surface.start(lambda: surface.method(one, "close")())
    toy.allow(None)

    assert isinstance(ended.outcome(5), ClosedError)
    closing.result(5)
    assert lives.result(5).content == "c d"
    assert (toy.loads, toy.closes) == (1, 0)
    surface.close(other)
    assert toy.closes == 1
    assert isinstance(failure_of(lambda: surface.generate(one, "a")), ClosedError)


def test_other_options_are_another_model(toy: Toy, opened_llms: list[Any]) -> None:
    """CONTRACT H2"""
    opened_llms += [toy.llm(key=1), toy.llm(key=2)]
    one, other = opened_llms

    assert scheduler_of(one) is not scheduler_of(other)


def test_a_dropped_provider_gives_its_model_back(toy: Toy) -> None:
    """CONTRACT H2: also without a close, the last one that is collected frees the weights."""
    llm = toy.llm()
    llm.generate("a b")
    del llm
    gc.collect()

    toy.wait_until(lambda: toy.closes == 1)


def test_closing_ends_what_runs_and_may_be_repeated(surface: Surface, toy: Toy, llm: Any) -> None:
    """CONTRACT A7, FAULTS 1.8"""
    call = surface.start(surface.later(llm, ENDLESS))
    toy.wait_until(lambda: toy.steps_of(ENDLESS) > 0)
    surface.close(llm)
    surface.close(llm)

    assert isinstance(call.outcome(2), ClosedError)
    assert toy.closes == 1


def test_strict_raises_what_would_be_a_warning(surface: Surface, toy: Toy, opened_llms: list[Any]) -> None:
    """CONTRACT B10"""
    lenient, strict = toy.llm(), toy.llm(strict=True)
    opened_llms += [lenient, strict]

    assert surface.generate(lenient, "a", seed=1).warnings == ["seed has no effect"]
    with pytest.raises(UnsupportedFeatureError, match="seed has no effect"):
        surface.generate(strict, "a", seed=1)
    wait_for_jobs(strict, 0, toy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_model_of_its_own(toy: Toy, llm: Any) -> None:
    """FAULTS 1.8, 1.11: a stream of the parent is dead in the child, a new call works in both."""
    stream = llm.generate(ENDLESS, stream=True)
    iterator = iter(stream)
    next(iterator)

    def child() -> bool:
        dead = isinstance(failure_of(lambda: [*iterator]), EngineDeadError)
        return dead and llm.generate("in the child").content == "in the child"

    assert in_a_fork(child)
    assert next(iterator).content == "on "
    stream.close()
    assert llm.generate("in the parent").content == "in the parent"


def prompt_of(text: str) -> Prompt:
    return Prompt([{"role": "user", "content": text}])


def in_a_fork(work: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def wait_for_jobs(llm: Any, count: int, toy: Toy) -> None:
    """Wait until as many jobs are on their way; the scheduler is asked, since no step may be due."""
    scheduler = scheduler_of(llm)
    deadline = Deadline.after(5)
    load = scheduler.busy()
    while load.running + load.waiting + commands_of(scheduler) != count:
        assert deadline.left() > 0, load
        threading.Event().wait(0.002)
        load = scheduler.busy()


def commands_of(scheduler: Scheduler) -> int:
    return scheduler._commands.qsize()
