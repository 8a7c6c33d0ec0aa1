"""The helpers of the dialects, for a test that runs on every wire: each answers in the asker's dialect.

Which wire asks is seen by the request's path; one that is not read yet is answered as by OpenAI's chat.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from . import anthropic_messages, ollama_chat, openai_chat, openai_responses
from .openai_chat import Call
from .replies import Chunk, Ending, Reply, Send, Step, WaitFor
from .requests import Recorded

#: The ends of the paths that a wire is asked at.
_PATHS: dict[str, ModuleType] = {
    "/chat/completions": openai_chat,
    "/responses": openai_responses,
    "/messages": anthropic_messages,
    "/api/chat": ollama_chat,
    "/api/tags": ollama_chat,
}


def dialect_of(request: Recorded | None) -> Any:
    """The dialect that a request is to be answered in."""
    if request is None:
        return openai_chat
    if request.path.endswith("/models") and "anthropic-version" in request.headers:
        return anthropic_messages
    return next((dialect for end, dialect in _PATHS.items() if request.path.endswith(end)), openai_chat)


def text(content: str | None, **options: Any) -> Reply:
    """Answer with *content*; *options* are those that the dialects share.

    A *usage* that is a dict is in the words of `Usage`: input_tokens, output_tokens, cached_tokens,
    reasoning_tokens.
    """
    return _spoken("text", content, **options)


def unfinished(content: str, *, ending: Ending = "chunked-end", **options: Any) -> Reply:
    """Stream *content* and end so, without the marks that end an answer."""
    return text(content, finish_reason=None, usage=False, done=False, ending=ending, **options)


def failing(content: str, message: str = "server busy, please try again", **words: Any) -> Reply:
    """Stream *content*, and then a failure of the server in place of the rest; *words*: code, type."""
    told = words or {"type": "server_error"}
    return _broken_off(content, lambda dialect: dialect.failure_bytes(message, **told))


def garbled(content: str, data: str) -> Reply:
    """Stream *content*, and then an event whose data is *data* in place of the rest."""
    return _broken_off(content, lambda dialect: dialect.event_bytes(data))


def _broken_off(content: str, last: Callable[[Any], bytes]) -> Reply:
    def script(request: Recorded | None) -> Sequence[Step]:
        *steps, end = unfinished(content).steps(request)
        return [*steps, Chunk(last(dialect_of(request))), end]

    return streamed(Reply(script))


def at_once(reply: Reply) -> Reply:
    """Answer as if a whole answer had been asked for, however it was."""
    return _as_if(reply, streams=False)


def streamed(reply: Reply) -> Reply:
    """Answer as if a stream had been asked for, however it was."""
    return _as_if(reply, streams=True)


def _as_if(reply: Reply, *, streams: bool) -> Reply:
    def script(request: Recorded | None) -> Sequence[Step]:
        if request is not None and request.body:
            request = replace(request, body=json.dumps({**request.json, "stream": streams}).encode())
        return reply.steps(request)

    return replace(reply, script=script)


def call(name: str, /, **arguments: Any) -> Reply:
    """Answer with one tool call."""
    return calls([(name, arguments)])


def calls(wanted: Iterable[Call], **options: Any) -> Reply:
    """Answer with these tool calls, ids call_0, call_1 and on."""
    return _spoken("calls", list(wanted), **options)


def error(status: int, message: str = "scripted failure", **options: Any) -> Reply:
    """Answer with an error body."""
    return _spoken("error", status, message, **options)


def models(*names: str) -> Reply:
    """Answer a listing of models."""
    return _spoken("models", *names)


def held_after(reply: Reply, words: str, gate: threading.Event) -> Reply:
    """Wait for *gate* as soon as *words* have been written."""
    return reply.changed(lambda steps: list(_held(steps, words.encode(), gate)))


def _held(steps: Sequence[Step], words: bytes, gate: threading.Event) -> Iterable[Step]:
    is_held = False
    for step in steps:
        yield step
        if not is_held and isinstance(step, Send) and words in step.data:
            is_held = True
            yield WaitFor(gate)


def _spoken(helper: str, *arguments: Any, **options: Any) -> Reply:
    def script(request: Recorded | None) -> Sequence[Step]:
        dialect = dialect_of(request)
        told = dict(options)
        if isinstance(options.get("usage"), dict):
            told["usage"] = _COUNTS[dialect](**options["usage"])
        reply: Reply = getattr(dialect, helper)(*arguments, **told)
        return reply.steps(request)

    return Reply(script)


# ---- counts ------------------------------------------------------------------------------------


def _chat_counts(
    input_tokens: int, output_tokens: int, cached_tokens: int = 0, reasoning_tokens: int = 0
) -> dict[str, Any]:
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    }


def _responses_counts(
    input_tokens: int, output_tokens: int, cached_tokens: int = 0, reasoning_tokens: int = 0
) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_tokens},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning_tokens},
        "total_tokens": input_tokens + output_tokens,
    }


def _anthropic_counts(
    input_tokens: int, output_tokens: int, cached_tokens: int = 0, reasoning_tokens: int = 0
) -> dict[str, Any]:
    """Anthropic counts beside the tokens that were cached, not with them."""
    return {
        "input_tokens": input_tokens - cached_tokens,
        "cache_read_input_tokens": cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": output_tokens,
        "output_tokens_details": {"thinking_tokens": reasoning_tokens},
    }


def _ollama_counts(input_tokens: int, output_tokens: int, **_: int) -> dict[str, Any]:
    """Ollama tells neither what was cached nor what was reasoning."""
    return {"prompt_eval_count": input_tokens, "eval_count": output_tokens}


_COUNTS = {
    openai_chat: _chat_counts,
    openai_responses: _responses_counts,
    anthropic_messages: _anthropic_counts,
    ollama_chat: _ollama_counts,
}
