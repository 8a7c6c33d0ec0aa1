"""Texts to vectors: batches within a provider's limits, some at a time, put together in the texts' order.

Knows why a batch ends where it does. Knows no wire and no surface.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from abstractcore.errors import (
    AbstractCoreError,
    ConfigurationError,
    ResponseError,
)
from abstractcore.generation.call import asked, charged
from abstractcore.generation.messages import checked_text
from abstractcore.providers.base import embedder_in
from abstractcore.providers.stand_ins import standing_in
from abstractcore.types import EmbeddingResponse, EmbedRequest, Usage

if TYPE_CHECKING:
    from abstractcore.codecs.base import EmbedLimits
    from abstractcore.drivers.base import Deadline, Driver
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider


@dataclass(frozen=True, slots=True)
class EmbedPlan:
    """What is asked, checked: *request* holds all texts; *concurrency* requests are sent at a time."""

    request: EmbedRequest
    batch_size: int | None
    concurrency: int


class EmbedArguments(TypedDict):
    """What one `embed` is called with."""

    texts: str | Iterable[str]
    dimensions: int | None
    truncate: bool
    batch_size: int | None
    concurrency: int
    extra: Mapping[str, Any] | None


def make_plan(model: str, **asked: Unpack[EmbedArguments]) -> EmbedPlan:
    """Check the arguments of one `embed`. Raises ConfigurationError."""
    texts, extra = asked["texts"], asked["extra"]
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"texts must be a str or many, not {type(texts).__name__}")
    listed = [texts] if isinstance(texts, str) else list(texts)
    for place, text in enumerate(listed):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"text {place} is not a str but {type(text).__name__}")
        if not text:
            raise ConfigurationError(f"text {place} is empty: there is nothing to embed")
        checked_text(text, f"text {place}")
    if not isinstance(extra, Mapping | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("extra must be a dict of fields for the wire")
    for name in ("dimensions", "batch_size", "concurrency"):
        value = asked[name]
        if value is None and name != "concurrency":
            continue
        if type(value) is not int or value < 1:
            raise ConfigurationError(f"{name} must be a whole number above 0")
    request = EmbedRequest(model, listed, asked["dimensions"], bool(asked["truncate"]), dict(extra or {}))
    return EmbedPlan(request, asked["batch_size"], asked["concurrency"])


async def embedded(
    driver: Driver, provider: Provider, retry: Retry, plan: EmbedPlan, deadline: Deadline
) -> EmbeddingResponse:
    """Embed all texts of *plan*. The first batch that fails is what is raised, and no other is begun."""
    waits, answering = standing_in(driver, provider)
    answering = embedder_in(answering)
    requests = [
        replace(plan.request, texts=texts)
        for texts in batches(plan.request.texts, answering.embed_limits(), plan.batch_size)
    ]
    waiting = deque(enumerate(requests))
    answers: dict[int, EmbeddingResponse] = {}

    async def work() -> None:
        while waiting:
            try:
                number, request = waiting.popleft()
            except IndexError:  # another has taken the last one
                return
            try:
                ask = partial(answering.embed, driver, request, deadline)
                answer = await asked(waits, provider, retry, ask, deadline)
                usage = charged(answer.usage, provider, (answer.model, request.model), driver.now())
                answers[number] = replace(answer, usage=usage)
            except BaseException:
                waiting.clear()
                raise

    await _side_by_side(driver, work, min(plan.concurrency, len(requests)))
    whole = _joined([answers[number] for number in range(len(requests))])
    gen_time = (deadline.seconds - deadline.left()) * 1000.0
    return replace(whole, model=whole.model or plan.request.model, provider=provider.name, gen_time=gen_time)


async def _side_by_side(driver: Driver, work: Callable[[], Coroutine[Any, Any, None]], workers: int) -> None:
    """Run *workers* of *work*; what one of them raises is raised by itself, out of its group."""
    if workers <= 1:
        return await work()
    try:
        await driver.gather([work] * workers)
        return None
    except BaseExceptionGroup as group:
        failures = list(_flat(group))
    ours = (failure for failure in failures if not isinstance(failure, AbstractCoreError))
    raise next(ours, failures[0])


def _flat(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in group.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _flat(failure)
        else:
            yield failure


def batches(texts: Sequence[str], limits: EmbedLimits, batch_size: int | None) -> Iterator[list[str]]:
    """Split *texts*. A text counts for as many tokens as it has bytes, which no tokenizer exceeds."""
    most = min(limits.texts, batch_size or limits.texts)
    batch: list[str] = []
    tokens = 0
    for text in texts:
        size = len(text.encode(errors="replace"))
        if limits.tokens_per_text is not None:
            size = min(size, limits.tokens_per_text)
        if batch and (len(batch) == most or (limits.tokens is not None and tokens + size > limits.tokens)):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += size
    if batch:
        yield batch


def _joined(answers: Sequence[EmbeddingResponse]) -> EmbeddingResponse:
    vectors = [vector for answer in answers for vector in answer.vectors]
    lengths = {answer.dimensions for answer in answers}
    if len(lengths) > 1:
        raise ResponseError(f"the vectors are of different lengths: {sorted(lengths)}")
    return EmbeddingResponse(
        vectors,
        model=next((answer.model for answer in answers if answer.model), None),
        usage=sum((answer.usage for answer in answers), Usage()),
        warnings=list(dict.fromkeys(warning for answer in answers for warning in answer.warnings)),
        request_ids=[request_id for answer in answers for request_id in answer.request_ids],
    )
