"""Chain, Parallel, Router, EvaluatorOptimizer: runs made of runs, each of which nests in any other.

Knows tasks and answers. Knows no model: whoever decides something is an agent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, make_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from abstractcore.agents.agent import Agent, AgentCore
from abstractcore.agents.runs import BlockingRuns, Runs, Work, all_but_done, answered, of_colour
from abstractcore.conversation import ClientCore
from abstractcore.drivers.generators import Nested
from abstractcore.drivers.interleave import interleaved
from abstractcore.errors import ConfigurationError, ResponseError, StructuredOutputError

if TYPE_CHECKING:
    from abstractcore.types import GenerateResponse, StreamChunk

_TITLE_CHARACTERS = 200
_PASSES = ("pass", "passed", "passes")


class Workflow(Runs):
    """What the workflows share. A face says which agents `from_client` makes."""

    _agent: ClassVar[type[AgentCore]]
    _kind = "invoke_workflow"

    def _take(self, runnable: Any, place: str) -> Runs:
        return of_colour(self._blocks, runnable, place)

    def _take_all(self, runnables: Sequence[Any], place: str) -> list[Runs]:
        taken = [self._take(each, f"{place}_{number}") for number, each in enumerate(runnables, 1)]
        if not taken:
            raise ConfigurationError(f"a {type(self).__name__} needs at least one {place}")
        return taken

    def _decider(self, given: Any, system: str, name: str) -> Runs:
        """Take whoever decides; of a client an agent is made for it."""
        if isinstance(given, ClientCore):
            return cast("Runs", self._agent(given, system, name=name))
        return self._take(given, name)


class ChainCore(Workflow):
    """What both chains are."""

    def __init__(self, steps: Sequence[Any], name: str | None = None) -> None:
        """Make a chain of *steps*, anything with `run`."""
        self.steps = self._take_all(steps, "step")
        self.name = name

    @classmethod
    def from_client(cls, client: Any, prompts: Sequence[str], *, name: str | None = None) -> Self:
        """Make a chain of one agent for each of *prompts*; they are named step_1 and on."""
        steps = [cls._agent(client, prompt, name=f"step_{n}") for n, prompt in enumerate(prompts, 1)]
        return cls(steps, name)

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Run the steps one after the other: the text of each is the task of the next.

        Raises ResponseError for a step that answers with no text where another is to go on from it.
        """
        task = work.task
        part = work
        for number, step in enumerate(self.steps, 1):
            if not task.strip():
                last = self.steps[number - 2].name or part.label
                raise ResponseError(f"{last} answered with no text, so that the next step has no task")
            part = work.part(task, f"step_{number}")
            async with aclosing(Nested(all_but_done(step, part))) as chunks:
                async for chunk in chunks:
                    yield chunk
            task = part.outcome.response().content
        yield work.end(self.steps[-1].name or part.label)


class ParallelCore(Workflow):
    """What both parallels are."""

    def __init__(
        self,
        workers: Sequence[Any],
        aggregator: Any = None,
        separator: str = "\n\n---\n\n",
        name: str | None = None,
    ) -> None:
        """Make a parallel of *workers*, anything with `run`.

        Their texts are joined by *separator*; an *aggregator* gets them with the task, and its
        text is then the result.
        """
        self.workers = self._take_all(workers, "worker")
        self.aggregator = None if aggregator is None else self._take(aggregator, "aggregator")
        self.separator = separator
        self.name = name

    @classmethod
    def from_client(
        cls,
        client: Any,
        worker_prompts: Sequence[str],
        aggregator_prompt: str | None = None,
        *,
        name: str | None = None,
    ) -> Self:
        """Make a parallel of one agent for each of *worker_prompts*; they are named worker_1 and on."""
        workers = [
            cls._agent(client, prompt, name=f"worker_{n}") for n, prompt in enumerate(worker_prompts, 1)
        ]
        last = None if aggregator_prompt is None else cls._agent(client, aggregator_prompt, name="aggregator")
        return cls(workers, last, name=name)

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Run the workers side by side, their chunks as they come, and then the aggregator."""
        parts = [work.part(work.task, f"worker_{number}") for number, _ in enumerate(self.workers, 1)]
        jobs = [partial(_as_worker, *each) for each in zip(self.workers, parts, strict=True)]
        try:
            async with aclosing(Nested(interleaved(work.driver, jobs))) as chunks:
                async for chunk in chunks:
                    yield chunk
        except BaseExceptionGroup as failures:
            raise type(failures)("workers failed", failures.exceptions) from None
        except Exception as failure:  # noqa: BLE001  it is raised again, as one of a group
            raise ExceptionGroup("workers failed", [failure]) from None
        joined = self.separator.join(part.outcome.response().content for part in parts)
        if self.aggregator is None:
            work.outcome.text = joined
            yield work.end(self.name)
            return
        part = work.part(f"Task:\n{work.task}\n\nAnswers:\n{joined}", "aggregator")
        async with aclosing(Nested(all_but_done(self.aggregator, part))) as chunks:
            async for chunk in chunks:
                yield chunk
        yield work.end(self.aggregator.name or part.label)


async def _as_worker(worker: Runs, part: Work) -> AsyncGenerator[StreamChunk]:
    """Give a worker's chunks; a failure says whose it is."""
    try:
        async with aclosing(Nested(all_but_done(worker, part))) as chunks:
            async for chunk in chunks:
                yield chunk
    except Exception as failure:
        label = worker.name or part.label
        failure.add_note(f"worker: {label}")
        failure.worker = label  # pyright: ignore[reportAttributeAccessIssue]
        raise


class RouterCore(Workflow):
    """What both routers are."""

    def __init__(
        self,
        client_or_classifier: Any,
        routes: Mapping[str, Any],
        *,
        descriptions: Mapping[str, str] | None = None,
        default: str | None = None,
        name: str | None = None,
    ) -> None:
        """Make a router over *routes*, anything with `run` by name.

        A client, or an agent of your own, chooses by structured output; any other classifier
        answers with a route's name. It reads *descriptions*; an agent without one is described
        by its system prompt. *default* is the route for an answer that names none, which
        is otherwise StructuredOutputError.
        """
        self._take_all(list(routes.values()), "route")
        self.routes = {key: self._take(each, f"route {key!r}") for key, each in routes.items()}
        unknown = [key for key in (*(descriptions or ()), *filter(None, [default])) if key not in routes]
        if unknown:
            raise ConfigurationError(f"there is no route {unknown[0]!r}; there are: {', '.join(routes)}")
        self._descriptions = dict(descriptions or {})
        self._default = default
        self._classifier = self._decider(client_or_classifier, self._instructions(), "router")
        self.name = name

    def _instructions(self) -> str:
        lines = [f"- {key}: {self._description(key)}" for key in self.routes]
        return "\n".join(["Choose who is to work on the task. Do not work on it yourself.", *lines])

    def _description(self, key: str) -> str:
        route = self.routes[key]
        system = (route.system or "") if isinstance(route, AgentCore) else ""
        return self._descriptions.get(key) or system[:_TITLE_CHARACTERS] or key

    async def _choose(self, work: Work) -> str:
        schema = make_dataclass("Choice", [("route", Literal[tuple(self.routes)])])
        decides = isinstance(self._classifier, AgentCore)
        part = work.part(work.task, "router", schema=schema if decides else None)
        said: Any = None
        try:
            said = await answered(self._classifier, part)
        except StructuredOutputError:
            if self._default is None:
                raise
        chosen = "" if said is None else said.parsed.route if decides else said.content.strip()
        return self._known(chosen)

    def _known(self, chosen: str) -> str:
        found = next((key for key in self.routes if key.casefold() == chosen.casefold()), self._default)
        if found is None:
            raise StructuredOutputError(f"the classifier named no route; there are: {', '.join(self.routes)}")
        return found

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Let the classifier choose, in silence, and run the route."""
        chosen = await self._choose(work)
        part = work.part(work.task, chosen)
        async with aclosing(Nested(all_but_done(self.routes[chosen], part))) as chunks:
            async for chunk in chunks:
                yield chunk
        yield work.end(self.routes[chosen].name or chosen)


_EVALUATE = (
    "You judge whether an answer does what its task asks for. "
    "When it does not, say in the feedback what is to be made better."
)


@dataclass
class _Verdict:
    passed: bool
    feedback: str


class EvaluatorOptimizerCore(Workflow):
    """What both evaluator-optimizers are."""

    def __init__(
        self, generator: Any, evaluator: Any, max_rounds: int = 3, *, name: str | None = None
    ) -> None:
        """Make a *generator*, anything with `run`, answer until its *evaluator* is content.

        A client, or an agent of your own, judges by structured output; the text of any other
        evaluator passes when its first word is PASS, and is the feedback otherwise. The
        answer of the last of *max_rounds* rounds is given without being judged.
        """
        if type(max_rounds) is not int or max_rounds < 1:
            raise ConfigurationError("max_rounds must be a whole number, at least 1")
        self.generator = self._take(generator, "generator")
        self.evaluator = self._decider(evaluator, _EVALUATE, "evaluator")
        self.max_rounds = max_rounds
        self.name = name

    async def chunks(self, work: Work) -> AsyncGenerator[StreamChunk]:
        """Give each round's answer; what the evaluator says is silent."""
        task = work.task
        part = work
        for round_ in range(1, self.max_rounds + 1):
            part = work.part(task, "generator")
            async with aclosing(Nested(all_but_done(self.generator, part))) as chunks:
                async for chunk in chunks:
                    yield chunk
            answer = part.outcome.response().content
            feedback = None if round_ == self.max_rounds else await self._feedback(work, answer)
            if feedback is None:
                break
            task = f"{work.task}\n\nYour last answer:\n{answer}\n\nMake it better:\n{feedback}"
        work.outcome.text = part.outcome.response().content
        yield work.end(self.generator.name or part.label)

    async def _feedback(self, work: Work, answer: str) -> str | None:
        """Ask the evaluator; None when the answer passes."""
        decides = isinstance(self.evaluator, AgentCore)
        task = f"Task:\n{work.task}\n\nAnswer:\n{answer}"
        part = work.part(task, "evaluator", schema=_Verdict if decides else None)
        return _feedback_of(await answered(self.evaluator, part), decides)


def _feedback_of(said: GenerateResponse, decides: bool) -> str | None:
    if decides:
        verdict: _Verdict = said.parsed
        return None if verdict.passed else verdict.feedback
    first = said.content.strip().casefold().split(maxsplit=1)[:1]
    return None if first and first[0].rstrip(".,:;!") in _PASSES else said.content


class Chain(BlockingRuns, ChainCore):
    """Steps one after the other; the text of each is the task of the next."""

    _agent = Agent


class Parallel(BlockingRuns, ParallelCore):
    """Workers side by side, in threads; all run to their end, then an ExceptionGroup has what failed.

    Each of its members names its worker: `failure.worker`, and a note.
    """

    _agent = Agent


class Router(BlockingRuns, RouterCore):
    """One of several routes, chosen by a model for each task."""

    _agent = Agent


class EvaluatorOptimizer(BlockingRuns, EvaluatorOptimizerCore):
    """Answers, judged and made better, round by round."""

    _agent = Agent
