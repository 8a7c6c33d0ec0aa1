"""Many prompts with a bound on how many are under way: workers, their pace, and the order of their results.

Knows why the next prompt is begun or waits. Knows no surface and no provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from abstractcore.drivers.base import Deadline
from abstractcore.errors import AbstractCoreError, RequestTimeoutError
from abstractcore.types import GenerateResponse

if TYPE_CHECKING:
    from abstractcore.drivers.base import Background, Driver, Mailbox
    from abstractcore.drivers.pace import Limiter
    from abstractcore.generation.call import BeforeRequest
    from abstractcore.generation.checkpoint import Checkpoint

# In order, the results that wait for an earlier one are at most this often `concurrency`.
_AHEAD = 2


@dataclass(frozen=True, slots=True)
class MapResult:
    """What came of the prompt at *index*: a *response*, or the *error*."""

    index: int
    prompt: Any
    response: GenerateResponse | None = None
    error: AbstractCoreError | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a map goes on. *answer* asks one prompt, and waits at the gate before each request."""

    answer: Callable[[Driver, Any, BeforeRequest], Awaitable[GenerateResponse]]
    concurrency: int
    limiter: Limiter
    rate: float | None = None
    tokens_per_minute: float | None = None
    is_ordered: bool = True
    raises: bool = False
    checkpoint: Callable[[], Checkpoint] | None = None
    progress: Callable[[int], None] | None = None
    """Called with how many results have been given."""


class Gate:
    """What one prompt passes before each of its requests; its first place is taken by `reserve`."""

    def __init__(self, plan: Plan, tokens: float) -> None:
        self._plan = plan
        self._tokens = tokens
        self._is_first = True

    def reserve(self) -> float:
        """Take a place, and tell the seconds until it comes."""
        return self._plan.limiter.reserve(self._plan.rate, self._plan.tokens_per_minute, self._tokens)

    async def __call__(self, driver: Driver, deadline: Deadline) -> None:
        """Wait for a request's place; that of the first has been waited for."""
        if self._is_first:
            self._is_first = False
            return
        wait = self._plan.limiter.reserve(self._plan.rate, self._plan.tokens_per_minute, 0)
        if wait >= deadline.left():
            raise RequestTimeoutError("the rate has no place for a request in the time left", phase="total")
        if wait > 0:
            await driver.sleep(wait)

    def settle(self, tokens: float) -> None:
        """Note how many tokens it came to."""
        if self._plan.tokens_per_minute is not None:
            self._plan.limiter.correct(self._plan.tokens_per_minute, tokens - self._tokens)


@dataclass(frozen=True, slots=True)
class _Item:
    index: int
    prompt: Any
    gate: Gate


@dataclass(frozen=True, slots=True)
class _Read:
    """What the reader of the prompts has to tell: the next one, their end, or why there is none."""

    prompt: Any = None
    is_end: bool = False
    failure: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Worker:
    inbox: Mailbox[_Item | None]
    job: Background | None = None
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class _Finished:
    worker: _Worker
    result: MapResult | None
    failure: BaseException | None = None


class _Prompts(Protocol):
    """Where the prompts come from; each `ask` puts one `_Read` into the mailbox."""

    def ask(self) -> None: ...
    async def close(self) -> None: ...


class _Here:
    """Prompts that are read in the caller's own thread."""

    def __init__(self, prompts: Iterable[Any], mailbox: Mailbox[Any]) -> None:
        self._prompts: Iterator[Any] = iter(prompts)
        self._mailbox = mailbox

    def ask(self) -> None:
        for prompt in self._prompts:
            self._mailbox.put(_Read(prompt))
            return
        self._mailbox.put(_Read(is_end=True))

    async def close(self) -> None:
        """Leave the prompts to their owner."""


class _Beside:
    """Prompts that are awaited in a job of their own, so that results are given meanwhile."""

    def __init__(self, driver: Driver, prompts: AsyncIterable[Any], mailbox: Mailbox[Any]) -> None:
        self._prompts = prompts
        self._mailbox = mailbox
        self._wanted: Mailbox[None] = driver.mailbox()
        self._job = driver.background(self._run)

    async def _run(self) -> None:
        try:
            prompts = aiter(self._prompts)
            while True:
                await self._wanted.get()
                self._mailbox.put(_Read(await anext(prompts)))
        except StopAsyncIteration:
            self._mailbox.put(_Read(is_end=True))
        except Exception as failure:  # noqa: BLE001  whoever reads the results raises it
            self._mailbox.put(_Read(failure=failure))

    def ask(self) -> None:
        self._wanted.put(None)

    async def close(self) -> None:
        await self._job.stop()


async def mapped(
    driver: Driver, prompts: Iterable[Any] | AsyncIterable[Any], plan: Plan
) -> AsyncGenerator[MapResult]:
    """Answer the *prompts*, and give the results as they come, or in order. Leaving ends what runs.

    A prompt is read when there is room for it: no more than `concurrency` of them are under way,
    or answered and not given. In order, the answers behind a slow one wait, and they are bounded too.
    """
    run = _Run(driver, prompts, plan)
    try:
        if plan.checkpoint is not None:
            run.checkpoint = await driver.call(plan.checkpoint)
        while not run.is_over:
            run.start_held()
            if (result := run.next_ready()) is not None:
                yield result
            else:
                run.ask_for_more()
                await run.listen()
    finally:
        await run.close()


class _Run:
    """One map under way."""

    def __init__(self, driver: Driver, prompts: Iterable[Any] | AsyncIterable[Any], plan: Plan) -> None:
        self.checkpoint: Checkpoint | None = None
        self._driver = driver
        self._plan = plan
        self._mailbox: Mailbox[Any] = driver.mailbox()
        self._prompts: _Prompts = (
            _Beside(driver, prompts, self._mailbox)
            if isinstance(prompts, AsyncIterable)
            else _Here(prompts, self._mailbox)
        )
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._ready: dict[int, MapResult] = {}
        self._held: _Item | None = None
        self._held_until: Deadline | None = None
        self._read = self._given = 0
        self._is_asked = self._is_ended = False
        self._usual_tokens: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether all results have been given."""
        return (
            self._is_ended
            and self._held is None
            and not self._ready
            and len(self._idle) == len(self._workers)
        )

    def start_held(self) -> None:
        """Hand the held prompt to a worker, once its time has come."""
        item = self._held
        if item is None or (self._held_until is not None and self._held_until.left() > 0):
            return
        self._held = self._held_until = None
        if not self._idle:
            worker = _Worker(self._driver.mailbox())
            worker.job = self._driver.background(partial(self._work, worker))
            self._workers.append(worker)
            self._idle.append(worker)
        worker = self._idle.pop()
        worker.is_busy = True
        worker.inbox.put(item)

    def next_ready(self) -> MapResult | None:
        """Take the result that is to be given next, if it is there."""
        if not self._ready:
            return None
        index = self._given if self._plan.is_ordered else next(iter(self._ready))
        result = self._ready.pop(index, None)
        if result is None:
            return None
        self._given += 1
        if self._plan.progress is not None:
            self._plan.progress(self._given)
        if self._plan.raises and result.error is not None:
            raise result.error
        return result

    def ask_for_more(self) -> None:
        """Let the next prompt be read when there is room for it."""
        under_way = len(self._workers) - len(self._idle)
        has_room = under_way < self._plan.concurrency and (
            self._read - self._given < _AHEAD * self._plan.concurrency or not self._plan.is_ordered
        )
        if has_room and self._held is None and not self._is_asked and not self._is_ended:
            self._is_asked = True
            self._prompts.ask()

    async def listen(self) -> None:
        """Wait for what happens next; for the held prompt it is that its time has come."""
        try:
            event = await self._mailbox.get(self._held_until)
        except TimeoutError:
            return
        if event.failure is not None:
            raise event.failure
        if isinstance(event, _Finished):
            event.worker.is_busy = False
            self._idle.append(event.worker)
            assert event.result is not None
            self._ready[event.result.index] = event.result
            return
        self._is_asked = False
        if event.is_end:
            self._is_ended = True
        else:
            await self._hold(event.prompt)

    async def _hold(self, prompt: Any) -> None:
        """Keep a prompt until its place comes; one that the checkpoint has is answered."""
        index, self._read = self._read, self._read + 1
        if self.checkpoint is not None:
            kept = await self._driver.call(self.checkpoint.get, index, prompt)
            if kept is not None:
                self._ready[index] = MapResult(index, prompt, kept)
                return
        gate = Gate(self._plan, self._expected_tokens(prompt))
        wait = gate.reserve()
        self._held = _Item(index, prompt, gate)
        self._held_until = Deadline.after(wait) if wait > 0 else None

    async def _work(self, worker: _Worker) -> None:
        while (item := await worker.inbox.get()) is not None:
            try:
                finished = _Finished(worker, await self._answer(item))
            except Exception as failure:  # noqa: BLE001  whoever reads the results raises it
                finished = _Finished(worker, None, failure)
            self._mailbox.put(finished)

    async def _answer(self, item: _Item) -> MapResult:
        try:
            response = await self._plan.answer(self._driver, item.prompt, item.gate)
        except AbstractCoreError as failure:
            item.gate.settle(0)
            return MapResult(item.index, item.prompt, None, failure)
        tokens = _tokens_of(response)
        item.gate.settle(tokens)
        usual = self._usual_tokens
        self._usual_tokens = tokens if usual is None else usual + (tokens - usual) / 8
        if self.checkpoint is not None:
            await self._driver.call(self.checkpoint.add, item.index, item.prompt, response)
        return MapResult(item.index, item.prompt, response)

    def _expected_tokens(self, prompt: Any) -> float:
        return _estimate(str(prompt)) if self._usual_tokens is None else self._usual_tokens

    async def close(self) -> None:
        """End what runs: those that are busy side by side, since each may take its moment."""
        try:
            await self._prompts.close()
            for worker in self._workers:
                worker.inbox.put(None)
            busy = [worker.job.stop for worker in self._workers if worker.is_busy and worker.job]
            if busy:
                await self._driver.gather(busy)
            for worker in self._workers:
                if worker.job and not worker.is_busy:
                    await worker.job.stop()
        finally:
            if self.checkpoint is not None:
                self.checkpoint.close()


def _tokens_of(response: GenerateResponse) -> float:
    usage = response.usage
    if usage.total_tokens is not None:
        return usage.total_tokens
    if usage.input_tokens is None and usage.output_tokens is None:
        return _estimate(response.content)
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def _estimate(text: str) -> float:
    return max(1.0, len(text) / 4)
