"""`map` and `amap`: many prompts on both surfaces, with faults, limits, a checkpoint and early leaving."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from abstractcore import (
    AbstractCoreError,
    BadRequestError,
    ConfigurationError,
    RequestTimeoutError,
    SessionError,
    fallback,
)
from abstractcore.drivers.pace import Limiter
from tests.fakes import faults
from tests.fakes.any_wire import call, error, text
from tests.fakes.replies import Reply, WaitFor
from tests.fakes.requests import Recorded
from tests.fakes.server import FakeServer
from tests.fakes.surfaces import Surface

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without its chance, so that a retry comes at once."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low)


def asked(request: Recorded) -> str:
    said: str = request.messages[-1].content
    return said


def echo(request: Recorded) -> Reply:
    return text(f"echo {asked(request)}")


def start(surface: Surface, llm: Any, prompts: Any, **options: Any) -> Any:
    return surface.method(llm, "map")(prompts, **options)


def map_all(surface: Surface, llm: Any, prompts: Any, **options: Any) -> list[Any]:
    """All results, read by a loop."""
    if surface.name == "sync":
        return list(llm.map(prompts, **options))

    async def read() -> list[Any]:
        return [result async for result in llm.amap(prompts, **options)]

    results: list[Any] = surface.run(read)
    return results


def take(surface: Surface, results: Any, count: int) -> list[Any]:
    """The first results; the loop over them is left by `break`."""
    if surface.name == "sync":
        return list(itertools.islice(_left(results), count))

    async def read() -> list[Any]:
        taken: list[Any] = []
        async for result in results:
            taken.append(result)
            if len(taken) == count:
                break
        return taken

    taken: list[Any] = surface.run(read)
    return taken


def _left(results: Iterable[Any]) -> Iterator[Any]:
    for result in results:  # noqa: UP028  a loop of its own, that ends with this generator
        yield result


def test_a_thousand_prompts_with_faults_come_back_in_order(surface: Surface, server: FakeServer) -> None:
    """Of ten, one breaks at its first request and is asked again; of fifty, one is refused."""
    broken: set[str] = set()

    def route(request: Recorded) -> Reply:
        prompt = asked(request)
        if int(prompt) % 50 == 7:
            return error(400)
        if int(prompt) % 10 == 3 and prompt not in broken:
            broken.add(prompt)
            return error(500) if int(prompt) % 20 == 3 else faults.resets()
        return text(f"echo {prompt}")

    server.route = route
    llm = server.llm(max_retries=2)

    results = map_all(surface, llm, map(str, range(1000)), concurrency=20)

    assert [result.index for result in results] == list(range(1000))
    assert [result.prompt for result in results] == [str(number) for number in range(1000)]
    failed = {result.index: result.error for result in results if result.error is not None}
    assert set(failed) == set(range(7, 1000, 50))
    assert all(isinstance(failure, BadRequestError) for failure in failed.values())
    assert all(
        result.response.content == f"echo {result.index}" for result in results if result.error is None
    )
    assert len(server.requests) == 1100
    assert server.max_concurrent <= 20
    assert server.connections > 1


@pytest.mark.parametrize("ordered", [True, False])
def test_results_come_in_order_or_as_they_are_ready(
    surface: Surface, server: FakeServer, ordered: bool
) -> None:
    gate = threading.Event()

    def route(request: Recorded) -> Reply:
        if asked(request) == "2":
            gate.set()
        return echo(request).after(WaitFor(gate)) if asked(request) == "0" else echo(request)

    server.route = route

    results = map_all(surface, server.llm(), ["0", "1", "2", "3"], concurrency=2, ordered=ordered)

    order = [result.index for result in results]
    assert sorted(order) == [0, 1, 2, 3]
    if ordered:
        assert order == [0, 1, 2, 3]
    else:
        assert order[0] == 1


def test_prompts_without_an_end_are_read_as_there_is_room(surface: Surface, server: FakeServer) -> None:
    server.route = echo
    read: list[int] = []

    def endless() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield str(number)

    results = start(surface, server.llm(), endless(), concurrency=4)
    taken = take(surface, results, 50)

    assert [result.response.content for result in taken] == [f"echo {number}" for number in range(50)]
    assert len(read) <= 50 + 2 * 4
    surface.wait_for(server, lambda server: server.in_flight == 0)
    assert len(server.requests) <= 50 + 2 * 4


def test_a_slow_first_answer_bounds_what_is_read_in_order(surface: Surface, server: FakeServer) -> None:
    gate = threading.Event()
    server.route = lambda request: (
        echo(request).after(WaitFor(gate)) if asked(request) == "0" else echo(request)
    )
    results = start(surface, server.llm(), map(str, itertools.count()), concurrency=4)

    first = surface.start(lambda: next(results) if surface.name == "sync" else anext(results))
    surface.wait_for(server, lambda server: len(server.requests) == 8)
    surface.wait_for(server, lambda server: server.in_flight == 1)
    gate.set()

    assert first.outcome().index == 0
    surface.close(results)


def test_break_ends_what_runs(surface: Surface, server: FakeServer) -> None:
    """Asserted at the server, with the results still in a variable."""
    gate = threading.Event()

    def route(request: Recorded) -> Reply:
        if asked(request) == "0":
            return echo(request).after(WaitFor(gate))
        if asked(request) == "4":
            gate.set()
        return faults.hangs()

    server.route = route
    llm = server.llm()
    results = start(surface, llm, [str(number) for number in range(100)], concurrency=5)

    assert [result.index for result in take(surface, results, 1)] == [0]

    surface.wait_for(server, lambda server: server.disconnects >= 4 and server.in_flight == 0)
    seen = len(server.requests)
    assert seen == 5
    server.route = echo
    assert surface.generate(llm, "still works").content == "echo still works"
    assert len(server.requests) == seen + 1


def test_results_are_given_once(surface: Surface, server: FakeServer) -> None:
    server.route = echo
    results = start(surface, server.llm(), ["a"])

    assert len(take(surface, results, 5)) == 1
    with pytest.raises(ConfigurationError, match="iterated already"):
        take(surface, results, 5)
    assert surface.step(results) is None
    surface.close(results)


def test_nothing_is_sent_before_the_first_result_is_asked_for(surface: Surface, server: FakeServer) -> None:
    results = start(surface, server.llm(), ["a"])

    surface.close(results)

    assert server.requests == []


def test_on_error_raise_ends_the_rest(surface: Surface, server: FakeServer) -> None:
    server.route = lambda request: error(400) if asked(request) == "1" else echo(request)

    with pytest.raises(BadRequestError):
        map_all(surface, server.llm(), map(str, itertools.count()), concurrency=2, on_error="raise")

    surface.wait_for(server, lambda server: server.in_flight == 0)


def test_a_prompt_that_cannot_be_sent_is_a_result_of_its_own(surface: Surface, server: FakeServer) -> None:
    server.route = echo
    prompts: list[Any] = ["a", [], [{"role": "nobody", "content": "x"}], [{"role": "user", "content": "b"}]]

    results = map_all(surface, server.llm(), prompts)

    assert [type(result.error) for result in results] == [
        type(None), ConfigurationError, ConfigurationError, type(None),
    ]  # fmt: skip
    assert sorted(asked(request) for request in server.requests) == ["a", "b"]


def test_what_reading_the_prompts_raises_is_raised(surface: Surface, server: FakeServer) -> None:
    server.route = echo

    def prompts() -> Iterator[str]:
        yield "a"
        raise LookupError("no more")

    with pytest.raises(LookupError):
        map_all(surface, server.llm(), prompts())


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"Sun in {city}."


def test_the_options_of_generate_reach_every_prompt(surface: Surface, server: FakeServer) -> None:
    server.route = lambda request: (
        text("done") if request.messages[-1].role == "tool" else call("get_weather", city=asked(request))
    )

    results = map_all(
        surface, server.llm(), ["Oslo", "Rome"], system_prompt="Kind.", tools=[get_weather], run_tools=True,
        temperature=0.5,
    )  # fmt: skip

    assert [result.response.content for result in results] == ["done", "done"]
    assert {request.json["temperature"] for request in server.requests} == {0.5}
    assert {request.messages[0].content for request in server.requests} == {"Kind."}
    assert len(server.requests) == 4


def test_progress_is_told(surface: Surface, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.route = echo
    told: list[tuple[int, int | None]] = []

    map_all(surface, server.llm(), ["a", "b"], progress=lambda done, total: told.append((done, total)))
    map_all(surface, server.llm(), iter(["c"]), progress=lambda done, total: told.append((done, total)))
    map_all(surface, server.llm(), ["d"], progress=True)

    assert told == [(1, 2), (2, 2), (1, None)]
    assert capsys.readouterr().err == ""  # which is no terminal here


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"concurrency": 0}, ConfigurationError, "concurrency"),
        ({"rate": 0}, ConfigurationError, "rate"),
        ({"tokens_per_minute": -1}, ConfigurationError, "tokens_per_minute"),
        ({"on_error": "ignore"}, ConfigurationError, "on_error"),
        ({"prompts": "one text"}, ConfigurationError, "prompts"),
        ({"prompts": 5}, ConfigurationError, "prompts"),
        ({"temperature": "hot"}, ConfigurationError, "temperature"),
        ({"concurency": 3}, TypeError, "'concurrency'"),
        ({"stream": True}, TypeError, "stream"),
    ],
)
def test_a_wrong_argument_is_raised_at_the_call(
    surface: Surface, server: FakeServer, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    given = {"prompts": ["a"], **options}

    with pytest.raises(kind, match=message):
        surface.method(server.llm(), "map")(**given)


async def test_async_prompts_are_awaited_while_results_are_given(server: FakeServer) -> None:
    """The second prompt comes only after the first result has been read."""
    import asyncio

    server.route = echo
    has_first = asyncio.Event()

    async def prompts() -> AsyncIterator[str]:
        yield "a"
        await has_first.wait()
        yield "b"

    contents: list[str] = []
    async with server.llm() as llm:
        async for result in llm.amap(prompts()):
            contents.append(result.response.content)
            has_first.set()

    assert contents == ["echo a", "echo b"]


async def test_a_cancel_ends_what_runs(server: FakeServer) -> None:
    import asyncio

    server.route = lambda _: faults.hangs()
    async with server.llm() as llm:

        async def read() -> None:
            async for _ in llm.amap(map(str, itertools.count()), concurrency=5):
                pass

        task = asyncio.create_task(read())
        await server.until(lambda server: server.in_flight == 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await server.until(lambda server: server.disconnects == 5)


def test_it_works_over_a_fallback(surface: Surface, server: FakeServer) -> None:
    server.route = lambda request: error(500) if request.json["model"] == "down" else echo(request)
    llm = fallback([server.llm(model="down", max_retries=0), server.llm()], max_failures=3)

    results = map_all(surface, llm, [str(number) for number in range(50)])

    assert [result.response.content for result in results] == [f"echo {number}" for number in range(50)]
    assert Counter(request.json["model"] for request in server.requests)["down"] < 20


# ---- limits ----------------------------------------------------------------------------------


def test_the_rate_is_kept_retries_too(surface: Surface, server: FakeServer) -> None:
    """Asserted at the server: 1,800 a minute are one each 33 ms, whatever the concurrency."""
    seen: Counter[str] = Counter()

    def route(request: Recorded) -> Reply:
        seen[asked(request)] += 1
        return error(500) if int(asked(request)) % 3 == 0 and seen[asked(request)] == 1 else echo(request)

    server.route = route

    results = map_all(surface, server.llm(), [str(number) for number in range(15)], rate=1800, concurrency=8)

    assert [result.error for result in results] == [None] * 15
    times = sorted(request.received_at for request in server.requests)
    assert len(times) == 20
    assert times[-1] - times[0] >= 0.9 * 19 * 60 / 1800
    assert all(later - earlier >= 0.5 * 5 / 30 for earlier, later in zip(times, times[5:], strict=False))


def test_two_maps_of_one_llm_share_its_rate_whatever_their_surface(server: FakeServer) -> None:
    from tests.fakes.surfaces import surface_named

    server.route = echo
    llm = server.llm()
    surfaces = [surface_named("sync"), surface_named("sync"), surface_named("async")]
    prompts = [str(number) for number in range(6)]
    try:
        running = [
            each.start(lambda each=each: map_all_later(each, llm, prompts, rate=1800)) for each in surfaces
        ]
        assert [len(one.outcome()) for one in running] == [6, 6, 6]
        times = sorted(request.received_at for request in server.requests)
        assert times[-1] - times[0] >= 0.9 * 17 * 60 / 1800
    finally:
        for each in surfaces:
            each.close(llm)
            each.shut()


def map_all_later(surface: Surface, llm: Any, prompts: list[str], **options: Any) -> Any:
    if surface.name == "sync":
        return list(llm.map(prompts, **options))

    async def read() -> list[Any]:
        return [result async for result in llm.amap(prompts, **options)]

    return read()


def test_tokens_per_minute_hold_by_what_the_answers_cost(surface: Surface, server: FakeServer) -> None:
    """Each costs 100 tokens: at 120,000 a minute that is one each 50 ms, once the first has told."""
    usage = {"input_tokens": 40, "output_tokens": 60}
    server.route = lambda request: text(f"echo {asked(request)}", usage=usage)

    prompts = [str(number) for number in range(12)]
    results = map_all(surface, server.llm(), prompts, tokens_per_minute=120_000, concurrency=1)

    assert [result.error for result in results] == [None] * 12
    times = sorted(request.received_at for request in server.requests)
    assert times[-1] - times[0] >= 0.9 * 11 * 0.05


def test_a_retry_that_has_no_place_in_its_time_is_a_timeout(surface: Surface, server: FakeServer) -> None:
    server.replies(error(500))

    [result] = map_all(surface, server.llm(), ["a"], rate=6, timeout=0.5)

    assert isinstance(result.error, RequestTimeoutError)
    assert result.error.phase == "total"
    assert len(server.requests) == 1


def test_the_limiter_gives_places_by_its_clock() -> None:
    now = [100.0]
    limiter = Limiter(lambda: now[0])

    assert [limiter.reserve(60, None, 0) for _ in range(3)] == [0, 1, 2]
    now[0] = 110
    assert limiter.reserve(60, None, 0) == 0
    assert limiter.reserve(None, 600, 100) == 0
    assert limiter.reserve(None, 600, 100) == 10
    limiter.correct(600, -150)
    assert limiter.reserve(60, 600, 0) == 5
    assert limiter.reserve(None, None, 5) == 0


# ---- the checkpoint --------------------------------------------------------------------------


def test_a_checkpoint_is_gone_on_from(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    usage = {"input_tokens": 4, "output_tokens": 6}
    server.route = lambda request: (
        error(400) if asked(request) == "3" else text(f"echo {asked(request)}", usage=usage, reasoning="Hm.")
    )
    prompts = [str(number) for number in range(10)]
    llm = server.llm()

    first = map_all(surface, llm, prompts, checkpoint=path, temperature=0.5)
    server.requests.clear()
    again = map_all(surface, llm, prompts, checkpoint=path, temperature=0.5)
    more = map_all(surface, llm, [*prompts, "10"], checkpoint=str(path), temperature=0.5)

    assert [asked(request) for request in server.requests] == ["3", "3", "10"]
    assert [result.index for result in again] == list(range(10))
    told = ("content", "reasoning", "usage", "finish_reason", "model", "provider", "warnings")
    for one, other in zip(first, again, strict=True):
        if one.error is None:
            assert [getattr(one.response, name) for name in told] == [
                getattr(other.response, name) for name in told
            ]
    assert more[10].response.content == "echo 10"
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_after_a_close_the_rest_is_asked_only(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    server.route = echo
    llm = server.llm()
    prompts = [str(number) for number in range(40)]
    results = start(surface, llm, prompts, checkpoint=path, concurrency=4)
    assert [surface.step(results).index for _ in range(10)] == list(range(10))
    surface.close(results)
    surface.close(llm)
    surface.wait_for(server, lambda server: server.open_sockets == 0)  # what was under way has arrived
    kept = len(path.read_text().splitlines()) - 1
    server.requests.clear()

    results = map_all(surface, server.llm(), prompts, checkpoint=path)

    assert kept >= 10
    assert [result.response.content for result in results] == [f"echo {prompt}" for prompt in prompts]
    assert len(server.requests) == 40 - kept


class City(BaseModel):
    name: str


def test_a_parsed_answer_is_parsed_again(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    server.route = lambda _: text('{"name": "Oslo"}')
    llm, path = server.llm(), tmp_path / "answers.jsonl"

    results = [
        map_all(surface, llm, ["Where?"], checkpoint=path, response_model=City, tools=[get_weather])
        for _ in range(2)
    ]

    assert [result.response.parsed for (result,) in results] == [City(name="Oslo")] * 2
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("prompts", "options"),
    [
        (["a", "other"], {}),
        (["a", "b"], {"temperature": 0.7}),
        (["a", "b"], {"system_prompt": "Kind."}),
        (["a", "b"], {"tools": [get_weather]}),
        (["a", "b"], {"model": "other"}),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    surface: Surface, server: FakeServer, tmp_path: Path, prompts: list[str], options: dict[str, Any]
) -> None:
    server.route = echo
    path = tmp_path / "answers.jsonl"
    map_all(surface, server.llm(), ["a", "b"], checkpoint=path)
    before = path.read_bytes()
    llm = server.llm(model=options.get("model", "test-model"))
    given = {name: value for name, value in options.items() if name != "model"}
    server.requests.clear()

    with pytest.raises(ConfigurationError, match=r"(N|n)ame a new file"):
        map_all(surface, llm, prompts, checkpoint=path, **given)

    assert path.read_bytes() == before
    assert server.requests == []


def test_a_cut_last_line_is_asked_again(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    """Wherever a kill cut the file, the lines before the cut count and the run goes on."""
    server.route = echo
    llm, path = server.llm(), tmp_path / "answers.jsonl"
    prompts = ["a", "b", "c"]
    map_all(surface, llm, prompts, checkpoint=path, concurrency=1)
    whole = path.read_bytes()
    for cut in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        server.requests.clear()

        results = map_all(surface, llm, prompts, checkpoint=path, concurrency=1)

        assert [result.response.content for result in results] == ["echo a", "echo b", "echo c"]
        kept = max(0, whole[:cut].count(b"\n") - 1)
        assert len(server.requests) == 3 - kept
        assert sorted(json.loads(line).get("index", -1) for line in path.read_bytes().splitlines()) == [
            -1, 0, 1, 2,
        ]  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"not JSON\n", b"[1]\n", b'{"a": 1}\n', b'{"abstractcore_map": 99, "asked": ""}\n', b"\xff\xfe\n"],
)
def test_a_file_that_is_no_checkpoint_is_left_alone(
    surface: Surface, server: FakeServer, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(data)

    with pytest.raises(SessionError, match=r"answers\.jsonl"):
        map_all(surface, server.llm(), ["a"], checkpoint=path)

    assert path.read_bytes() == data
    assert server.requests == []


def test_a_damaged_line_is_named(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    server.route = echo
    llm, path = server.llm(), tmp_path / "answers.jsonl"
    map_all(surface, llm, ["a"], checkpoint=path)
    head, line = path.read_bytes().splitlines()
    for broken in (b"nonsense", b"{}", b'{"index":0}', line.replace(b'"usage":{', b'"usage":{"x":1,')):
        path.write_bytes(head + b"\n" + broken + b"\n")
        with pytest.raises(SessionError, match=r"answers\.jsonl"):
            map_all(surface, llm, ["a"], checkpoint=path)


@pytest.mark.parametrize("path", [".", "/dev/zero", "no/such/folder/answers.jsonl"])
def test_what_is_no_file_is_no_checkpoint(surface: Surface, server: FakeServer, path: str) -> None:
    with pytest.raises(SessionError):
        map_all(surface, server.llm(), ["a"], checkpoint=path)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems bound the size of files")
def test_a_file_that_cannot_grow_is_told(surface: Surface, server: FakeServer, tmp_path: Path) -> None:
    """As on a full disk: half a line may be written, and the next run drops it."""
    import resource

    server.route = echo
    llm, path = server.llm(), tmp_path / "answers.jsonl"
    map_all(surface, llm, ["a"], checkpoint=path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(SessionError, match="cannot be written"):
            map_all(surface, llm, ["a", "b"], checkpoint=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    server.requests.clear()

    results = map_all(surface, llm, ["a", "b"], checkpoint=path)

    assert [result.response.content for result in results] == ["echo a", "echo b"]
    assert len(server.requests) == 1


PROGRAM = """
import asyncio, sys
from abstractcore import create_llm

url, path, way = sys.argv[1:]
prompts = [str(number) for number in range(300)]
llm = create_llm("openai-compatible", "test-model", base_url=url)

async def main():
    async for result in llm.amap(prompts, checkpoint=path, concurrency=8):
        pass

if way == "sync":
    for result in llm.map(prompts, checkpoint=path, concurrency=8):
        pass
else:
    asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a word of POSIX systems")
def test_a_run_that_was_killed_asks_only_for_the_rest(
    surface: Surface, server: FakeServer, tmp_path: Path
) -> None:
    """kill -9 in the middle: what had been answered and kept is not asked again."""
    path, gate = tmp_path / "answers.jsonl", threading.Event()
    server.route = lambda request: (
        echo(request).after(WaitFor(gate)) if int(asked(request)) >= 100 else echo(request)
    )
    arguments = [sys.executable, "-c", PROGRAM, server.url + "/v1", str(path), surface.name]
    program = subprocess.Popen(arguments, cwd=ROOT)
    try:
        server.wait_for(lambda server: len(server.requests) >= 104, timeout=40)
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
        gate.set()
    server.route = echo
    kept = path.read_bytes().count(b"\n") - 1
    server.requests.clear()

    results = map_all(surface, server.llm(), [str(number) for number in range(300)], checkpoint=path)

    assert 92 <= kept <= 108
    assert [result.response.content for result in results] == [f"echo {number}" for number in range(300)]
    assert len(server.requests) == 300 - kept


def test_no_error_crosses_as_it_is_not_ours(surface: Surface, server: FakeServer) -> None:
    server.replies(faults.closes())

    [result] = map_all(surface, server.llm(max_retries=0), ["a"])

    assert isinstance(result.error, AbstractCoreError)
    assert result.response is None
