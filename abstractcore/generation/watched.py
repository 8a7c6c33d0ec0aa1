"""A call and a tool as OpenTelemetry and logging see them. Nothing here runs while nobody looks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from abstractcore.drivers.generators import Nested
from abstractcore.errors import AbstractCoreError, APIError, ToolError
from abstractcore.generation.hooks import (
    Hooks,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    heard,
)
from abstractcore.providers.base import Addressed
from abstractcore.tracing import content, logs, telemetry
from abstractcore.tracing.operations import Operation, error_type, usage_attributes
from abstractcore.types import Usage

if TYPE_CHECKING:
    from abstractcore.generation.call import Call
    from abstractcore.generation.retry import Retry
    from abstractcore.generation.tool_runs import ToolRun
    from abstractcore.providers.base import Provider
    from abstractcore.tools.decorator import Tool
    from abstractcore.types import EmbeddingResponse, EmbedRequest, GenerateRequest, StreamChunk

# Where the conventions have another word for a provider than we.
_PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}


def watched(
    hooks: Hooks | None, call: Call, provider: Provider, request: GenerateRequest, retry: Retry
) -> AsyncGenerator[StreamChunk]:
    """Answer *request* as `chunks` does, before the eyes of all that look: *hooks* among them."""
    ears = [hooks] if hooks else []
    if logs.CALLS.writes(logs.DEBUG):
        ears.append(_LOGGED)
    if not telemetry.is_on():
        return heard(_Ears(ears), call, provider, request, retry)
    return _traced(ears, call, provider, request, retry)


class _Ears(Hooks):
    """Several Hooks, each of which hears all."""

    def __init__(self, ears: list[Hooks]) -> None:
        self._ears = ears

    def call(self, event: Any, kind: Any, *fields: Any) -> None:
        """Tell each of them."""
        for each in self._ears:
            each.call(event, kind, *fields)


# ---- spans and metrics ---------------------------------------------------------------------------


async def _traced(
    ears: list[Hooks], call: Call, provider: Provider, request: GenerateRequest, retry: Retry
) -> AsyncGenerator[StreamChunk]:
    chat = _begin_chat(provider, request)
    retried = Hooks()
    retried.add("retry", partial(_note_retry, chat))
    source = heard(_Ears([*ears, retried]), call, provider, request, retry)
    last: float | None = None
    async with aclosing(Nested(chat.steps(source))) as steps:
        async for chunk in steps:
            if request.stream:
                last = _note_chunk(chat, last)
            if chunk.phase == "done":
                _note_answer(chat, call, chunk)
                chat.end()
            yield chunk


def _asked_at(provider: Provider, model: str) -> dict[str, Any]:
    """Say who is asked, and where that is a server."""
    who = {
        "gen_ai.provider.name": _PROVIDERS.get(provider.name, provider.name),
        "gen_ai.request.model": model,
    }
    address = provider.address if isinstance(provider, Addressed) else None
    return who if address is None else {**who, "server.address": address[0], "server.port": address[1]}


def _begin_chat(provider: Provider, request: GenerateRequest) -> Operation:
    where = _asked_at(provider, request.model)
    thinking = request.thinking if isinstance(request.thinking, str) else None
    chat = Operation(
        "chat",
        request.model,
        {
            **where,
            "gen_ai.request.stream": True if request.stream else None,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.top_p": request.top_p,
            "gen_ai.request.top_k": request.top_k,
            "gen_ai.request.seed": request.seed,
            "gen_ai.request.stop_sequences": None if request.stop is None else list(request.stop),
            "gen_ai.request.max_tokens": request.max_output_tokens,
            "gen_ai.request.presence_penalty": request.presence_penalty,
            "gen_ai.request.frequency_penalty": request.frequency_penalty,
            "gen_ai.request.reasoning.level": thinking,
            "gen_ai.output.type": None if request.schema is None else "json",
        },
        asks_server="server.address" in where,
    )
    if chat.keeps_content:
        chat.note(content.asked(request))
    return chat


def _note_retry(chat: Operation, event: RetryEvent) -> None:
    told = {"abstractcore.attempt": event.attempt, "error.type": error_type(event.error)}
    chat.event("abstractcore.retry", {**told, "http.response.status_code": _status(event.error)})


def _note_chunk(chat: Operation, last: float | None) -> float:
    now = chat.seconds()
    if last is None:
        chat.note({"gen_ai.response.time_to_first_chunk": now})
        chat.record(telemetry.FIRST_CHUNK, now)
    else:
        chat.record(telemetry.NEXT_CHUNK, now - last)
    return now


def _note_answer(chat: Operation, call: Call, done: StreamChunk) -> None:
    end: Mapping[str, Any] = done.metadata or {}
    chat.note(
        {
            "gen_ai.response.model": end.get("model"),
            "gen_ai.response.id": end.get("response_id"),
            "gen_ai.response.finish_reasons": None if done.finish_reason is None else [done.finish_reason],
        }
    )
    _note_usage(chat, done.usage or Usage())
    if chat.keeps_content:
        chat.note(content.answered(call.collector.response()))


def _note_usage(operation: Operation, usage: Usage) -> None:
    operation.note(usage_attributes(usage))
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens is not None:
            operation.record(telemetry.TOKENS, tokens, {"gen_ai.token.type": kind})


async def watched_embed(
    provider: Provider, request: EmbedRequest, work: Coroutine[Any, Any, EmbeddingResponse]
) -> EmbeddingResponse:
    """Embed as *work* does, in one span however many requests it takes."""
    where = _asked_at(provider, request.model)
    operation = Operation("embeddings", request.model, where, asks_server="server.address" in where)

    def note(response: EmbeddingResponse) -> None:
        told = {
            "gen_ai.response.model": response.model,
            "gen_ai.embeddings.dimension.count": response.dimensions,
        }
        operation.note(told)
        _note_usage(operation, response.usage)
        line = "%s %s: embedded %d texts in %.3f s"
        count = len(response.vectors)
        logs.CALLS.write(logs.DEBUG, line, provider.name, request.model, count, operation.seconds())

    return await operation.around(work, note)


async def watched_tool(
    run: ToolRun, tools: Mapping[str, Tool[..., Any]], agent: str | None, texts: AsyncGenerator[str]
) -> AsyncGenerator[str]:
    """Give the *texts* of a tool's run, in a span of its own and with a line in the log."""
    tool = tools.get(run.call.name)
    operation = Operation(
        "execute_tool",
        run.call.name,
        {
            "gen_ai.tool.name": run.call.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": run.call.id,
            "gen_ai.tool.description": None if tool is None else tool.description,
            "gen_ai.agent.name": agent,
        },
    )
    if operation.keeps_content:
        operation.note({"gen_ai.tool.call.arguments": content.arguments(run.call.arguments)})
    async with aclosing(Nested(operation.steps(texts, partial(_note_result, run)))) as steps:
        async for text in steps:
            yield text


def _note_result(run: ToolRun, operation: Operation) -> None:
    if (failure := run.failure) is not None:
        operation.fail(failure)
        own = None if isinstance(failure, ToolError) else failure  # ours say what the model wrote
        logs.TOOLS.write(
            logs.WARNING, "tool %s failed: %s", run.call.name, type(failure).__name__, failure=own
        )
    else:
        logs.TOOLS.write(logs.DEBUG, "tool %s ran for %.3f s", run.call.name, operation.seconds())
    if operation.keeps_content:
        operation.note({"gen_ai.tool.call.result": run.result})


# ---- lines of the log ----------------------------------------------------------------------------


def _log_request(event: RequestEvent) -> None:
    logs.CALLS.write(logs.DEBUG, "%s %s: request %d", event.provider, event.model, event.attempt)


def _log_response(event: ResponseEvent) -> None:
    usage, reason = event.usage, event.response.finish_reason
    told = (event.seconds, usage.input_tokens, usage.output_tokens, reason, event.response.request_id)
    line = "%s %s: answered after %.3f s, tokens in %s, out %s, %s, request id %s"
    logs.CALLS.write(logs.DEBUG, line, event.provider, event.model, *told)


def _status(failure: AbstractCoreError) -> int | None:
    return failure.status_code if isinstance(failure, APIError) else None


_LOGGED = Hooks()
_LOGGED.add("request", _log_request)
_LOGGED.add("response", _log_response)
