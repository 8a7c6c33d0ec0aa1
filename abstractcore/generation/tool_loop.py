"""The tool loop: ask, run what the answer asks for, ask again, until an answer calls no tool.

Owns the rounds of one turn. Knows no surface, no provider and not whose history it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.generators import Nested
from abstractcore.drivers.interleave import interleaved
from abstractcore.generation.collect import assistant_message
from abstractcore.generation.structured import insist
from abstractcore.generation.tool_runs import ToolPolicy, ToolRun, run_call, runnable, too_late
from abstractcore.tools.context import ToolContext
from abstractcore.tools.decorator import Tool
from abstractcore.tracing.watching import tools_are_watched
from abstractcore.types import GenerateRequest, Message, StreamChunk, ToolCall

if TYPE_CHECKING:
    from abstractcore.generation.call import Answer, Call


@dataclass(slots=True)
class Turn:
    """What a turn adds to the history, in order; the last answer is not in it until the turn ends."""

    messages: list[Message] = field(default_factory=list[Message])


def turn_chunks(
    call: Call,
    answer: Answer,
    request: GenerateRequest,
    tools: Sequence[Any] | None,
    policy: ToolPolicy,
    turn: Turn,
) -> AsyncGenerator[StreamChunk]:
    """Answer *request* with all that the call wants: a schema insisted on, and *tools* run unless None.

    Raises AsyncToolError when a blocking caller has an async tool; nothing has been sent then.
    """
    ask = answer if call.response_model is None else partial(_insisting, answer)
    if tools is None:
        return ask(call, request)
    blocks = call.driver.caller().blocks
    found = runnable(tools, blocking=blocks, approve=policy.approve)
    return rounds(call, ask, request, found, policy, turn)


def _insisting(answer: Answer, call: Call, request: GenerateRequest) -> AsyncGenerator[StreamChunk]:
    return insist(call, answer, request)


async def rounds(
    call: Call,
    answer: Answer,
    request: GenerateRequest,
    tools: Mapping[str, Tool[..., Any]],
    policy: ToolPolicy,
    turn: Turn,
) -> AsyncGenerator[StreamChunk]:
    """Answer *request* with tools. The chunks of every round come out, and one `done`, at the end.

    After *max_iterations* rounds that called tools, the calls of the last are answered "not
    run", and the model is asked once more, without tools.
    """
    for iteration in range(policy.max_iterations + 1):
        is_last = iteration == policy.max_iterations
        asked = _asked(request, turn, is_last)
        end: StreamChunk | None = None
        policy.tell("model_call", iteration)
        async with aclosing(Nested(answer(call, asked))) as chunks:
            async for chunk in chunks:
                if chunk.phase == "done":
                    end = chunk
                else:
                    yield replace(chunk, agent=policy.agent, iteration=iteration)
        response = call.collector.response()
        usage = None if end is None else end.usage
        policy.tell("model_answer", iteration, content=response.content, usage=usage)
        if is_last or not response.tool_calls:
            if end is not None:
                yield replace(end, agent=policy.agent, iteration=iteration, usage=response.usage)
            return
        runs = [ToolRun(each, call.scrub) for each in _with_own_ids(response.tool_calls, asked.messages)]
        if iteration + 1 < policy.max_iterations:
            called = _Called(call, runs, tools, policy, asked, iteration)
            async with aclosing(Nested(called.chunks())) as chunks:
                async for chunk in chunks:
                    yield chunk
        turn.messages.append(assistant_message(replace(response, tool_calls=[run.call for run in runs])))
        turn.messages.extend(_result(run) for run in runs)
        call.collector.next_round()
        if call.deadline.left() <= 0:
            raise too_late(call.deadline)


def _asked(request: GenerateRequest, turn: Turn, is_last: bool) -> GenerateRequest:
    asked = replace(request, messages=[*request.messages, *turn.messages])
    return replace(asked, tool_choice="none") if is_last else asked


def _with_own_ids(calls: Sequence[ToolCall], messages: Sequence[Message]) -> list[ToolCall]:
    """Give the calls; an id that an earlier call of the conversation has is made another."""
    taken = {call["id"] for message in messages for call in message.get("tool_calls", ())}
    return [replace(call, id=f"{call.id}_{len(messages)}") if call.id in taken else call for call in calls]


@dataclass(frozen=True, slots=True)
class _Called:
    """What one answer calls, and how it is run."""

    call: Call
    runs: Sequence[ToolRun]
    tools: Mapping[str, Tool[..., Any]]
    policy: ToolPolicy
    asked: GenerateRequest
    iteration: int

    async def chunks(self) -> AsyncGenerator[StreamChunk]:
        """Run the calls, one after the other or side by side: progress as it comes, results in call order."""
        for runs in [self.runs] if self.policy.concurrent_tool_calls else [[run] for run in self.runs]:
            for run in runs:
                self.policy.tell("tool_call", self.iteration, tool_call=run.call)
            async with aclosing(Nested(self._progress(runs))) as steps:
                async for run, text in steps:
                    self.policy.tell("tool_progress", self.iteration, tool_call=run.call, content=text)
                    yield self._chunk(run, text)
            for run in runs:
                self.policy.tell("tool_result", self.iteration, tool_call=run.call, content=run.result)
                yield self._chunk(run, run.result)

    async def _progress(self, runs: Sequence[ToolRun]) -> AsyncGenerator[tuple[ToolRun, str]]:
        works = [partial(self._work, run) for run in runs]
        source = interleaved(self.call.driver, works) if len(works) > 1 else works[0]()
        try:
            async with aclosing(Nested(source)) as steps:
                async for step in steps:
                    yield step
        except BaseExceptionGroup as failures:
            raise (_one_of(failures) if len(works) > 1 else failures) from None

    async def _work(self, run: ToolRun) -> AsyncGenerator[tuple[ToolRun, str]]:
        async with aclosing(Nested(self._texts(run))) as texts:
            async for text in texts:
                yield run, text

    def _texts(self, run: ToolRun) -> AsyncGenerator[str]:
        context = ToolContext(run.call, tuple(self.asked.messages), self.policy.agent, self.iteration)
        texts = run_call(self.call.driver, run, self.tools, self.policy, context, self.call.deadline)
        if not tools_are_watched():
            return texts
        from abstractcore.generation.watched import watched_tool

        return watched_tool(run, self.tools, self.policy.agent, texts)

    def _chunk(self, run: ToolRun, text: str) -> StreamChunk:
        return StreamChunk("tool_calling", text, self.policy.agent, self.iteration, run.call)


def _one_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first failure in call order, as if the calls had run one after the other.

    Ctrl-C comes before all others, which are named in the notes of the one that is raised.
    """
    first, *others = sorted(failures.exceptions, key=lambda failure: isinstance(failure, Exception))
    for other in others:
        first.add_note(f"another call of the same answer: {type(other).__name__}: {other}")
    return first


def _result(run: ToolRun) -> Message:
    return {"role": "tool", "content": run.result, "tool_call_id": run.call.id, "name": run.call.name}
