"""`map` and `amap`: many prompts, with a bound on how many are under way, and their results as they come."""

from __future__ import annotations

import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Unpack

from abstractcore.drivers.blocking import BLOCKING, iterate, run
from abstractcore.errors import ConfigurationError
from abstractcore.generates import Generates
from abstractcore.generation.ask import SAMPLING, Sampling, check_known
from abstractcore.generation.schema import output_schema
from abstractcore.tools.schema import as_specs

if TYPE_CHECKING:
    from types import TracebackType

    from abstractcore.drivers.base import Driver
    from abstractcore.drivers.pace import Limiter
    from abstractcore.generation.call import BeforeRequest
    from abstractcore.generation.checkpoint import Checkpoint
    from abstractcore.generation.many import MapResult, Plan
    from abstractcore.generation.media import Media
    from abstractcore.types import GenerateResponse

Prompt = str | Sequence[Mapping[str, Any]]
"""One prompt of a map: a text, or messages."""

Progress = Callable[[int, int | None], None] | bool | None
"""Who hears how far a map is: a function of how many results have been given and how many there will be."""


class MapOptions(Sampling, total=False):
    """What `map` hands on to `generate` for every prompt."""

    system_prompt: str | None
    tools: Sequence[Any] | None
    tool_choice: str | None
    run_tools: bool
    response_model: Any
    media: Media | Sequence[Media] | None
    timeout: float | None


ASKED: dict[str, Any] = {
    "system_prompt": None, "tools": None, "tool_choice": None, "run_tools": False, "response_model": None,
    "media": None, "timeout": None,
}  # fmt: skip
_OWN = ("concurrency", "rate", "tokens_per_minute", "ordered", "checkpoint", "on_error", "progress")


class Maps(Generates):
    """`map` and `amap` over what answers one prompt."""

    _limiter: Limiter

    @property
    def provider(self) -> str:
        """The provider's name."""
        raise NotImplementedError

    @property
    def model(self) -> str:
        """The model's id."""
        raise NotImplementedError

    def map(
        self,
        prompts: Iterable[Prompt],
        *,
        concurrency: int = 10,
        rate: float | None = None,
        tokens_per_minute: float | None = None,
        ordered: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        on_error: Literal["return", "raise"] = "return",
        progress: Progress = None,
        **options: Unpack[MapOptions],
    ) -> MapResults:
        """Ask many prompts, each a text or messages, *concurrency* at a time; iterate the results, once.

        The prompts are read as there is room for them, so they may have no end. *rate* (requests a
        minute, retries among them) and *tokens_per_minute* hold for all maps of this LLM together. With
        *ordered* False the results come as they are ready. A failure is a result with an `error`, or is
        raised with *on_error* "raise". Leaving the loop ends what runs.

        *checkpoint* names a file that keeps each answer: a later run with the same prompts and options
        asks only for the rest. With *progress* True a bar on the terminal shows how far it is.
        The other *options* are those of `generate`. Raises ConfigurationError, SessionError for a
        checkpoint that is damaged, TypeError for an argument that does not exist.
        """
        from abstractcore.generation.many import mapped

        return MapResults(mapped(BLOCKING, check_prompts(prompts), self._plan(prompts, locals())))

    def amap(
        self,
        prompts: Iterable[Prompt] | AsyncIterable[Prompt],
        *,
        concurrency: int = 10,
        rate: float | None = None,
        tokens_per_minute: float | None = None,
        ordered: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        on_error: Literal["return", "raise"] = "return",
        progress: Progress = None,
        **options: Unpack[MapOptions],
    ) -> AsyncMapResults:
        """Ask many prompts as `map` does; the results are for `async for`, and *prompts* may be async too."""
        from abstractcore.drivers.eventloop import ASYNC
        from abstractcore.generation.many import mapped

        plan = self._plan(prompts, locals())
        return AsyncMapResults(mapped(ASYNC, check_prompts(prompts, awaits=True), plan))

    def _plan(self, prompts: Any, given: dict[str, Any]) -> Plan:
        from abstractcore.generation.many import Plan

        options, checkpoint = given["options"], given["checkpoint"]
        check_known(options, (*_OWN, *ASKED, *SAMPLING), "map")
        self._ask(one_prompt("a prompt", options))  # what is wrong with the options is wrong for all
        concurrency = given["concurrency"]
        if type(concurrency) is not int or concurrency < 1:
            raise ConfigurationError("concurrency must be a whole number, at least 1")
        for name in ("rate", "tokens_per_minute"):
            if given[name] is not None and not given[name] > 0:
                raise ConfigurationError(f"{name} must be above 0: so many a minute")
        if given["on_error"] not in ("return", "raise"):
            raise ConfigurationError('on_error must be "return" or "raise"')
        total = len(prompts) if isinstance(prompts, Sized) else None
        return Plan(
            partial(self._one, options),
            concurrency,
            self._limiter,
            given["rate"],
            given["tokens_per_minute"],
            is_ordered=bool(given["ordered"]),
            raises=given["on_error"] == "raise",
            checkpoint=None if checkpoint is None else partial(self._checkpoint, checkpoint, options),
            progress=_watcher(given["progress"], total),
        )

    async def _one(
        self, options: Mapping[str, Any], driver: Driver, prompt: Any, gate: BeforeRequest
    ) -> GenerateResponse:
        ask = self._ask(one_prompt(prompt, options))
        return await self._answer(driver, replace(ask, before_request=gate))

    def _checkpoint(self, path: str | os.PathLike[str], options: Mapping[str, Any]) -> Checkpoint:
        from abstractcore.generation.checkpoint import Checkpoint

        asked = {name: value for name, value in options.items() if name != "timeout" and value is not None}
        if tools := asked.get("tools"):
            asked["tools"] = [[tool.name, tool.description, tool.parameters] for tool in as_specs(tools)]
        if (response_model := asked.get("response_model")) is not None:
            asked["response_model"] = output_schema(response_model).schema
        whole = {"model": f"{self.provider}:{self.model}", "options": asked}
        return Checkpoint(path, whole, response_model)


class MapResults(Iterator["MapResult"]):
    """The results of `map`: iterate them, once. Leaving the loop, or `close`, ends what runs."""

    def __init__(self, source: AsyncGenerator[MapResult]) -> None:
        self._source = source
        self._is_looped = False

    def __iter__(self) -> Iterator[MapResult]:
        if self._is_looped:
            raise ConfigurationError(_LOOPED)
        self._is_looped = True
        return iterate(self._source)

    def __next__(self) -> MapResult:
        try:
            return run(self._source.__anext__())  # pyright: ignore[reportArgumentType]  it is sent to, as one
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End what runs. Calling it again does nothing."""
        run(self._source.aclose())

    def __enter__(self) -> MapResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMapResults(AsyncIterator["MapResult"]):
    """The results of `amap`: for `async for`, once. Leaving the loop, `aclose` or a cancel ends what runs."""

    def __init__(self, source: AsyncGenerator[MapResult]) -> None:
        self._source: AsyncGenerator[MapResult] | None = source
        self._is_looped = False

    def __aiter__(self) -> AsyncIterator[MapResult]:
        if self._is_looped:
            raise ConfigurationError(_LOOPED)
        self._is_looped = True
        return _Loop(self)

    async def __anext__(self) -> MapResult:
        if self._source is None:
            raise StopAsyncIteration
        return await anext(self._source)

    async def aclose(self) -> None:
        """End what runs. Calling it again does nothing."""
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    def abandon(self) -> None:
        """End what runs as a loop that was left does: its event loop closes what it lets go."""
        self._source = None

    async def __aenter__(self) -> AsyncMapResults:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Loop(AsyncIterator["MapResult"]):
    """What an `async for` holds: it goes when the loop is left, though the results stand in a variable."""

    def __init__(self, results: AsyncMapResults) -> None:
        self._results = results

    async def __anext__(self) -> MapResult:
        return await self._results.__anext__()

    def __del__(self) -> None:
        self._results.abandon()


_LOOPED = "these results have been iterated already: they are given once"


def check_prompts(prompts: Any, *, awaits: bool = False) -> Any:
    """Give *prompts*, if that is what they can be: one text is not many."""
    kinds = (Iterable, AsyncIterable) if awaits else (Iterable,)
    if isinstance(prompts, str | bytes | Mapping) or not isinstance(prompts, kinds):
        raise ConfigurationError(f"prompts must be a list or another iterable, not {type(prompts).__name__}")
    return prompts


def one_prompt(prompt: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Say one prompt in `generate`'s words."""
    is_text = isinstance(prompt, str)
    return {
        "prompt": prompt if is_text else None,
        "messages": None if is_text else prompt,
        "stream": False,
        "return_response": True,
        **{name: options.get(name, usual) for name, usual in ASKED.items()},
        "sampling": {name: value for name, value in options.items() if name in SAMPLING},
    }


def _watcher(progress: Progress, total: int | None) -> Callable[[int], None] | None:
    if not progress:
        return None
    if not isinstance(progress, bool):
        return lambda given: progress(given, total)
    from abstractcore.engines.bar import TerminalBar
    from abstractcore.engines.runtime import Stage

    bar = TerminalBar()
    if total is None:
        return lambda given: bar(f"{given} results")
    return lambda given: bar(Stage.of(f"{given} of {total}", given / total))
