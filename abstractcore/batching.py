"""`batch` and `abatch`: many prompts for a provider's own batch API, which answers within hours, for less.

Knows only how a user spells it: the work is in the rooms below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from abstractcore.drivers.blocking import BLOCKING, run
from abstractcore.errors import ConfigurationError
from abstractcore.generation.ask import SAMPLING, Sampling, check_known
from abstractcore.mapping import ASKED, AsyncMapResults, MapResults, Maps, Prompt, check_prompts, one_prompt

if TYPE_CHECKING:
    from abstractcore.drivers.base import Driver
    from abstractcore.generation.ask import Ask
    from abstractcore.generation.batch_service import BatchService
    from abstractcore.generation.batches import Batch
    from abstractcore.generation.media import Media
    from abstractcore.generation.retry import Retry
    from abstractcore.providers.base import Provider
    from abstractcore.types import BatchCounts, BatchState

BatchPrompt = Prompt | Mapping[str, Any]
"""One prompt of a batch: a text, messages, or the arguments of a `generate` of its own."""

LONGEST_PAUSE = 60.0


class BatchOptions(Sampling, total=False):
    """What `batch` takes for all prompts; *timeout* bounds the sending of the batch."""

    system_prompt: str | None
    tools: Sequence[Any] | None
    tool_choice: str | None
    response_model: Any
    media: Media | Sequence[Media] | None
    timeout: float | None


_OF_THE_BATCH = ("response_model", "timeout", "run_tools")
_SHARED = tuple(name for name in ASKED if name != "run_tools")
_OF_ONE = ("prompt", "messages", *(name for name in _SHARED if name not in _OF_THE_BATCH))


class Batches(Maps):
    """`batch` and `batch_job`, with their awaited twins, over a provider that may have a batch API."""

    _provider: Provider
    _retry: Retry

    def _check_open(self) -> None:
        raise NotImplementedError

    def batch(
        self,
        prompts: Iterable[BatchPrompt],
        *,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[BatchOptions],
    ) -> BatchJob:
        """Send *prompts* as one batch, and give the job; OpenAI, Anthropic and Groq have such an API.

        Each prompt is a text, messages, or a dict of arguments of its own (`{"prompt": ..., "seed": 1}`).
        Nothing waits for the answers: `job.wait()` does, `job.results()` reads them, and
        `batch_job(job.id)` finds the job again after a restart. OpenAI keeps *metadata* with the batch.

        Raises UnsupportedFeatureError for a provider without batches, ConfigurationError for too many
        prompts or one that cannot be sent, TypeError for an argument that does not exist.
        """
        return BatchJob(run(self._submitted(BLOCKING, prompts, metadata, options)))

    async def abatch(
        self,
        prompts: Iterable[BatchPrompt],
        *,
        metadata: Mapping[str, str] | None = None,
        **options: Unpack[BatchOptions],
    ) -> AsyncBatchJob:
        """Send *prompts* as one batch, awaited; otherwise as `batch`."""
        from abstractcore.drivers.eventloop import ASYNC

        return AsyncBatchJob(await self._submitted(ASYNC, prompts, metadata, options))

    def batch_job(
        self, batch_id: str, prompts: Iterable[BatchPrompt] | None = None, *, response_model: Any = None
    ) -> BatchJob:
        """Find the job of a batch that was sent before, by its id.

        Its results know their prompts when these are given again, and are validated by *response_model*.
        """
        return BatchJob(run(self._found(BLOCKING, batch_id, prompts, response_model)))

    async def abatch_job(
        self, batch_id: str, prompts: Iterable[BatchPrompt] | None = None, *, response_model: Any = None
    ) -> AsyncBatchJob:
        """Find the job of a batch that was sent before, awaited; otherwise as `batch_job`."""
        from abstractcore.drivers.eventloop import ASYNC

        return AsyncBatchJob(await self._found(ASYNC, batch_id, prompts, response_model))

    def _question(self, prompt: BatchPrompt, options: Mapping[str, Any]) -> Ask:
        if not isinstance(prompt, Mapping):
            return self._ask(one_prompt(prompt, options))
        check_known(prompt, (*_OF_ONE, *SAMPLING), "batch")
        asked = {name: prompt.get(name) for name in ("prompt", "messages")}
        return self._ask({**one_prompt("", {**options, **prompt}), **asked})

    def _batch_service(self) -> BatchService:
        from abstractcore.generation.batch_service import BatchService

        self._check_open()
        return BatchService(self._provider, self._retry)

    async def _submitted(
        self,
        driver: Driver,
        prompts: Iterable[BatchPrompt],
        metadata: Mapping[str, str] | None,
        options: Mapping[str, Any],
    ) -> Batch:
        from abstractcore.generation.batches import Batch

        check_known(options, ("metadata", *_SHARED, *SAMPLING), "batch")
        _check_metadata(metadata)
        service = self._batch_service()
        given = list[BatchPrompt](check_prompts(prompts))
        asks = await service.check(driver, len(given), lambda index: self._question(given[index], options))
        status, warnings = await service.submit(driver, asks, metadata)
        return Batch(service, status, prompts=given, response_model=asks[0].response_model, warnings=warnings)

    async def _found(
        self, driver: Driver, batch_id: str, prompts: Iterable[BatchPrompt] | None, response_model: Any
    ) -> Batch:
        from abstractcore.generation.batches import Batch

        if not isinstance(batch_id, str) or not batch_id:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("which batch? Pass the id that job.id gave")
        service = self._batch_service()
        known = None if prompts is None else list[BatchPrompt](check_prompts(prompts))
        status = await service.find(driver, batch_id)
        return Batch(service, status, prompts=known, response_model=response_model)


class _Job:
    """What both jobs tell, as the provider said it last."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    @property
    def id(self) -> str:
        """The provider's id of the batch: `llm.batch_job(id)` finds it again."""
        return self._batch.status.id

    @property
    def status(self) -> BatchState:
        """Where it stands: "in_progress", "completed", "expired" and so on."""
        return self._batch.status.state

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it: completed, failed, expired or cancelled."""
        return self._batch.is_over

    @property
    def counts(self) -> BatchCounts:
        """How many prompts there are, and what became of them."""
        return self._batch.status.counts

    @property
    def metadata(self) -> dict[str, str]:
        """What was given with the batch, where the provider keeps it."""
        return dict(self._batch.status.metadata)

    @property
    def raw(self) -> Any:
        """The provider's own words."""
        return self._batch.status.raw

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}: {self.status}>"


class BatchJob(_Job):
    """A batch at a provider. `llm.batch` sends one, `llm.batch_job` finds one again."""

    def refresh(self) -> BatchJob:
        """Ask once where it stands, and give the job itself."""
        run(self._batch.look(BLOCKING))
        return self

    def wait(self, *, timeout: float | None = None, poll: float = LONGEST_PAUSE) -> BatchJob:
        """Wait until it is over, and give the job itself.

        It is looked at now, after a second, then less and less often, at least every *poll* seconds.
        When *timeout* seconds have passed first, RequestTimeoutError (a TimeoutError) is raised, and the
        batch goes on.
        """
        run(self._batch.wait(BLOCKING, _seconds("timeout", timeout), _seconds("poll", poll) or LONGEST_PAUSE))
        return self

    def results(self, *, ordered: bool = True) -> MapResults:
        """Read the results as they arrive: iterate them, once; asked again, they are read again.

        They come in the order of the prompts, which holds back those that wait for an earlier one, or with
        *ordered* False as they stand in the provider's file. A failure is a result with an `error`: what
        the provider says of that prompt, or BatchError for one without an answer. Raises
        ConfigurationError when the batch is not over, BatchError when it failed as a whole.
        """
        return MapResults(self._batch.results(BLOCKING, is_ordered=ordered))

    def cancel(self) -> BatchJob:
        """Ask for its end; what has been answered until then stays in the results."""
        run(self._batch.cancel(BLOCKING))
        return self


class AsyncBatchJob(_Job):
    """A batch at a provider, awaited. `llm.abatch` sends one, `llm.abatch_job` finds one again."""

    async def refresh(self) -> AsyncBatchJob:
        """Ask once where it stands, and give the job itself."""
        from abstractcore.drivers.eventloop import ASYNC

        await self._batch.look(ASYNC)
        return self

    async def wait(self, *, timeout: float | None = None, poll: float = LONGEST_PAUSE) -> AsyncBatchJob:
        """Wait until it is over, and give the job itself; as `BatchJob.wait`."""
        from abstractcore.drivers.eventloop import ASYNC

        longest = _seconds("poll", poll) or LONGEST_PAUSE
        await self._batch.wait(ASYNC, _seconds("timeout", timeout), longest)
        return self

    def results(self, *, ordered: bool = True) -> AsyncMapResults:
        """Read the results as they arrive, for `async for`; otherwise as `BatchJob.results`."""
        from abstractcore.drivers.eventloop import ASYNC

        return AsyncMapResults(self._batch.results(ASYNC, is_ordered=ordered))

    async def cancel(self) -> AsyncBatchJob:
        """Ask for its end; what has been answered until then stays in the results."""
        from abstractcore.drivers.eventloop import ASYNC

        await self._batch.cancel(ASYNC)
        return self


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or not all(
        isinstance(part, str) for pair in metadata.items() for part in pair
    ):
        raise ConfigurationError("metadata must be a dict of texts")


def _seconds(name: str, given: float | None) -> float | None:
    if given is not None and (isinstance(given, bool) or not given > 0):
        raise ConfigurationError(f"{name} must be seconds above 0")
    return given
