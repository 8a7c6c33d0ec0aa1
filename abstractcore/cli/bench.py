"""`abstractcore bench`: tokens per second against concurrency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from abstractcore.cli.exits import tell
from abstractcore.cli.options import MODEL, BaseUrl, Timeout, open_model

if TYPE_CHECKING:
    from abstractcore.llm import LLM


@dataclass(frozen=True, slots=True)
class Pace:
    """What so many calls at once came to; *tokens* is None where the provider did not count them."""

    at_once: int
    calls: int
    failed: int
    tokens: int | None
    seconds: float
    median: float
    """Seconds of one call."""

    @property
    def tokens_per_second(self) -> float | None:
        """New tokens of all calls, by the time from the first request to the last answer."""
        return None if self.tokens is None else self.tokens / self.seconds


def bench(
    model: Annotated[
        str | None, typer.Argument(envvar=MODEL, help="provider:model. Without one: local.")
    ] = None,
    at_once: Annotated[str, typer.Option("--at-once", help="How many calls at a time.")] = "1,2,4,8",
    calls: Annotated[
        int | None, typer.Option(min=1, help="Calls of each row; as many as the most at a time.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="New tokens of a call, at most.")] = 32,
    prompt: Annotated[
        str, typer.Option(help="What is asked; a number is put after it.")
    ] = "Tell me a story about the number",
    plot: Annotated[str | None, typer.Option(help="Draw it in this file, such as pace.png.")] = None,
    timeout: Timeout = None,
    base_url: BaseUrl = None,
) -> None:
    """Measure tokens per second, by calls at a time.

    Each call is paid for where calls are: with the defaults there are 33.
    """
    if plot is not None:
        _check_plot(plot)
    counts = _counts(at_once)
    many = calls or max(counts)
    prompts = [f"{prompt} {number}." for number in range(1, many + 1)]
    with open_model(model, base_url=base_url, timeout=timeout) as llm:
        llm.load(progress=True)
        llm.generate(prompts[0], max_output_tokens=tokens)  # the first call is slower
        paces = [_measured(llm, prompts, count, tokens) for count in counts]
        name = f"{llm.provider}:{llm.model.rpartition('/')[2]}"
    _show(paces)
    if plot is not None:
        _draw(paces, name, plot)


def _counts(text: str) -> list[int]:
    from abstractcore.errors import ConfigurationError

    try:
        counts = [int(each) for each in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ConfigurationError("--at-once is a list such as 1,2,4,8")
    return counts


def _measured(llm: LLM, prompts: list[str], at_once: int, tokens: int) -> Pace:
    """Ask all prompts, *at_once* at a time. Raises what failed when nothing else came of it."""
    from statistics import median

    from abstractcore.drivers.base import Deadline

    began = Deadline.after(0.0)
    results = list(llm.map(prompts, concurrency=at_once, ordered=False, max_output_tokens=tokens))
    seconds = -began.left()
    answers = [result.response for result in results if result.response is not None]
    errors = [result.error for result in results if result.error is not None]
    if not answers:
        raise errors[0]
    counted = [answer.usage.output_tokens for answer in answers]
    told = [count for count in counted if count is not None]
    times = [answer.gen_time / 1_000 for answer in answers if answer.gen_time is not None]
    total = sum(told) if len(told) == len(counted) else None
    return Pace(at_once, len(results), len(errors), total, seconds, median(times))


def _show(paces: list[Pace]) -> None:
    from abstractcore.cli.tables import show

    heads = ("at once", "tokens/s", "times one", "calls/s", "seconds a call", "failed")
    first = paces[0].tokens_per_second
    rows: list[list[str]] = []
    for pace in paces:
        speed = pace.tokens_per_second
        ratio = "" if not speed or not first else f"{speed / first:.1f}"
        rows.append(
            [
                str(pace.at_once),
                "not told" if speed is None else f"{speed:.1f}",
                ratio,
                f"{(pace.calls - pace.failed) / pace.seconds:.2f}",
                f"{pace.median:.2f}",
                str(pace.failed),
            ]
        )
    show(heads, rows, right=heads)


def _check_plot(file: str) -> None:
    """Raise for a picture that could not be drawn, before any call is paid for."""
    from importlib.util import find_spec
    from pathlib import Path

    from abstractcore.errors import ConfigurationError, MissingDependencyError

    if find_spec("matplotlib") is None:
        raise MissingDependencyError('--plot needs matplotlib: pip install "abstractcore[plot]"')
    if not Path(file).absolute().parent.is_dir():
        raise ConfigurationError(f"--plot: {file}: there is no such folder")


def _draw(paces: list[Pace], name: str, file: str) -> None:
    """Draw tokens per second, or calls per second where no tokens were told, by calls at once."""
    from matplotlib.figure import Figure

    from abstractcore.errors import ConfigurationError

    speeds = [pace.tokens_per_second for pace in paces]
    has_tokens = None not in speeds
    heights: list[Any] = [*speeds] if has_tokens else [pace.calls / pace.seconds for pace in paces]
    counts = [pace.at_once for pace in paces]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(counts, heights, marker="o")
    words = "tokens per second" if has_tokens else "calls per second"
    axes.set(title=name, xlabel="calls at once", ylabel=words, ylim=(0, None), xticks=counts)
    try:
        figure.savefig(file)
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or failure
        raise ConfigurationError(f"--plot: {file}: {reason}") from failure
    tell(file, of="plot")
