"""The OpenAI Chat Completions dialect: replies that are streamed or whole, as the request asks.

Knows the JSON of that wire. Knows nothing of sockets or framing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .replies import Ending, Headers, Reply, Step, compact_json, sse, sse_event, whole
from .requests import Recorded

MODEL = "test-model"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}

#: True: USAGE, streamed only if asked for; False: none, even if asked for; anything else is sent as it is.
Usage = Any
#: A name and its arguments (an object, or the very text to send), or a whole tool call as on the wire.
Call = tuple[str, Any] | dict[str, Any]


def text(
    content: str | None,
    *,
    reasoning: str | None = None,
    reasoning_field: str = "reasoning_content",
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str | None = None,
    piece: int = 4,
    between: Sequence[Step] = (),
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with *content*, streamed in deltas of *piece* characters with the steps *between* after each.

    *model* defaults to the one asked for. *done* and *ending* concern the stream only.
    """
    message = {"role": "assistant", "content": content}
    if reasoning is not None:
        message[reasoning_field] = reasoning
    return reply(
        message,
        usage=usage,
        finish_reason=finish_reason,
        model=model,
        piece=piece,
        between=between,
        headers=headers,
        done=done,
        ending=ending,
    )


def call(name: str, /, **arguments: Any) -> Reply:
    """Answer with one tool call."""
    return calls([(name, arguments)])


def calls(
    wanted: Iterable[Call], *, content: str | None = None, reasoning: str | None = None, **options: Any
) -> Reply:
    """Answer with these tool calls, ids call_0, call_1 and on; *options* as in `reply`."""
    thought = {} if reasoning is None else {"reasoning_content": reasoning}
    message = {"role": "assistant", "content": content, **thought, "tool_calls": tool_calls(wanted)}
    return reply(message, **{"finish_reason": "tool_calls", **options})


def reply(
    message: Mapping[str, Any],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str | None = None,
    piece: int = 4,
    between: Sequence[Step] = (),
    headers: Headers = (),
    done: bool = True,
    ending: Ending = "chunked-end",
) -> Reply:
    """Answer with *message* as it stands, or with the stream of it."""

    def script(request: Recorded | None) -> Sequence[Step]:
        asked = request.json if request and request.body else {}
        named = model or asked.get("model") or MODEL
        if not asked.get("stream"):
            body = completion(message, usage=usage, finish_reason=finish_reason, model=named)
            return whole(200, body, headers=headers).steps(request)
        counted = usage is not True or bool((asked.get("stream_options") or {}).get("include_usage"))
        shown = usage if counted else False
        events = chunks(message, usage=shown, finish_reason=finish_reason, model=named, piece=piece)
        paced = [part for event in events for part in (event, *between)]
        return sse(paced, headers=headers, done=done, ending=ending).steps(request)

    return Reply(script)


def error(
    status: int,
    message: str = "scripted failure",
    *,
    code: str | int | None = None,
    type: str | None = None,
    headers: Headers = (),
) -> Reply:
    """Answer with an error body, streamed or not."""
    return whole(status, error_body(message, code=code, type=type), headers=headers)


def models(*names: str) -> Reply:
    """Answer a listing of models."""
    data = [{"id": name, "object": "model", "created": 1, "owned_by": "test"} for name in names or (MODEL,)]
    return whole(200, {"object": "list", "data": data})


# The parts, for tests that bend them.


def completion(
    message: Mapping[str, Any],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
) -> dict[str, Any]:
    """The body of a whole answer."""
    choice = {"index": 0, "message": dict(message), "logprobs": None, "finish_reason": finish_reason}
    body = {**_envelope("chat.completion", model), "choices": [choice]}
    return body if usage is False else {**body, "usage": _counts(usage)}


def chunks(
    message: Mapping[str, Any],
    *,
    usage: Usage = True,
    finish_reason: str | None = "stop",
    model: str = MODEL,
    piece: int = 4,
) -> list[dict[str, Any]]:
    """The events of a streamed answer, without [DONE]; with *usage*, a last one without choices."""
    deltas = [delta({"role": message.get("role", "assistant"), "content": ""}, model=model)]
    for name, value in message.items():
        if value is None:
            continue
        if name == "tool_calls":
            deltas += [delta({"tool_calls": [part]}, model=model) for part in _call_parts(value, piece)]
        elif name != "role":
            deltas += [delta({name: part}, model=model) for part in _split(value, piece)]
    if finish_reason is not None:
        deltas.append(delta({}, finish_reason=finish_reason, model=model))
    if usage is False:
        return deltas
    last = {**_envelope("chat.completion.chunk", model), "choices": [], "usage": _counts(usage)}
    return [*({**each, "usage": None} for each in deltas), last]


def text_chunks(content: str, **options: Any) -> list[dict[str, Any]]:
    """The events of a streamed text; *options* as in `chunks`."""
    return chunks({"role": "assistant", "content": content}, **options)


def delta(
    fields: Mapping[str, Any], *, finish_reason: str | None = None, model: str = MODEL
) -> dict[str, Any]:
    """One event with one delta."""
    choice = {"index": 0, "delta": dict(fields), "logprobs": None, "finish_reason": finish_reason}
    return {**_envelope("chat.completion.chunk", model), "choices": [choice]}


def tool_calls(wanted: Iterable[Call]) -> list[dict[str, Any]]:
    """Tool calls as they stand in a message."""
    return [_tool_call(number, each) for number, each in enumerate(wanted)]


def error_body(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> dict[str, Any]:
    """An error as a body, or as an event amid a stream."""
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


def event_bytes(event: Any) -> bytes:
    """One event as OpenAI frames it; a text is its data as it stands."""
    return sse_event(event)


def failure_bytes(
    message: str = "scripted failure", *, code: str | int | None = None, type: str | None = None
) -> bytes:
    """An error amid a stream."""
    return event_bytes(error_body(message, code=code, type=type))


def _envelope(kind: str, model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": model}


def _counts(usage: Usage) -> Any:
    return USAGE if usage is True else usage


def _tool_call(number: int, wanted: Call) -> dict[str, Any]:
    if isinstance(wanted, dict):
        return wanted
    name, arguments = wanted
    written = arguments if isinstance(arguments, str) else compact_json(arguments)
    function = {"name": name, "arguments": written}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _call_parts(calls: Sequence[Mapping[str, Any]], piece: int) -> Iterable[dict[str, Any]]:
    for index, each in enumerate(calls):
        function = each["function"]
        yield {"index": index, **each, "function": {**function, "arguments": ""}}
        for part in _split(function["arguments"], piece):
            yield {"index": index, "function": {"arguments": part}}


def _split(value: Any, piece: int) -> list[Any]:
    """Texts in pieces; anything else (reasoning_details, an annotation) in one."""
    if not isinstance(value, str):
        return [value]
    return [value[start : start + piece] for start in range(0, len(value), piece)]
