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
from abstractcore.generation.collect import assistant_message
from abstractcore.generation.structured import insist
from abstractcore.generation.tool_runs import ToolPolicy, ToolRun, run_call, runnable
from abstractcore.tools.context import ToolContext
from abstractcore.tools.decorator import Tool
from abstractcore.types import GenerateRequest, GenerateResponse, Message, StreamChunk, ToolCall

if TYPE_CHECKING:
    from abstractcore.generation.call import Answer, Call

_NOT_RUN = "Not run: no more tool calls are allowed in this turn. Answer with what you have."


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
        asked = replace(request, messages=[*request.messages, *turn.messages])
        if is_last:
            asked = replace(asked, tool_choice="none")
        end: StreamChunk | None = None
        policy.tell("model_call", iteration)
        async with aclosing(Nested(answer(call, asked))) as chunks:
            async for chunk in chunks:
                if chunk.phase == "done":
                    end = chunk
                else:
                    yield replace(chunk, agent=policy.agent, iteration=iteration)
        response = call.collector.response()
        policy.tell(
            "model_answer", iteration, content=response.content, usage=end.usage if end is not None else None
        )
        if is_last or not response.tool_calls:
            if end is not None:
                yield replace(end, agent=policy.agent, iteration=iteration, usage=response.usage)
            return
        runs = [ToolRun(each) for each in _with_own_ids(response.tool_calls, asked.messages)]
        turn.messages.append(assistant_message(replace(response, tool_calls=[run.call for run in runs])))
        if iteration + 1 == policy.max_iterations:
            for run in runs:
                run.result = _NOT_RUN
        else:
            async for chunk in _run(call, runs, tools, policy, asked, iteration):
                yield chunk
        turn.messages.extend(_result(run) for run in runs)
        call.collector.next_round()


def _with_own_ids(calls: Sequence[ToolCall], messages: Sequence[Message]) -> list[ToolCall]:
    """Give the calls; an id that an earlier call of the conversation has is made another."""
    taken = {call["id"] for message in messages for call in message.get("tool_calls", ())}
    return [replace(call, id=f"{call.id}_{len(messages)}") if call.id in taken else call for call in calls]


async def _run(
    call: Call,
    runs: Sequence[ToolRun],
    tools: Mapping[str, Tool[..., Any]],
    policy: ToolPolicy,
    asked: GenerateRequest,
    iteration: int,
) -> AsyncGenerator[StreamChunk]:
    """Run the calls, one after the other or side by side; progress and results come out in call order."""

    def context(run: ToolRun) -> ToolContext:
        return ToolContext(run.call, tuple(asked.messages), policy.agent, iteration)

    async def silently(run: ToolRun) -> None:
        async with aclosing(Nested(run_call(call.driver, run, tools, policy, context(run)))) as texts:
            async for text in texts:
                run.progress.append(text)

    is_concurrent = policy.concurrent and len(runs) > 1
    if is_concurrent:
        for run in runs:
            policy.tell("tool_call", iteration, tool_call=run.call)
        await call.driver.gather([lambda run=run: silently(run) for run in runs])
    for run in runs:
        if not is_concurrent:
            policy.tell("tool_call", iteration, tool_call=run.call)
            async with aclosing(Nested(run_call(call.driver, run, tools, policy, context(run)))) as texts:
                async for text in texts:
                    yield _chunk(run, text, policy, iteration)
        for text in run.progress:
            yield _chunk(run, text, policy, iteration)
        policy.tell("tool_result", iteration, tool_call=run.call, content=run.result)
        yield _chunk(run, run.result, policy, iteration)


def _chunk(run: ToolRun, text: str, policy: ToolPolicy, iteration: int) -> StreamChunk:
    return StreamChunk("tool_calling", text, policy.agent, iteration, run.call)


def _result(run: ToolRun) -> Message:
    return {"role": "tool", "content": run.result, "tool_call_id": run.call.id, "name": run.call.name}


def ended(turn: Turn, response: GenerateResponse) -> list[Message]:
    """Give all that the turn adds, its last answer included."""
    return [*turn.messages, assistant_message(response)]
